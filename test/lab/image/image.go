// Package image makes a container image out of one static binary, with nothing but the standard library: no daemon, no
// registry, no container tool. The same binary and name give the same bytes, whenever and wherever they are made.
// The archive follows the OCI image layout 1.0 (image-layout.md of the image specification).
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// Build writes an OCI archive to out. ref is the name with a tag ("lab.local/web:1"); the file at binary becomes the entry
// point, at the root of the image under its own name. The binary must need no shared library, for there is none. out is
// written whole or not at all.
func Build(ref, binary, out string) error {
	name, tag, ok := splitRef(ref)
	if !ok {
		return fmt.Errorf("image %q: want NAME:TAG", ref)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("building image %s: %w", name, err)
	}
	archive, err := assemble(ref, tag, filepath.Base(binary), content)
	if err != nil {
		return fmt.Errorf("building image %s: %w", name, err)
	}
	if err := os.WriteFile(out+".tmp", archive, 0o644); err != nil {
		return fmt.Errorf("building image %s: %w", name, err)
	}
	if err := os.Rename(out+".tmp", out); err != nil {
		return fmt.Errorf("building image %s: %w", name, err)
	}
	return nil
}

// splitRef cuts a reference at the colon of its tag, which is the last one and has no slash behind it (a port has).
func splitRef(ref string) (name, tag string, ok bool) {
	i := strings.LastIndexByte(ref, ':')
	if i <= 0 || i == len(ref)-1 || strings.Contains(ref[i:], "/") {
		return "", "", false
	}
	return ref[:i], ref[i+1:], true
}

// descriptor points at a blob by content (descriptor.md of the image specification).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// config is the part of an image's configuration that a runtime needs (config.md of the image specification).
type config struct {
	Created      string    `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       execution `json:"config"`
	RootFS       rootFS    `json:"rootfs"`
}

type execution struct {
	Entrypoint []string `json:"Entrypoint"`
	Env        []string `json:"Env"`
	WorkingDir string   `json:"WorkingDir"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// assemble returns the archive of an image with one layer that holds one program.
func assemble(ref, tag, program string, content []byte) ([]byte, error) {
	plain, err := tarball([]file{
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:/none\n")},
		{program, 0o755, content},
	})
	if err != nil {
		return nil, err
	}
	packed, err := gzipped(plain)
	if err != nil {
		return nil, err
	}
	layer := describe(typeLayer, packed)
	on := &platform{Architecture: runtime.GOARCH, OS: "linux"}
	cfg, err := json.Marshal(config{
		Created: "1970-01-01T00:00:00Z", Architecture: on.Architecture, OS: on.OS,
		Config: execution{Entrypoint: []string{"/" + program}, Env: []string{"PATH=/"}, WorkingDir: "/"},
		RootFS: rootFS{Type: "layers", DiffIDs: []string{digest(plain)}},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	man, err := json.Marshal(manifest{2, typeManifest, describe(typeConfig, cfg), []descriptor{layer}})
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	top := describe(typeManifest, man)
	top.Platform = on
	// containerd reads the full name from its own annotation; other tools read the tag from the standard one.
	top.Annotations = map[string]string{"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": tag}
	idx, err := json.Marshal(index{2, typeIndex, []descriptor{top}})
	if err != nil {
		return nil, fmt.Errorf("encoding the index: %w", err)
	}
	return tarball([]file{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o644, idx},
		{blobPath(packed), 0o644, packed},
		{blobPath(cfg), 0o644, cfg},
		{blobPath(man), 0o644, man},
	})
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobPath(b []byte) string { return "blobs/" + strings.Replace(digest(b), ":", "/", 1) }

func describe(mediaType string, b []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(b), Size: len(b)}
}

type file struct {
	path    string
	mode    int64
	content []byte
}

// tarball packs files in the order given, all owned by root and dated 1970, so that the bytes depend on nothing else.
func tarball(files []file) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Mode: f.mode, Size: int64(len(f.content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.path, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return buf.Bytes(), nil
}

func gzipped(b []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if _, err := io.Copy(w, bytes.NewReader(b)); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return buf.Bytes(), nil
}

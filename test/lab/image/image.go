// Package image makes a container image out of a static binary for each architecture, with nothing but the standard library: no daemon, no
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
	"errors"
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

// Image is what Write makes an archive of. The same values and binaries give the same bytes.
type Image struct {
	Ref      string            // name with a tag, as in "lab.local/web:1"
	User     string            // UID:GID; empty is root
	Labels   map[string]string // org.opencontainers.image.title and its like (annotations.md of the image specification)
	Created  time.Time         // zero is 1970
	Binaries []Binary          // one for each architecture, all of the same base name
}

// Binary is a program for one architecture. It becomes the entry point, at the root of the image under the base name of its path,
// and must need no shared library, for there is none.
type Binary struct {
	Arch string // as Go has it: amd64, arm64
	Path string
}

// Build writes the image of one binary for this machine's architecture.
func Build(ref, binary, out string) error {
	return Image{Ref: ref, Binaries: []Binary{{runtime.GOARCH, binary}}}.Write(out)
}

// Write writes an OCI archive to out, whole or not at all.
func (i Image) Write(out string) error {
	name, tag, ok := splitRef(i.Ref)
	if !ok {
		return fmt.Errorf("image %q: want NAME:TAG", i.Ref)
	}
	archive, err := i.assemble(tag)
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
	User       string            `json:"User,omitempty"`
	Entrypoint []string          `json:"Entrypoint"`
	Env        []string          `json:"Env"`
	WorkingDir string            `json:"WorkingDir"`
	Labels     map[string]string `json:"Labels,omitempty"`
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

// assemble returns the archive. Of several architectures the top of it is one more index, so that the name leads to all of them.
func (i Image) assemble(tag string) ([]byte, error) {
	var blobs []file
	var tops []descriptor
	for _, b := range i.Binaries {
		top, parts, err := i.platform(b)
		if err != nil {
			return nil, err
		}
		tops, blobs = append(tops, top), append(blobs, parts...)
	}
	if len(tops) == 0 {
		return nil, errors.New("no binaries")
	}
	if len(tops) > 1 {
		all, err := encode("the index of architectures", index{2, typeIndex, tops})
		if err != nil {
			return nil, err
		}
		tops, blobs = []descriptor{describe(typeIndex, all)}, append(blobs, blob(all))
	}
	// containerd reads the full name from its own annotation; other tools read the tag from the standard one.
	tops[0].Annotations = map[string]string{"io.containerd.image.name": i.Ref, "org.opencontainers.image.ref.name": tag}
	idx, err := encode("the index", index{2, typeIndex, tops})
	if err != nil {
		return nil, err
	}
	return tarball(append([]file{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o644, idx},
	}, blobs...))
}

// platform returns the manifest of one architecture and all blobs that it leads to, itself included.
func (i Image) platform(b Binary) (descriptor, []file, error) {
	content, err := os.ReadFile(b.Path)
	if err != nil {
		return descriptor{}, nil, err // it names the file
	}
	program := filepath.Base(b.Path)
	plain, err := tarball([]file{
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n")},
		{program, 0o755, content},
	})
	if err != nil {
		return descriptor{}, nil, err
	}
	packed, err := gzipped(plain)
	if err != nil {
		return descriptor{}, nil, err
	}
	created := time.Unix(0, 0)
	if !i.Created.IsZero() {
		created = i.Created
	}
	on := &platform{Architecture: b.Arch, OS: "linux"}
	cfg, err := encode("the configuration", config{
		Created: created.UTC().Format(time.RFC3339), Architecture: on.Architecture, OS: on.OS,
		Config: execution{User: i.User, Entrypoint: []string{"/" + program}, Env: []string{"PATH=/"}, WorkingDir: "/", Labels: i.Labels},
		RootFS: rootFS{Type: "layers", DiffIDs: []string{digest(plain)}},
	})
	if err != nil {
		return descriptor{}, nil, err
	}
	man, err := encode("the manifest", manifest{2, typeManifest, describe(typeConfig, cfg), []descriptor{describe(typeLayer, packed)}})
	if err != nil {
		return descriptor{}, nil, err
	}
	top := describe(typeManifest, man)
	top.Platform = on
	return top, []file{blob(packed), blob(cfg), blob(man)}, nil
}

func encode(what string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", what, err)
	}
	return b, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blob(b []byte) file { return file{"blobs/" + strings.Replace(digest(b), ":", "/", 1), 0o644, b} }

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

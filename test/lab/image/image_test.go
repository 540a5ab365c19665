package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// untar returns the files of an archive by name.
func untar(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = content
	}
}

func decode[T any](t *testing.T, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return v
}

// build makes an image of a file with the content and returns the archive.
func build(t *testing.T, ref, content string) []byte {
	t.Helper()
	dir := t.TempDir()
	binary, out := filepath.Join(dir, "web"), filepath.Join(dir, "web.tar")
	if err := os.WriteFile(binary, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Build(ref, binary, out); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestEveryDigestInTheArchiveLeadsToItsBlob(t *testing.T) {
	files := untar(t, build(t, "lab.local:5000/web:1", "a program"))
	blob := func(d descriptor) []byte {
		b, ok := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if !ok {
			t.Fatalf("no blob for %v", d)
		}
		if digest(b) != d.Digest || len(b) != d.Size {
			t.Errorf("%v leads to %d bytes of digest %s", d, len(b), digest(b))
		}
		return b
	}
	top := decode[index](t, files["index.json"]).Manifests[0]
	if want := (&platform{runtime.GOARCH, "linux"}); !cmp.Equal(top.Platform, want) {
		t.Errorf("platform %v, want %v", top.Platform, want)
	}
	want := map[string]string{"io.containerd.image.name": "lab.local:5000/web:1", "org.opencontainers.image.ref.name": "1"}
	if d := cmp.Diff(want, top.Annotations); d != "" {
		t.Errorf("annotations (-want +got):\n%s", d)
	}
	man := decode[manifest](t, blob(top))
	cfg := decode[config](t, blob(man.Config))
	if d := cmp.Diff([]string{"/web"}, cfg.Config.Entrypoint); d != "" {
		t.Errorf("entry point (-want +got):\n%s", d)
	}
	z, err := gzip.NewReader(bytes.NewReader(blob(man.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{digest(plain)}, cfg.RootFS.DiffIDs); d != "" {
		t.Errorf("layer (-want +got):\n%s", d)
	}
	if got := string(untar(t, plain)["web"]); got != "a program" {
		t.Errorf("the program in the image is %q", got)
	}
}

func TestTheSameBinaryGivesTheSameBytes(t *testing.T) {
	first := build(t, "lab.local/web:1", "a program")
	if !bytes.Equal(first, build(t, "lab.local/web:1", "a program")) {
		t.Error("two builds differ")
	}
	if bytes.Equal(first, build(t, "lab.local/web:1", "another program")) {
		t.Error("two programs give one image")
	}
}

func TestARefWithoutTagIsRefused(t *testing.T) {
	for _, ref := range []string{"", "web", "lab.local/web", "lab.local:5000/web", ":1", "web:"} {
		out := filepath.Join(t.TempDir(), "out.tar")
		if err := Build(ref, "/proc/self/exe", out); err == nil {
			t.Errorf("%q was taken", ref)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: an archive was written", ref)
		}
	}
}

func TestOneImageForSeveralArchitectures(t *testing.T) {
	dir := t.TempDir()
	img := Image{Ref: "lab.local/web:1", User: "65534:65534", Labels: map[string]string{"org.opencontainers.image.title": "web"},
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, arch := range []string{"amd64", "arm64"} {
		path := filepath.Join(dir, arch, "web")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a program for "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
		img.Binaries = append(img.Binaries, Binary{arch, path})
	}
	out := filepath.Join(dir, "web.tar")
	if err := img.Write(out); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, archive)
	blob := func(d descriptor) []byte {
		b, ok := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if !ok || digest(b) != d.Digest || len(b) != d.Size {
			t.Fatalf("%v leads to %d bytes of digest %s", d, len(b), digest(b))
		}
		return b
	}
	top := decode[index](t, files["index.json"]).Manifests
	if len(top) != 1 || top[0].MediaType != typeIndex || top[0].Annotations["io.containerd.image.name"] != "lab.local/web:1" {
		t.Fatalf("at the top %v, want one name that leads to all architectures", top)
	}
	for i, d := range decode[index](t, blob(top[0])).Manifests {
		arch := img.Binaries[i].Arch
		man := decode[manifest](t, blob(d))
		cfg := decode[config](t, blob(man.Config))
		if d.Platform.Architecture != arch || cfg.Architecture != arch || cfg.Config.User != "65534:65534" || cfg.Created != "2026-01-02T03:04:05Z" {
			t.Errorf("%s: platform %v, configuration %+v", arch, d.Platform, cfg)
		}
		if diff := cmp.Diff(img.Labels, cfg.Config.Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", arch, diff)
		}
		z, err := gzip.NewReader(bytes.NewReader(blob(man.Layers[0])))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(untar(t, plain)["web"]); got != "a program for "+arch {
			t.Errorf("%s holds %q", arch, got)
		}
	}
}

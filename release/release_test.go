package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// unpack returns the files of a tar archive by name.
func unpack(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The whole way for one program, which run itself builds twice and compares. `make release` does it for all of them.
func TestARelease(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dist")
	controller := target{"steelyard-controller", "linux", "amd64"}
	if err := run(t.Context(), out, []target{controller}); err != nil {
		t.Fatal(err)
	}
	var s source
	s.dir = ".."
	if err := s.readVersion(); err != nil {
		t.Fatal(err)
	}
	image, chart := "steelyard-controller-"+s.version+".oci.tar", "steelyard-"+s.version+".tgz"
	var names []string
	for line := range strings.Lines(string(read(t, out, sumsFile))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256(read(t, out, name))); got != sum {
			t.Errorf("%s has the checksum %s, listed is %s", name, got, sum)
		}
		names = append(names, name)
	}
	if diff := cmp.Diff(sorted([]string{image, chart, controller.file(), controller.file() + ".cdx.json", "steelyard.yaml"}), sorted(names)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	packed := unpack(t, bytes.NewReader(read(t, out, image)))
	if !strings.Contains(packed["index.json"], `"steelyard-lb/steelyard-controller:`+s.version+`"`) {
		t.Errorf("the image's index is %s", packed["index.json"])
	}
	checkBOM(t, filepath.Join(out, controller.file()))
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// checkBOM compares a bill of materials with its binary.
func checkBOM(t *testing.T, binary string) {
	t.Helper()
	var bom cdx.BOM
	if err := json.Unmarshal(read(t, binary+".cdx.json"), &bom); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, dep := range info.Deps {
		want = append(want, "pkg:golang/"+dep.Path+"@"+strings.ReplaceAll(dep.Version, "+", "%2B"))
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.PackageURL)
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("components (-of the binary +listed):\n%s", diff)
	}
	if len(got) < 20 {
		t.Errorf("only %d components are listed", len(got))
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(read(t, binary))); (*bom.Metadata.Component.Hashes)[0].Value != sum {
		t.Errorf("the bill is of a binary with the checksum %v, this one has %s", *bom.Metadata.Component.Hashes, sum)
	}
	for _, setting := range info.Settings {
		if setting.Key == "CGO_ENABLED" && setting.Value != "0" {
			t.Error("the binary is not static")
		}
	}
}

func TestTheChartIsPackedWhole(t *testing.T) {
	const dir = "../charts/steelyard"
	at := time.Unix(1700000000, 0)
	var archives [][]byte
	for range 2 {
		out := filepath.Join(t.TempDir(), "chart.tgz")
		if err := packChart(dir, out, at); err != nil {
			t.Fatal(err)
		}
		archives = append(archives, read(t, out))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two packings differ")
	}
	z, err := gzip.NewReader(bytes.NewReader(archives[0]))
	if err != nil {
		t.Fatal(err)
	}
	got := unpack(t, z)
	want := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel("../charts", path)
			want[rel] = string(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart (-files +archive):\n%s", diff)
	}
	if _, ok := got["steelyard/Chart.yaml"]; !ok {
		t.Error("helm looks for steelyard/Chart.yaml")
	}
}

func TestBuildsThatDifferAreRefused(t *testing.T) {
	for _, row := range []struct {
		name string
		b    map[string]string
		want string // part of the error
	}{
		{"the same", map[string]string{"x": "1", "y": "2"}, ""},
		{"another byte", map[string]string{"x": "1", "y": "3"}, "differ: y"},
		{"a file less", map[string]string{"x": "1"}, "differ: y"},
		{"a file more", map[string]string{"x": "1", "y": "2", "z": "3"}, "differ"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			for i, files := range []map[string]string{{"x": "1", "y": "2"}, row.b} {
				for name, content := range files {
					if err := os.WriteFile(filepath.Join(dirs[i], name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := writeSums(dirs[i]); err != nil {
					t.Fatal(err)
				}
			}
			err := same(dirs[0], dirs[1])
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error = %v, want one with %q", err, row.want)
			}
		})
	}
}

func TestATagOfAnotherVersionIsRefused(t *testing.T) {
	for _, row := range []struct {
		tags []string
		ok   bool
	}{{nil, true}, {[]string{"v0.1.0"}, true}, {[]string{"v0.1.0", "v0.2.0"}, false}, {[]string{"v0.1"}, false}} {
		if err := checkTags("0.1.0", row.tags); (err == nil) != row.ok {
			t.Errorf("%q: %v", row.tags, err)
		}
	}
}

func TestATryIsForPlatformsThatThereAre(t *testing.T) {
	for _, c := range []struct {
		platforms string
		want      int // programs; 0 for an error
	}{
		{"", len(targets())},
		{"linux/amd64", 3},
		{"darwin/arm64,windows/amd64", 2},
		{"linux/amd64,linux/x86", 0},
		{"linux", 0},
	} {
		if got, err := only(targets(), c.platforms); len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%q: %v, %v; want %d programs", c.platforms, got, err, c.want)
		}
	}
}

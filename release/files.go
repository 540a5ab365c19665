package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// sumsFile is read by `sha256sum --check`.
const sumsFile = "SHA256SUMS"

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copying %s: %w", filepath.Base(from), err)
	}
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("copying %s: %w", filepath.Base(from), err)
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return fmt.Errorf("copying %s: %w", filepath.Base(from), err)
	}
	return nil
}

// packChart writes what `helm package` would, with every file owned by root and dated at; helm itself takes the dates of the clone.
func packChart(dir, out string, at time.Time) error {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	w := tar.NewWriter(z)
	add := func(name string, d fs.DirEntry, err error) error { // in the order of the names
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		h := &tar.Header{Name: path.Join(filepath.Base(dir), name), Mode: 0o644, Size: int64(len(content)), ModTime: at, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	if err := fs.WalkDir(os.DirFS(dir), ".", add); err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	if err := os.WriteFile(out, packed.Bytes(), 0o644); err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	return nil
}

// writeSums writes the checksums of all files in dir, in the order of their names.
func writeSums(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("summing up: %w", err)
	}
	var sums strings.Builder
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return fmt.Errorf("summing up: %w", err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), f.Name())
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("summing up: %w", err)
	}
	return nil
}

// same refuses two builds whose checksums differ, and names the files.
func same(a, b string) error {
	first, err := os.ReadFile(filepath.Join(a, sumsFile))
	if err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	second, err := os.ReadFile(filepath.Join(b, sumsFile))
	if err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	other := map[string]bool{}
	for line := range strings.Lines(string(second)) {
		other[line] = true
	}
	var differ []string
	for line := range strings.Lines(string(first)) {
		if !other[line] {
			differ = append(differ, strings.TrimSpace(line[64:]))
		}
	}
	if len(differ) > 0 || len(first) != len(second) {
		return fmt.Errorf("two builds of one commit differ: %s", strings.Join(differ, ", "))
	}
	return nil
}

// Package bundle writes an archive that a user can send to a stranger: files that hold no secret, in a .tar.gz.
//
// Contract: what goes in is built from what is allowed, never by taking away what is forbidden. Meta, Node and their likes copy the
// fields that help and nothing else; kinds that hold secrets or free text of others (Secrets, ConfigMaps) are not read at all. Logs
// and messages, where anything may stand, are searched for what looks like a secret, as every file is at last.
package bundle

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"time"
)

// Writer makes one archive. Every file is below one folder.
type Writer struct {
	folder string
	at     time.Time
	zip    *gzip.Writer
	tar    *tar.Writer
}

// New begins an archive in w whose files are in the folder and have the time at.
func New(w io.Writer, folder string, at time.Time) *Writer {
	zip := gzip.NewWriter(w)
	return &Writer{folder: folder, at: at, zip: zip, tar: tar.NewWriter(zip)}
}

// Add writes one file, redacted.
func (w *Writer) Add(name string, content []byte) error {
	content = redact(content)
	err := w.tar.WriteHeader(&tar.Header{Name: path.Join(w.folder, name), Mode: 0o644, Size: int64(len(content)), ModTime: w.at, Format: tar.FormatPAX})
	if err != nil {
		return fmt.Errorf("adding %s: %w", name, err)
	}
	if _, err := w.tar.Write(content); err != nil {
		return fmt.Errorf("adding %s: %w", name, err)
	}
	return nil
}

// Close ends the archive; without it the archive is broken.
func (w *Writer) Close() error {
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("ending the archive: %w", err)
	}
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("ending the archive: %w", err)
	}
	return nil
}

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// GossipKeys are the files from which a speaker has its gossip secrets; an empty one is not there.
type GossipKeys struct{ Send, Next, Previous string }

func (b *Bare) keyFile(node string) string { return filepath.Join(b.dir, "key-"+node) }

// WriteKeys replaces the files of a node's speaker.
func (b *Bare) WriteKeys(node string, k GossipKeys) error {
	for suffix, key := range map[string]string{"": k.Send, ".next": k.Next, ".previous": k.Previous} {
		file := b.keyFile(node) + suffix
		var err error
		if key != "" {
			err = os.WriteFile(file, []byte(key), 0o600)
		} else if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("writing the gossip keys of %s: %w", node, err)
		}
	}
	return nil
}

// Logged returns how many lines of the speakers' logs hold a text. A log that cannot be read has none.
func (b *Bare) Logged(text string) int {
	n := 0
	for _, node := range b.Lab.Nodes() {
		content, _ := os.ReadFile(b.Lab.LogPath(speakerName(node.Name)))
		n += bytes.Count(content, []byte(text))
	}
	return n
}

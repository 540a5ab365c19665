// Package keyfile reads the secrets of the gossip from files and follows their changes. Beside a file "secretkey" there may be two
// more, with which a cluster changes its key (docs/security.md):
//
//	secretkey            what we send is encrypted with it
//	secretkey.next       taken too: what others send already
//	secretkey.previous   taken too: what others still send
//
// In a cluster the three are data keys of one mounted Secret. Any bytes are a secret; blank files are an error.
package keyfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/go-logr/logr"
)

const (
	// Interval is how often Follow reads the files. kubelet itself takes up to a minute to bring a changed Secret.
	Interval = 2 * time.Second
	// tries bounds how often Read reads files that change under it.
	tries = 10
)

// Secrets are the bytes of the files.
type Secrets struct {
	Send   []byte   // nil when there is no file
	Accept [][]byte // of next, then of previous, as far as they are there
}

// Equal says whether two are the same.
func (s Secrets) Equal(o Secrets) bool {
	if (s.Send == nil) != (o.Send == nil) || !bytes.Equal(s.Send, o.Send) || len(s.Accept) != len(o.Accept) {
		return false
	}
	for i := range s.Accept {
		if !bytes.Equal(s.Accept[i], o.Accept[i]) {
			return false
		}
	}
	return true
}

// Read returns the secrets at path; without a path, none. The files belong together and can be replaced together while they are
// read, so they are read until two readings in a row agree. The error names the file that is missing or blank.
func Read(path string) (Secrets, error) {
	last, err := readOnce(path)
	for range tries {
		if err != nil {
			return Secrets{}, err
		}
		var again Secrets
		if again, err = readOnce(path); err == nil && again.Equal(last) {
			return last, nil
		}
		last = again
	}
	return Secrets{}, fmt.Errorf("reading %s: it changes all the time", path)
}

func readOnce(path string) (Secrets, error) {
	if path == "" {
		return Secrets{}, nil
	}
	send, err := readFile(path)
	if err != nil {
		return Secrets{}, err
	}
	s := Secrets{Send: send}
	for _, other := range []string{path + ".next", path + ".previous"} {
		secret, err := readFile(other)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Secrets{}, err
		}
		s.Accept = append(s.Accept, secret)
	}
	return s, nil
}

func readFile(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it names the file
	}
	if len(bytes.TrimSpace(secret)) == 0 {
		return nil, fmt.Errorf("%s is empty: put some random bytes there, the same for all speakers", path)
	}
	return secret, nil
}

// Follow reads the files every Interval until ctx ends and calls take with what has changed; have is what is in use. A change
// counts when two readings in a row agree, so that a file that is just being written is not taken for a key. What cannot be read
// or is refused by take is logged, once for each reason, and the keys in use stay. Without a path Follow does nothing.
func Follow(ctx context.Context, path string, have Secrets, take func(Secrets) error, log logr.Logger) {
	if path == "" {
		return
	}
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	seen, complaint := have, ""
	complain := func(err error) {
		if err.Error() != complaint {
			complaint = err.Error()
			log.Info("the gossip keys stay as they are", "file", path, "reason", complaint)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := Read(path)
		if err != nil {
			complain(err)
			continue
		}
		settled := now.Equal(seen)
		seen = now
		if !settled {
			continue
		}
		if !now.Equal(have) {
			if err := take(now); err != nil {
				complain(err)
				continue
			}
			have = now
		}
		complaint = ""
	}
}

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// stateRoot holds a directory, a lock and, after a failure, the logs of every lab. Not below /run: a node covers that.
const stateRoot = "/var/lib/steelyard-lab"

// state is what is written down of a lab, so that another process can use it, or clear it away.
type state struct {
	Name      string
	Tier      Tier
	ProxyMode string
	Grace     time.Duration
	Keep      bool
	Owner     proc.Record // the process that made it
	Command   string      // and its command line, for messages
	Created   time.Time
	Bin       string // directory with every program of the lab
}

func stateDir(name string) string { return filepath.Join(stateRoot, name) }
func logsDir(name string) string  { return filepath.Join(stateRoot, name+"-logs") }

func (s state) write() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the lab's state: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stateDir(s.Name), "lab.json"), text, 0o644); err != nil {
		return fmt.Errorf("writing the lab's state: %w", err)
	}
	return nil
}

func readState(name string) (state, error) {
	var s state
	text, err := os.ReadFile(filepath.Join(stateDir(name), "lab.json"))
	if err != nil {
		return s, fmt.Errorf("reading the state of lab %s: %w", name, err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("reading the state of lab %s: %w", name, err)
	}
	return s, nil
}

// checkName keeps names usable as file and namespace names.
func checkName(name string) error {
	ok := name != "" && len(name) <= 24 && !strings.HasPrefix(name, "-") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if !ok {
		return fmt.Errorf("lab name %q: want 1 to 24 of a-z, 0-9 and -, not starting with -", name)
	}
	return nil
}

// lock is held by the process that makes, owns or ends a lab of a name. The kernel gives it up when that process dies.
type lock struct{ file *os.File }

// errHeld means that another process holds the lock; the error's text says which.
var errHeld = errors.New("in use")

// lockWait is how long a lock is waited for: as long as a watchdog may need to clear a lab away.
const lockWait = 20 * time.Second

func takeLock(name string, wait time.Duration) (*lock, error) {
	if err := os.MkdirAll(stateRoot, 0o755); err != nil {
		return nil, fmt.Errorf("locking lab %s: %w", name, err)
	}
	for end := time.Now().Add(wait); ; time.Sleep(100 * time.Millisecond) {
		l, err := tryLock(filepath.Join(stateRoot, name+".lock"))
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errHeld) || time.Now().After(end) {
			return nil, fmt.Errorf("lab %s: %w", name, err)
		}
	}
}

// tryLock takes the lock at a path, or says at once who has it.
func tryLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) // an empty text is no worse than none
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w by %s", errHeld, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking: %w", err)
	}
	// The holder before us may have deleted the file while we opened it; then somebody else can lock a new one.
	var mine, there unix.Stat_t
	if unix.Fstat(int(f.Fd()), &mine) != nil || unix.Stat(path, &there) != nil || mine.Ino != there.Ino {
		f.Close()
		return nil, fmt.Errorf("%w by a process that is leaving", errHeld)
	}
	text := fmt.Sprintf("process %d (%s)\n", os.Getpid(), strings.Join(os.Args, " "))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking: %w", err)
	}
	return &lock{file: f}, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// release gives the lock up. With the lab gone the file goes too, and the directory with the last lab.
func (l *lock) release(gone bool) error {
	if l == nil {
		return nil
	}
	if gone {
		if err := os.Remove(l.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("removing the lock: %w", err), l.file.Close())
		}
		if err := os.Remove(filepath.Dir(l.file.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return errors.Join(fmt.Errorf("removing the directory of labs: %w", err), l.file.Close())
		}
	}
	return l.file.Close()
}

package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// watchdog is a process that takes the lab down when its owner dies without doing so. It reads a pipe whose other end only
// the owner holds: a byte means "all is well, go", the end of the pipe means that the owner is gone.
type watchdog struct {
	pipe *os.File
	cmd  *exec.Cmd
}

func (l *Lab) startWatchdog() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the watchdog: %w", err)
	}
	defer r.Close()
	// A session of its own: what ends the owner's whole process group must not end its watchdog.
	cmd := exec.Command(l.program("lab"), "watch", l.Name, strconv.Itoa(l.Owner.PID), strconv.FormatUint(l.Owner.Start, 10))
	cmd.Stdin, cmd.Dir, cmd.Env, cmd.SysProcAttr = r, "/", l.env(), &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return fmt.Errorf("starting the watchdog: %w", err)
	}
	l.watch = &watchdog{pipe: w, cmd: cmd}
	return nil
}

// stop tells the watchdog to go, and waits for it. No watchdog is no error.
func (w *watchdog) stop() error {
	if w == nil {
		return nil
	}
	_, err := w.pipe.Write([]byte{'.'})
	if err = errors.Join(err, w.pipe.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("ending the watchdog: %w", err)
	}
	return nil
}

// watchLimit is how long the watchdog waits for the lock, which the dead owner's kernel has already given up, or another
// process has taken to do the same work.
const watchLimit = time.Minute

// Watch is the watchdog's side: it returns when the owner has told it to go, or is dead and its lab cleared away. The logs stay.
func Watch(name string, owner proc.Record, pipe io.Reader) error {
	if n, _ := pipe.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	lk, err := takeLock(name, watchLimit)
	if err != nil {
		return err
	}
	s, err := readState(name)
	if err != nil || s.Owner != owner || s.Keep {
		return lk.release(false) // there is no such lab any more
	}
	l := &Lab{state: s}
	err = errors.Join(l.SaveLogs(logsDir(name)), clearAway(name))
	return errors.Join(err, lk.release(err == nil))
}

// Package proc remembers a process by its id and its start time, so that the lab ends what it started and nothing else.
// A process id alone is used again by the kernel; the pair is not. A zombie counts as gone: it has ended, only its parent
// has not looked yet. Unless it has other threads: then its first thread is a zombie for the moment in which another one of them
// executes a program (execve(2)) and takes its place.
package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Record names one process. Start is in clock ticks since boot (proc_pid_stat(5), field 22).
type Record struct {
	PID   int
	Start uint64
}

// looks is how often a process must be found to have ended before that is believed: one look may fall into the moment in which
// the kernel exchanges its first thread, and see part of the old one and part of the new.
const looks = 3

// Of returns the record of a process that runs now. The error is fs.ErrNotExist when there is none, or only its zombie.
func Of(pid int) (r Record, err error) {
	for range looks {
		if r, err = of(pid); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return Record{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return r, nil
}

// of is one look.
func of(pid int) (Record, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) {
		err = fs.ErrNotExist // it ended between open and read
	}
	if err != nil {
		return Record{}, err
	}
	state, threads, start, err := parseStat(string(stat))
	if err != nil {
		return Record{}, err
	}
	if state == "X" || state == "Z" && threads <= 1 {
		return Record{}, fs.ErrNotExist
	}
	return Record{PID: pid, Start: start}, nil
}

// Self returns the record of this process as the /proc that is mounted here sees it: a process that is 1 in a new PID
// namespace, but still has its parent's /proc, gets the parent's number for it.
func Self() (Record, error) {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return Record{}, fmt.Errorf("reading /proc/self: %w", err)
	}
	pid, err := strconv.Atoi(link)
	if err != nil {
		return Record{}, fmt.Errorf("reading /proc/self: %w", err)
	}
	return Of(pid)
}

// parseStat returns the state letter, the number of threads and the start time. The command's name stands in parentheses and may hold anything,
// parentheses included, so fields are counted from the last one.
func parseStat(stat string) (state string, threads int, start uint64, err error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 20 {
		return "", 0, 0, errors.New("stat has too few fields")
	}
	if threads, err = strconv.Atoi(fields[17]); err == nil {
		start, err = strconv.ParseUint(fields[19], 10, 64)
	}
	return fields[0], threads, start, err
}

// Alive says whether this very process still runs.
func (r Record) Alive() bool {
	now, err := Of(r.PID)
	return err == nil && now == r
}

// Signal sends sig to this very process; fs.ErrNotExist when it has ended. os.FindProcess holds a pidfd, so the number cannot
// come to mean another process between the check and the signal.
func (r Record) Signal(sig syscall.Signal) error {
	p, err := os.FindProcess(r.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", r.PID, err)
	}
	defer func() { _ = p.Release() }() // closes the pidfd; nothing is lost when that fails
	if !r.Alive() {
		return fmt.Errorf("process %d: %w", r.PID, fs.ErrNotExist)
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signalling process %d: %w", r.PID, err)
	}
	return nil
}

// killLimit bounds how long Kill waits for the end of a process that got SIGKILL.
const killLimit = 10 * time.Second

// Kill ends the process at once and waits until it is gone. A process that has ended already is no error.
func (r Record) Kill() error {
	if err := r.Signal(syscall.SIGKILL); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for end := time.Now().Add(killLimit); r.Alive(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("process %d still runs %v after SIGKILL", r.PID, killLimit)
		}
	}
	return nil
}

// Write stores the record in a file, whole or not at all.
func (r Record) Write(path string) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %d\n", r.PID, r.Start), 0o644); err != nil {
		return fmt.Errorf("recording process %d: %w", r.PID, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("recording process %d: %w", r.PID, err)
	}
	return nil
}

// Read returns the record in a file; fs.ErrNotExist when there is no file.
func Read(path string) (Record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("reading a process record: %w", err)
	}
	var r Record
	if _, err := fmt.Sscanf(string(text), "%d %d\n", &r.PID, &r.Start); err != nil || r.PID <= 1 {
		return Record{}, fmt.Errorf("%s: %q is not a process record", filepath.Base(path), text)
	}
	return r, nil
}

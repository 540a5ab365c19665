package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// clearAway ends and removes whatever a lab of this name left, from what it wrote down. It needs the lock, goes on after an
// error, and may be interrupted and called again. Without a state directory there is nothing of ours.
func clearAway(name string) error {
	dir := stateDir(name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return removeCovered(stateRoot) // an earlier attempt may have come this far
	}
	errs := []error{killRecorded(dir), removeCgroups(filepath.Join(dir, "cgroups"))}
	// Those that the lab wrote down, not those that it would make: another's namespace may have one of the names.
	namespaces, err := readLines(filepath.Join(dir, "namespaces"))
	errs = append(errs, err)
	for _, ns := range namespaces {
		errs = append(errs, deleteNS(ns))
	}
	errs = append(errs, unmountBelow(dir))
	if err := errors.Join(errs...); err != nil {
		return err // the files are what the next attempt needs
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the lab's directory: %w", err)
	}
	return removeCovered(stateRoot)
}

// killRecorded ends every process that recorded itself. The directory of records is moved away first, so that a process
// that is only about to record itself fails to, and ends (Lab.Start).
func killRecorded(dir string) error {
	ending := filepath.Join(dir, "pids-ending")
	if err := os.Mkdir(ending, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("ending processes: %w", err)
	}
	// A subdirectory each time: an earlier attempt that was interrupted may have left some.
	to := filepath.Join(ending, fmt.Sprint(time.Now().UnixNano()))
	if err := os.Rename(filepath.Join(dir, "pids"), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ending processes: %w", err)
	}
	records, err := filepath.Glob(filepath.Join(ending, "*", "*"))
	if err != nil {
		return fmt.Errorf("ending processes: %w", err)
	}
	errs := make([]error, len(records))
	var all sync.WaitGroup
	for i, path := range records {
		if strings.HasSuffix(path, ".tmp") {
			continue // its writer found no directory to rename it in
		}
		all.Go(func() {
			r, err := proc.Read(path)
			if err == nil {
				err = r.Kill()
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// deleteNS removes a named network namespace and the interfaces in it; one that is not there is no error.
func deleteNS(name string) error {
	if _, err := os.Stat(netnsPath(name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
		return fmt.Errorf("deleting namespace %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unmountBelow detaches mounts below a directory. The lab makes none that the machine could see; a leftover would have its
// contents deleted along with the directory, so this looks rather than trusts.
func unmountBelow(dir string) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("reading mounts: %w", err)
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// proc_pid_mountinfo(5): the mount point is field 5.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading mounts: %w", err)
	}
	slices.Reverse(points) // what was mounted last lies on top
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", p, err)
		}
	}
	return nil
}

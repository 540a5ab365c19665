package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// madeList names the directories that labs made on the machine because nodes mount their own over them (nodeinit.Covered). They
// stay empty, and go with the last lab: removing one while another lab's node has something mounted there would unmount it.
const madeList = "made-directories"

// makeCovered makes those of the directories that are not there, and notes each before.
func makeCovered(root string, dirs []string) error {
	return locked(root, func() error {
		for _, d := range dirs {
			for _, part := range ancestry(d) {
				if _, err := os.Stat(part); err == nil {
					continue
				}
				if err := addLine(filepath.Join(root, madeList), part); err != nil {
					return err
				}
				if err := os.Mkdir(part, 0o755); err != nil {
					return fmt.Errorf("preparing the machine: %w", err)
				}
			}
		}
		return nil
	})
}

// removeCovered removes the directories on the list, the last made first, unless there is a lab still. One that is not empty,
// or gone, is no longer ours to remove.
func removeCovered(root string) error {
	return locked(root, func() error {
		if labs, err := filepath.Glob(filepath.Join(root, "*", "lab.json")); err != nil || len(labs) > 0 {
			return err
		}
		list := filepath.Join(root, madeList)
		made, err := readLines(list)
		if err != nil || len(made) == 0 {
			return err
		}
		slices.Reverse(made)
		for _, d := range made {
			if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
				return fmt.Errorf("cleaning the machine: %w", err)
			}
		}
		return os.Remove(list)
	})
}

// ancestry is a path and every directory above it, the root's child first.
func ancestry(path string) []string {
	var all []string
	for ; path != "/" && path != "."; path = filepath.Dir(path) {
		all = append(all, path)
	}
	slices.Reverse(all)
	return all
}

// locked runs fn while no other process is in here with the same directory.
func locked(dir string, fn func() error) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("locking %s: %w", dir, err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", dir, err)
	}
	return fn()
}

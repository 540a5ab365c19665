package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Fault is something to be broken on purpose, and how to mend it. Mend must be right whenever it is run: before Do, after half
// of it, and twice.
type Fault struct {
	Do   []Step
	Mend []Step
}

// Step is a program run on a host of the lab, or a signal to one of its processes.
type Step struct {
	// NS is the network namespace of the host, Command what runs there, Input what it reads.
	NS      string   `json:",omitempty"`
	Command []string `json:",omitempty"`
	Input   string   `json:",omitempty"`
	// Process is a name as given to Start, Signal what it gets; a process that has ended needs no signal any more.
	Process string         `json:",omitempty"`
	Signal  syscall.Signal `json:",omitempty"`
}

// Break breaks something, under a name by which Heal mends it. How to mend it is written down first, so that HealAll can do it
// when the process that broke it has died.
func (l *Lab) Break(ctx context.Context, name string, f Fault) error {
	path := l.faultPath(name)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("fault %s: it is there already", name)
	}
	text, err := json.MarshalIndent(f.Mend, "", "  ")
	if err != nil {
		return fmt.Errorf("fault %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("fault %s: %w", name, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("fault %s: %w", name, err)
	}
	for _, s := range f.Do {
		if err := l.step(ctx, s); err != nil {
			return fmt.Errorf("fault %s: %w", name, err)
		}
	}
	return nil
}

// Heal mends a fault. One that is not there is no error. It goes on after an error and keeps the fault's name then.
func (l *Lab) Heal(ctx context.Context, name string) error {
	text, err := os.ReadFile(l.faultPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var mend []Step
	if err == nil {
		err = json.Unmarshal(text, &mend)
	}
	if err != nil {
		return fmt.Errorf("healing %s: %w", name, err)
	}
	var errs []error
	for _, s := range mend {
		errs = append(errs, l.step(ctx, s))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("healing %s: %w", name, err)
	}
	return os.Remove(l.faultPath(name))
}

// HealAll mends every fault that is there, those left by a process that died included.
func (l *Lab) HealAll(ctx context.Context) error {
	var errs []error
	for _, name := range l.Faults() {
		errs = append(errs, l.Heal(ctx, name))
	}
	return errors.Join(errs...)
}

// Faults are the names of what is broken now, sorted.
func (l *Lab) Faults() []string {
	entries, _ := os.ReadDir(l.path("faults")) // no directory, no faults
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (l *Lab) faultPath(name string) string { return l.path("faults", name+".json") }

// step does one step.
func (l *Lab) step(ctx context.Context, s Step) error {
	if s.Process != "" {
		if err := l.Signal(s.Process, s.Signal); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", s.NS}, s.Command...)...)
	cmd.Stdin = strings.NewReader(s.Input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(s.Command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

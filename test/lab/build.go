package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// heartbeat is how often a long build says that it goes on.
const heartbeat = 30 * time.Second

// Build builds what a lab runs and is not in the cache yet, and returns a directory with every program in it. The first time
// takes 10 to 15 minutes on two cores and about 6 GB for Go's caches; log says what is being built, and how long it may take
// still. Two processes do not build at the same time.
func Build(ctx context.Context, log io.Writer) (bin string, err error) {
	if log == nil {
		log = io.Discard
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	var jobs []job
	for _, t := range labTools() {
		more, err := t.jobs(root, cache)
		if err != nil {
			return "", err
		}
		jobs = append(jobs, more...)
	}
	unlock, err := lockBuild(ctx, cache, log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := buildAll(ctx, missing(jobs), log); err != nil {
		return "", err
	}
	return linkAll(ctx, root, cache, jobs)
}

// Tool builds one program that belongs to the workshop rather than to the lab (golangci-lint, promtool), unless the cache has
// it, and returns its path.
func Tool(ctx context.Context, name string, log io.Writer) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	for _, t := range append(otherTools(), labTools()...) {
		jobs, err := t.jobs(root, cache)
		if err != nil {
			return "", err
		}
		for _, j := range jobs {
			if j.name != name {
				continue
			}
			unlock, err := lockBuild(ctx, cache, log)
			if err != nil {
				return "", err
			}
			defer unlock()
			return j.out, buildAll(ctx, missing([]job{j}), log)
		}
	}
	return "", fmt.Errorf("there is no tool %q", name)
}

// lockBuild keeps a second builder waiting, and says so.
func lockBuild(ctx context.Context, cache string, log io.Writer) (unlock func(), err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	for said := false; ; said = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking the cache: %w", err)
		}
		if !said {
			fmt.Fprintln(log, "build: another process is building the lab's programs; waiting for it")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another build: %w", ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// missing are the jobs whose output is not there.
func missing(jobs []job) []job {
	var todo []job
	for _, j := range jobs {
		if _, err := os.Stat(j.out); err != nil {
			todo = append(todo, j)
		}
	}
	return todo
}

// buildAll builds one program after another: each keeps all cores busy by itself.
func buildAll(ctx context.Context, jobs []job, log io.Writer) error {
	p := newProgress(jobs)
	for i, j := range jobs {
		fmt.Fprintf(log, "build: [%d/%d] %s %s%s\n", i+1, len(jobs), j.name, j.version, p.text(time.Now()))
		if err := buildOne(ctx, j, func() {
			fmt.Fprintf(log, "build: [%d/%d] still at %s%s\n", i+1, len(jobs), j.name, p.text(time.Now()))
		}); err != nil {
			return err
		}
		p.done(time.Now())
	}
	if len(jobs) > 0 {
		fmt.Fprintf(log, "build: done after %s\n", clock(time.Since(p.begin)))
	}
	return nil
}

// buildOne builds to a temporary name first, so that a crash leaves no half program.
func buildOne(ctx context.Context, j job, beat func()) error {
	if err := os.MkdirAll(filepath.Dir(j.out), 0o755); err != nil {
		return fmt.Errorf("building %s: %w", j.name, err)
	}
	tmp := j.out + ".tmp"
	defer os.Remove(tmp)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", j.linkFlags(), "-o", tmp}
	if j.tags != "" {
		args = append(args, "-tags", j.tags)
	}
	cgo := "CGO_ENABLED=0"
	if j.cgo {
		cgo = "CGO_ENABLED=1"
	}
	ended := make(chan struct{})
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				beat()
			}
		}
	}()
	err := runGo(ctx, j.dir, cgo, append(args, j.pkg)...)
	close(ended)
	<-beating
	if err != nil {
		return fmt.Errorf("building %s %s: %w", j.name, j.version, err)
	}
	if err := os.Rename(tmp, j.out); err != nil {
		return fmt.Errorf("building %s: %w", j.name, err)
	}
	return nil
}

// runGo runs the go command; the error has the end of what it said.
func runGo(ctx context.Context, dir, cgo string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), cgo, "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	const most = 4000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(out)))
}

// linkAll makes the directory that a lab runs from: links to the cached programs, and those of this clone itself, built anew.
// Its name depends on both, so that clones and versions keep out of each other's way.
func linkAll(ctx context.Context, root, cache string, jobs []job) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, root)
	for _, j := range jobs {
		fmt.Fprintln(hash, j.out)
	}
	bin := filepath.Join(cache, "bin-"+hex.EncodeToString(hash.Sum(nil)[:6]))
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("linking programs: %w", err)
	}
	for _, j := range jobs {
		if err := os.Symlink(j.out, filepath.Join(bin, j.name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("linking programs: %w", err)
		}
	}
	err := runGo(ctx, root, "CGO_ENABLED=0", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin+"/",
		"./test/lab/cmd/lab", "./test/lab/workload/web", "./test/lab/workload/pause")
	if err != nil {
		return "", fmt.Errorf("building the lab's own programs: %w", err)
	}
	return bin, nil
}

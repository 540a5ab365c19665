package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/test/lab/image"
)

// target is one program for one platform, as Go names them.
type target struct{ program, os, arch string }

// targets are all that a release has: the plugin runs where its user sits.
func targets() []target {
	var all []target
	for _, arch := range []string{"amd64", "arm64"} {
		all = append(all, target{"steelyard-controller", "linux", arch}, target{"steelyard-speaker", "linux", arch})
	}
	for _, p := range []struct{ os, arch string }{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		all = append(all, target{"kubectl-steelyard", p.os, p.arch})
	}
	return all
}

// file is the target's name in the release.
func (t target) file() string {
	name := t.program + "-" + t.os + "-" + t.arch
	if t.os == "windows" {
		name += ".exe"
	}
	return name
}

// containers are the programs that have an image, and the user that each runs as. The speaker is root, with no capability but
// NET_RAW: a capability reaches a process of another user only through its file, and an image's files carry none everywhere.
func containers() []struct{ program, user string } {
	return []struct{ program, user string }{{"steelyard-controller", "65534:65534"}, {"steelyard-speaker", "0:0"}}
}

// source is a clone at a commit.
type source struct {
	dir      string
	settings string // file of git's settings
	version  string // the chart's appVersion, which is the tag of the images
	revision string
	time     time.Time // of the commit: every date in the release is this one
}

// clone puts a commit of the repository at root, such as HEAD, into dir, and git's settings beside it: those of who runs this have no say, and
// a clone that belongs to another user is fine, for it is what we were asked to build.
func clone(ctx context.Context, root, commit, dir string) (source, error) {
	s := source{dir: dir, settings: dir + ".gitconfig"}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return s, fmt.Errorf("making a place for a clone: %w", err)
	}
	if err := os.WriteFile(s.settings, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		return s, fmt.Errorf("writing git's settings: %w", err)
	}
	var err error
	if s.revision, err = s.git(ctx, root, "rev-parse", "--verify", commit+"^{commit}"); err != nil {
		return s, err
	}
	if _, err := s.git(ctx, root, "clone", "--quiet", "--shared", "--no-checkout", root, dir); err != nil {
		return s, err
	}
	if _, err := s.git(ctx, dir, "checkout", "--quiet", "--detach", s.revision); err != nil {
		return s, err
	}
	if err := s.readVersion(); err != nil {
		return s, err
	}
	seconds, err := s.git(ctx, dir, "log", "-1", "--format=%ct")
	if err != nil {
		return s, err
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return s, fmt.Errorf("reading the time of the commit: %w", err)
	}
	s.time = time.Unix(at, 0).UTC()
	tags, err := s.git(ctx, dir, "tag", "--points-at", "HEAD", "v*")
	if err != nil {
		return s, err
	}
	return s, checkTags(s.version, strings.Fields(tags))
}

// readVersion takes the version from the chart, of which the images have theirs.
func (s *source) readVersion() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "charts/steelyard/Chart.yaml"))
	if err != nil {
		return fmt.Errorf("reading the version: %w", err)
	}
	var chart struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return fmt.Errorf("reading the version: %w", err)
	}
	if chart.Version == "" || chart.Version != chart.AppVersion {
		return fmt.Errorf("the chart has version %q and appVersion %q: they are released under one number", chart.Version, chart.AppVersion)
	}
	s.version = chart.Version
	return nil
}

// checkTags refuses a tag of the commit that says another version than the chart.
func checkTags(version string, tags []string) error {
	for _, tag := range tags {
		if tag != "v"+version {
			return fmt.Errorf("the commit is tagged %s, and the chart says %s", tag, version)
		}
	}
	return nil
}

// build writes the release into dir.
func (s source) build(ctx context.Context, dir string, all []target) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	for _, t := range all {
		binary, err := s.compile(ctx, t)
		if err != nil {
			return err
		}
		if err := copyFile(binary, filepath.Join(dir, t.file())); err != nil {
			return err
		}
		if err := writeBOM(binary, t, s.version, filepath.Join(dir, t.file()+".cdx.json")); err != nil {
			return err
		}
	}
	if err := s.images(dir, all); err != nil {
		return err
	}
	if err := packChart(filepath.Join(s.dir, "charts/steelyard"), filepath.Join(dir, "steelyard-"+s.version+".tgz"), s.time); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(s.dir, "config/manifests/steelyard.yaml"), filepath.Join(dir, "steelyard.yaml")); err != nil {
		return err
	}
	return writeSums(dir)
}

// path is where compile puts a target: under its own name, which is that of the entry point in the image.
func (s source) path(t target) string { return filepath.Join(s.dir, "bin", t.os+"-"+t.arch, t.program) }

// compile builds one program. The environment is set as far as it has a say in the bytes.
func (s source) compile(ctx context.Context, t target) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", s.path(t), "./cmd/"+t.program)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	fmt.Fprintln(os.Stderr, "building", t.file())
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", t.file(), err, out)
	}
	return s.path(t), nil
}

// images writes an OCI archive of each container, of the architectures that were built.
func (s source) images(dir string, all []target) error {
	for _, c := range containers() {
		img := image.Image{Ref: "steelyard-lb/" + c.program + ":" + s.version, User: c.user, Created: s.time, Labels: map[string]string{
			"org.opencontainers.image.title": c.program, "org.opencontainers.image.version": s.version,
			"org.opencontainers.image.revision": s.revision, "org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source": "https://github.com/steelyard-lb/steelyard",
		}}
		for _, t := range all {
			if t.program == c.program {
				img.Binaries = append(img.Binaries, image.Binary{Arch: t.arch, Path: s.path(t)})
			}
		}
		if len(img.Binaries) == 0 {
			continue
		}
		if err := img.Write(filepath.Join(dir, c.program+"-"+s.version+".oci.tar")); err != nil {
			return err
		}
	}
	return nil
}

// git runs git in a directory and returns what it prints, without the line's end.
func (s source) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+s.settings, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

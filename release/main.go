// Command release builds everything of a release from the commit that is checked out: static binaries, container images for both
// architectures, the chart, the manifest, bills of materials and checksums. It does so twice, in two clones at different places,
// and refuses when a single byte differs, so that anybody can build the same release from the same commit with the same Go.
//
// What is not committed is not in it. Nothing is signed and nothing is uploaded.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/steelyard-lb/steelyard/test/lab"
)

func main() {
	out := flag.String("out", "dist", "directory to write to; it is replaced")
	platforms := flag.String("only", "", "for a try: build only for these platforms, such as linux/amd64, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	wanted, err := only(targets(), *platforms)
	if err == nil {
		err = run(ctx, *out, wanted)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run builds twice, compares, and puts the first build at out.
func run(ctx context.Context, out string, all []target) error {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "steelyard-release-")
	if err != nil {
		return fmt.Errorf("making a place to build: %w", err)
	}
	defer os.RemoveAll(work)
	var builds []string
	commit := "HEAD"
	// The second path is longer: what has a path in it shows.
	for _, name := range []string{"a", "another-place"} {
		dir := filepath.Join(work, name, "out")
		src, err := clone(ctx, root, commit, filepath.Join(work, name, "src"))
		if err != nil {
			return err
		}
		if err := src.build(ctx, dir, all); err != nil {
			return err
		}
		builds, commit = append(builds, dir), src.revision // HEAD may be another one by now
	}
	if err := same(builds[0], builds[1]); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("replacing %s: %w", out, err)
	}
	if err := os.CopyFS(out, os.DirFS(builds[0])); err != nil {
		return fmt.Errorf("writing %s: %w", out, err)
	}
	sums, err := os.ReadFile(filepath.Join(out, sumsFile))
	if err != nil {
		return fmt.Errorf("reading the checksums: %w", err)
	}
	fmt.Printf("built twice, the same bytes:\n%s", sums)
	return nil
}

// only keeps the targets of some platforms; all of them without a list. A platform that nothing is built for is an error.
func only(all []target, platforms string) ([]target, error) {
	if platforms == "" {
		return all, nil
	}
	var kept []target
	for p := range strings.SplitSeq(platforms, ",") {
		before := len(kept)
		for _, t := range all {
			if p == t.os+"/"+t.arch {
				kept = append(kept, t)
			}
		}
		if len(kept) == before {
			return nil, fmt.Errorf("--only: nothing is built for %q; want such as linux/amd64", p)
		}
	}
	return kept, nil
}

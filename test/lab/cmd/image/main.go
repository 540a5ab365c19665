// Command image writes an OCI archive that holds one static binary for this machine, without a container engine.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/steelyard-lb/steelyard/test/lab/image"
)

func main() {
	user := flag.String("user", "", "UID:GID that the program runs as; empty is root")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: image [-user UID:GID] REPOSITORY:TAG BINARY OUT.tar") }
	flag.Parse()
	if flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	img := image.Image{Ref: flag.Arg(0), User: *user, Binaries: []image.Binary{{Arch: runtime.GOARCH, Path: flag.Arg(1)}}}
	if err := img.Write(flag.Arg(2)); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	fmt.Println(flag.Arg(2))
}

// Command image writes an OCI archive that holds one static binary, without a container engine: image REF BINARY OUT.
package main

import (
	"fmt"
	"os"

	"github.com/steelyard-lb/steelyard/test/lab/image"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: image REPOSITORY:TAG BINARY OUT.tar")
		os.Exit(2)
	}
	if err := image.Build(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
	fmt.Println(os.Args[3])
}

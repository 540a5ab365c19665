package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBOM writes the bill of materials of a binary to out: CycloneDX, in JSON. It says what the compiler put in, as the binary
// itself tells, and not what go.mod allows. Without a date and a serial number it is the same for the same binary.
func writeBOM(binary string, t target, version, out string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading what %s is made of: %w", t.file(), err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading %s: %w", t.file(), err)
	}
	sum := sha256.Sum256(content)
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("writing the bill of materials: %w", err)
	}
	if err := cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom(info, t, version, hex.EncodeToString(sum[:]))); err != nil {
		return fmt.Errorf("writing the bill of materials of %s: %w", t.file(), err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the bill of materials: %w", err)
	}
	return nil
}

// bom lists the modules of a binary, and Go's own library.
func bom(info *debug.BuildInfo, t target, version, sha256 string) *cdx.BOM {
	self := cdx.Component{
		Type: cdx.ComponentTypeApplication, BOMRef: t.file(), Name: t.program, Version: version,
		PackageURL: packageURL(info.Main.Path, "v"+version),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sha256}},
		Properties: &[]cdx.Property{{Name: "go:platform", Value: t.os + "/" + t.arch}, {Name: "go:version", Value: info.GoVersion}},
	}
	parts := []cdx.Component{module("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		parts = append(parts, module(dep.Path, dep.Version, dep.Sum))
	}
	var refs []string
	for _, p := range parts {
		refs = append(refs, p.BOMRef)
	}
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &self}
	b.Components = &parts
	b.Dependencies = &[]cdx.Dependency{{Ref: self.BOMRef, Dependencies: &refs}}
	return b
}

// module is a library; sum is its line in go.sum.
func module(path, version, sum string) cdx.Component {
	c := cdx.Component{Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: packageURL(path, version), BOMRef: packageURL(path, version)}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}

// packageURL names a module as scanners do (package-url specification, type golang).
func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

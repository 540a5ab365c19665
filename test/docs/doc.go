// Package docs tests that the documentation is true where a machine can tell: links lead somewhere, commands exist, and the YAML
// that a reader copies is the YAML that the lab runs.
package docs

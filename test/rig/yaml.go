package rig

import _ "embed"

// Quickstart is the YAML with which a user begins: a pool, an advertisement and a Service, word for word as in the
// documentation of the API that Steelyard serves.
//
//go:embed quickstart.yaml
var Quickstart string

// Nginx is a workload for the Service in Quickstart.
//
//go:embed nginx.yaml
var Nginx string

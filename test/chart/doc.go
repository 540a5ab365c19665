// Package chart tests charts/steelyard and config/manifests/steelyard.yaml by rendering them with Helm: what a user gets, and that
// the copies in the chart are what the generators wrote. That a cluster accepts and runs it is for test/e2e.
//
// After a deliberate change of the chart: go test ./test/chart -update, and read the diff of testdata.
package chart

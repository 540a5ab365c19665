// Package monitoring tests what is shipped to watch Steelyard with: the metrics as docs/metrics.md lists them, the alerts and the
// dashboard in charts/steelyard/files/monitoring, and the page on what to do about an alert. What there is comes from the
// registries of the two programs, never from a list: a metric that is renamed breaks the alert that uses it here, and not at night.
package monitoring

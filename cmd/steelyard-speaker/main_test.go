package main

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/daemon"
)

func none(string) string { return "" }

func TestFlags(t *testing.T) {
	var o options
	env := map[string]string{"NODE_NAME": "node1", "POD_NAMESPACE": "lb", "STEELYARD_IGNORE_EXCLUDE_LB": "true"}
	if err := o.parse([]string{"--gossip-bind-address=192.0.2.1:7947", "--exclude-interfaces=^wg,^tun"}, func(k string) string { return env[k] }); err != nil {
		t.Fatal(err)
	}
	if o.node != "node1" || o.Namespace != "lb" || !o.ignoreExcludeLB {
		t.Errorf("from the environment: %+v", o)
	}
	if o.bind != netip.MustParseAddrPort("192.0.2.1:7947") || len(o.exclude) != 2 {
		t.Errorf("bind = %v, exclude = %v", o.bind, o.exclude)
	}
	if o.Metrics.Addr != ":17947" || o.ProbeAddr != "127.0.0.1:17948" {
		t.Errorf("metrics %s, probes %s", o.Metrics.Addr, o.ProbeAddr)
	}
}

func TestFlagMistakesAreOneClearLine(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no node name", nil, "NODE_NAME"},
		{"a broken regular expression", []string{"--node-name=a", "--exclude-interfaces=^eth,("}, "--exclude-interfaces=^eth,("},
		{"a host name to gossip on", []string{"--node-name=a", "--gossip-bind-address=host:7946"}, "want IP:PORT"},
		{"a wildcard", []string{"--node-name=a", "--gossip-bind-address=0.0.0.0:7946"}, "not a wildcard"},
		{"a port too large", []string{"--node-name=a", "--gossip-bind-address=:70000"}, "not a port"},
		{"kube-proxy asked at no URL", []string{"--node-name=a", "--kube-proxy-health-url=127.0.0.1:10256"}, "--kube-proxy-health-url=127.0.0.1:10256: want a URL"},
		{"an unknown flag", []string{"--node-name=a", "--frobnicate"}, "frobnicate"},
		{"an argument", []string{"--node-name=a", "now"}, "takes flags only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o options
			err := o.parse(c.args, none)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v, want one line that says %q", err, c.says)
			}
		})
	}
}

func TestParseBind(t *testing.T) {
	for in, want := range map[string]netip.AddrPort{
		"":                     {},
		":7947":                netip.AddrPortFrom(netip.Addr{}, 7947),
		"192.0.2.1":            netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 0),
		"192.0.2.1:7946":       netip.MustParseAddrPort("192.0.2.1:7946"),
		"[2001:db8::1]:7946":   netip.MustParseAddrPort("[2001:db8::1]:7946"),
		"2001:db8::1":          netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 0),
		"[::ffff:192.0.2.1]:1": netip.MustParseAddrPort("192.0.2.1:1"),
	} {
		if got, err := parseBind(in); err != nil || got != want {
			t.Errorf("parseBind(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestRunNamesAKeyFileThatIsMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere")
	o := options{Common: daemon.Common{LogLevel: "info", LogFormat: "text"}, keyFile: missing}
	if err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--gossip-key-file: ") || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v, want one that names the flag and %s", err, missing)
	}
}

func TestRunNamesAMissingKubeconfig(t *testing.T) {
	var o options
	missing := filepath.Join(t.TempDir(), "nowhere")
	if err := o.parse([]string{"--node-name=a", "--kubeconfig=" + missing}, none); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("run = %v, want an error that names %s", err, missing)
	}
}

func TestHelpTeachesTheDetectionTime(t *testing.T) {
	for _, want := range []string{"missed after 300ms", "800ms", "1.25s", "NET_RAW"} {
		if !strings.Contains(about(), want) {
			t.Errorf("--help does not say %s", want)
		}
	}
}

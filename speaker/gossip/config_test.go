package gossip

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func TestConfigurationMistakes(t *testing.T) {
	bind := netip.MustParseAddrPort("127.0.0.2:0")
	for _, c := range []struct {
		name string
		cfg  Config
		says string
	}{
		{"no node name", Config{Bind: bind}, "node name"},
		{"no address", Config{Node: "a"}, "want the address of this node"},
		{"a wildcard", Config{Node: "a", Bind: netip.MustParseAddrPort("0.0.0.0:7946")}, "not a wildcard"},
		{"an empty secret", Config{Node: "a", Bind: bind, Secret: []byte{}}, "the gossip key is empty"},
		{"a blank secret", Config{Node: "a", Bind: bind, Secret: []byte(" \n")}, "the gossip key is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v, want one that says %q", err, c.says)
			}
		})
	}
	taken, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r, err := New(Config{Node: "a", Bind: netip.MustParseAddrPort(taken.Addr().String()), Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("Run on a taken port = %v, want an error that names it", err)
	}
}

func TestKeyDependsOnEveryByte(t *testing.T) {
	long := strings.Repeat("x", 40)
	seen := map[string]string{}
	for _, s := range []string{"a", "b", "ab", long, long + "y", "z" + long} {
		k, err := Key([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		if len(k) != 32 {
			t.Errorf("key of %d bytes, want 32 for AES-256", len(k))
		}
		if bytes.Contains(k, []byte(s)) && len(s) > 1 {
			t.Errorf("the key contains the secret %q", s)
		}
		if other, ok := seen[string(k)]; ok {
			t.Errorf("%q and %q give one key", s, other)
		}
		seen[string(k)] = s
	}
	// RFC 5869 by hand is in the library's tests; this pins our choice of info and salt, on which old and new speakers must agree.
	k, _ := Key([]byte("steelyard"))
	if got := fmt.Sprintf("%x", k); got != "7faae280fbbd9d3898afb4e946bcd762d49f6e2a7a203e7bbfb2a167b75ed07e" {
		t.Errorf("key of \"steelyard\" = %s: speakers of another version can no longer be joined", got)
	}
}

func TestDetectionFormula(t *testing.T) {
	least, most := Fast().Detection(3)
	if least != 800*time.Millisecond || most != 1250*time.Millisecond {
		t.Errorf("Detection(3) = %v, %v, want 800ms, 1.25s", least, most)
	}
	if _, at100 := Fast().Detection(100); at100 <= most {
		t.Errorf("Detection(100) = %v, want more than for 3", at100)
	}
}

func TestProfilesAreOrderedBySpeedAndPrice(t *testing.T) {
	var before Profile
	for _, p := range Profiles() {
		if got, err := ParseProfile(p.Name); err != nil || got != p.Timing {
			t.Errorf("ParseProfile(%q) = %v, %v", p.Name, got, err)
		}
		if p.Timing.MissAfter < 2*p.Timing.PingInterval {
			t.Errorf("%s: one lost beat makes a node miss another", p.Name)
		}
		if before.Name != "" {
			_, noticed := p.Timing.Notice()
			_, noticedBefore := before.Timing.Notice()
			if noticed <= noticedBefore || p.Timing.Packets(10) >= before.Timing.Packets(10) {
				t.Errorf("%s notices within %v at %v packets a second, %s within %v at %v: want slower and cheaper", p.Name, noticed,
					p.Timing.Packets(10), before.Name, noticedBefore, before.Timing.Packets(10))
			}
		}
		before = p
	}
	if _, err := ParseProfile("quick"); err == nil || !strings.Contains(err.Error(), `["fast" "lan" "wan"]`) {
		t.Errorf("error = %v, want one that lists the names", err)
	}
	if got := Fast().Packets(1); got != 0 {
		t.Errorf("a lone speaker sends %v packets a second", got)
	}
}

func TestLimiterForgetsAndIsBounded(t *testing.T) {
	var l limiter
	now := time.Unix(0, 0)
	for i := range maxComplaints {
		if !l.allow(fmt.Sprint(i), now) {
			t.Fatalf("key %d is refused", i)
		}
	}
	if l.allow("0", now.Add(logInterval-1)) {
		t.Error("the same complaint twice within the interval")
	}
	if l.allow("one too many", now) {
		t.Error("memory is not bounded")
	}
	if !l.allow("0", now.Add(logInterval)) || !l.allow("one too many", now.Add(logInterval)) {
		t.Error("complaints are not let through again")
	}
}

package gossip

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestFactsRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []lb.Interface
		want []lb.Interface
	}{
		{"none", nil, nil},
		{"a plain node",
			[]lb.Interface{{Name: "eth0", Up: true, Prefixes: prefixes("192.168.1.0/24", "fd00:1::/64")}},
			[]lb.Interface{{Name: "eth0", Up: true, Prefixes: prefixes("192.168.1.0/24", "fd00:1::/64")}}},
		{"down, and without a prefix, sorted by name",
			[]lb.Interface{{Name: "wan", Up: true}, {Name: "eth1", Prefixes: prefixes("10.0.0.0/8")}},
			[]lb.Interface{{Name: "eth1", Prefixes: prefixes("10.0.0.0/8")}, {Name: "wan", Up: true}}},
		{"odd lengths",
			[]lb.Interface{{Name: "a", Prefixes: prefixes("0.0.0.0/0", "10.128.0.0/9", "192.0.2.1/32", "::/0", "2001:db8::/33", "2001:db8::1/128")}},
			[]lb.Interface{{Name: "a", Prefixes: prefixes("0.0.0.0/0", "10.128.0.0/9", "192.0.2.1/32", "::/0", "2001:db8::/33", "2001:db8::1/128")}}},
		{"host bits, doubles and link-local ones are not told",
			[]lb.Interface{{Name: "a", Prefixes: prefixes("fe80::1/64", "192.0.2.7/24", "192.0.2.9/24", "169.254.1.1/16")}},
			[]lb.Interface{{Name: "a", Prefixes: prefixes("192.0.2.0/24")}}},
		{"a name that Linux cannot have",
			[]lb.Interface{{Name: "an-interface-name-too-long"}, {Name: ""}, {Name: "fifteen-letters"}},
			[]lb.Interface{{Name: "fifteen-letters"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decodeFacts(encodeFacts(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, comparePrefixes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFactsThatDoNotFit(t *testing.T) {
	var many []lb.Interface
	for i := range 60 {
		itf := lb.Interface{Name: fmt.Sprintf("vlan%04d", i), Up: i%2 == 0}
		if i >= 50 {
			itf.Prefixes = prefixes(fmt.Sprintf("10.0.%d.0/24", i))
		}
		many = append(many, itf)
	}
	meta := encodeFacts(many)
	if len(meta) > maxFacts || len(meta) < maxFacts-20 {
		t.Errorf("%d bytes, want close to %d and not more", len(meta), maxFacts)
	}
	got, err := decodeFacts(meta)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, itf := range got {
		kept[itf.Name] = true
	}
	// Up with a prefix first, then up, then down with a prefix, then down: the last names go.
	for _, name := range []string{"vlan0050", "vlan0058", "vlan0000", "vlan0048", "vlan0051", "vlan0059"} {
		if !kept[name] {
			t.Errorf("%s was left out", name)
		}
	}
	if kept["vlan0049"] {
		t.Error("vlan0049, down and without a prefix, was kept")
	}
	if left := leftOut(many, got); left == "" {
		t.Error("nobody is told that interfaces were left out")
	}
	huge := lb.Interface{Name: "eth0", Up: true}
	for i := range 300 {
		huge.Prefixes = append(huge.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(i >> 8), 0}), 24))
	}
	small := lb.Interface{Name: "eth1", Up: true, Prefixes: prefixes("192.0.2.0/24")}
	got, err = decodeFacts(encodeFacts([]lb.Interface{huge, small}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]lb.Interface{small}, got, comparePrefixes); diff != "" {
		t.Errorf("an interface too large for the limit must not take the small ones with it (-want +got):\n%s", diff)
	}
}

func TestMalformedFacts(t *testing.T) {
	good := encodeFacts([]lb.Interface{{Name: "eth0", Up: true, Prefixes: prefixes("192.168.1.0/24", "fd00::/64")}})
	for _, c := range []struct {
		name string
		meta []byte
	}{
		{"empty", nil},
		{"another version", append([]byte{2}, good[1:]...)},
		{"a name of no bytes", []byte{1, 0, 'a', 1, 0}},
		{"a name too long", []byte{1, 16, 'a'}},
		{"an IPv4 prefix of 33 bits", []byte{1, 1, 'a', 1, 1, 33, 1, 2, 3, 4, 5}},
		{"an IPv6 prefix of 129 bits", append([]byte{1, 1, 'a', 1, 1, 193}, make([]byte, 17)...)},
		{"one interface twice", []byte{1, 1, 'a', 1, 0, 1, 'a', 1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := decodeFacts(c.meta); err == nil {
				t.Errorf("decoded to %v, want an error", got)
			}
		})
	}
	for n := 2; n < len(good); n++ {
		if got, err := decodeFacts(good[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes it decodes to %v, want an error", n, len(good), got)
		}
	}
}

// FuzzDecodeFacts feeds what an attacker or another version could send. What decodes must be something that we could have told.
func FuzzDecodeFacts(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeFacts([]lb.Interface{{Name: "eth0", Up: true, Prefixes: prefixes("192.168.1.0/24", "fd00::/64")}, {Name: "bond0"}}))
	f.Add([]byte{1, 1, 'a', 255, 1, 64})
	f.Fuzz(func(t *testing.T, meta []byte) {
		got, err := decodeFacts(meta)
		if err != nil {
			return
		}
		for _, itf := range got {
			if itf.Name == "" || len(itf.Name) > maxName {
				t.Errorf("name %q", itf.Name)
			}
			for _, p := range itf.Prefixes {
				if !p.IsValid() || p != p.Masked() {
					t.Errorf("prefix %v", p)
				}
			}
		}
		again, err := decodeFacts(encodeFacts(got))
		if err != nil {
			t.Fatalf("what was decoded does not survive a second round: %v", err)
		}
		if len(again) > len(got) {
			t.Errorf("%d interfaces became %d", len(got), len(again))
		}
	})
}

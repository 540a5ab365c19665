package adopt

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/doctor"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func addrs(texts ...string) []netip.Addr {
	out := []netip.Addr{}
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func service(name string, held ...string) lb.Service {
	return lb.Service{Name: lb.Name{Namespace: "default", Name: name}, Managed: true, Families: []lb.Family{lb.IPv4}, Policy: lb.SingleStack,
		Held: addrs(held...), Ports: []lb.Port{{Protocol: "TCP", Number: 80}}}
}

// lan is a cluster as MetalLB leaves it: one pool, an advertisement, two Services that share, and one with an address of its own.
func lan() Cluster {
	a, b := service("a", "192.0.2.1"), service("b", "192.0.2.1")
	a.SharingKey, b.SharingKey, b.Ports = "k", "k", []lb.Port{{Protocol: "TCP", Number: 443}}
	return Cluster{Advertisements: []lb.Advertisement{{Name: "l2"}},
		World: allocate.World{Namespaces: map[string]map[string]string{"default": nil}, Pools: []lb.Pool{{Name: "lan", AutoAssign: true, Ranges: []netipx.IPRange{netipx.RangeOfPrefix(netip.MustParsePrefix("192.0.2.0/29"))}}},
			Services: []lb.Service{a, b, service("c", "192.0.2.5")}}}
}

func TestWhatBecomesOfServices(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Cluster)
		want    string // "service verdict", those that do not keep what they have
		why     string
		changes int
	}{
		{"all keep their addresses", func(*Cluster) {}, "", "", 0},
		{"no pool has the address", func(c *Cluster) { c.World.Services[2].Held = addrs("198.51.100.1") }, "default/c changes", "198.51.100.1", 1},
		{"two that may not share have one address", func(c *Cluster) { c.World.Services[1].SharingKey = "other" }, "default/b changes", "", 1},
		{"one that waits goes on waiting", func(c *Cluster) {
			c.World.Services[2].Held, c.World.Services[2].RequestedPool = nil, "none"
		}, "default/c waits", "UnknownPool", 0},
		{"one that waits gets an address", func(c *Cluster) { c.World.Services[2].Held = nil }, "default/c gains", "", 1},
		{"a pool is announced by BGP only", func(c *Cluster) { c.Advertisements = nil }, "default/a silent, default/b silent, default/c silent", "no L2Advertisement", 3},
		{"an advertisement is about other Services", func(c *Cluster) {
			c.Advertisements[0].ServiceSelectors = []lb.Selector{{{Key: "app", Op: lb.Exists}}}
			c.World.Services[0].Labels = map[string]string{"app": "x"}
			c.World.Services[1].Labels = map[string]string{"app": "x"}
		}, "default/c silent", "", 1},
		{"a Service that is no LoadBalancer any more", func(c *Cluster) {
			c.World.Services[2].Managed, c.World.Services[2].Held = false, nil
		}, "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := lan()
			c.change(&in)
			r := Check(in)
			var got []string
			why := ""
			for _, s := range r.Services {
				if s.Verdict != Keeps {
					got, why = append(got, s.Service+" "+s.Verdict), why+s.Why
				}
			}
			if strings.Join(got, ", ") != c.want || !strings.Contains(why, c.why) || r.Changes != c.changes {
				t.Errorf("%v because %q, %d changes; want %q because %q, %d", got, why, r.Changes, c.want, c.why, c.changes)
			}
		})
	}
}

func TestSharedAddressesCountOnce(t *testing.T) {
	r := Check(lan())
	if r.Kept != 2 || r.Held != 2 || len(r.Services) != 3 {
		t.Errorf("%d of %d addresses kept by %d Services, want 2 of 2 by 3", r.Kept, r.Held, len(r.Services))
	}
}

func TestWhatIsNotTakenOver(t *testing.T) {
	speaker := func(args ...string) func(*Cluster) {
		return func(c *Cluster) {
			c.Workloads = []doctor.Workload{{Kind: "DaemonSet", Namespace: "m", Name: "speaker", Args: args}}
		}
	}
	other := func(kind string) func(*Cluster) {
		return func(c *Cluster) { c.Others = []Object{{Kind: kind, Namespace: "m", Name: "x"}} }
	}
	for _, c := range []struct {
		name   string
		change func(*Cluster)
		want   Setting // What need only be a part
	}{
		{"a BGP peer", other("BGPPeer"), Setting{"BGPPeer m/x", "its session ends", "", true}},
		{"a BGP advertisement", other("BGPAdvertisement"), Setting{"BGPAdvertisement m/x", "its routes go", "", true}},
		{"a BFD profile", other("BFDProfile"), Setting{"BFDProfile m/x", "means nothing", "", false}},
		{"a community", other("Community"), Setting{"Community m/x", "means nothing", "", false}},
		{"an AddressPool of old versions", other("AddressPool"), Setting{"AddressPool m/x", "old versions", "write it as an IPAddressPool and an L2Advertisement", true}},
		{"a status of BGP", other("ServiceBGPStatus"), Setting{"ServiceBGPStatus m/x", "nobody writes", "kubectl -n m delete servicebgpstatus x", false}},
		{"a state of the configuration", other("ConfigurationState"), Setting{"ConfigurationState m/x", "nobody writes", "kubectl -n m delete configurationstate x", false}},
		{"a class", speaker("--port=7472", "--lb-class=gold"), Setting{"DaemonSet m/speaker", "class", "--set loadBalancerClass=gold", false}},
		{"excluded nodes that answer", speaker("--ignore-exclude-lb=true"), Setting{"DaemonSet m/speaker", "exclude-from", "--set speaker.ignoreExcludeLB=true", false}},
		{"another gossip port", speaker("--ml-bindport=7000"), Setting{"DaemonSet m/speaker", "port 7000", "", false}},
		{"gossip over long distances", speaker("--ml-wan-config"), Setting{"DaemonSet m/speaker", "long distances", "--set gossip.profile=wan", false}},
		{"interfaces of one's own", func(c *Cluster) { c.Excluded = []string{"^wlan.*"} }, Setting{"ConfigMap metallb-excludel2", "interfaces", `--set-json 'speaker.excludeInterfaces=["^wlan.*"]'`, false}},
		{"what could not be read", func(c *Cluster) { c.Unread = []doctor.Unread{{What: "DaemonSets", Why: "forbidden"}} }, Setting{"DaemonSets", "forbidden", "", false}},
		{"a pool with a mistake", func(c *Cluster) { c.World.Pools[0].Problems = []lb.Problem{{Reason: "Invalid", Message: "no"}} }, Setting{"IPAddressPool lan", "Invalid: no", "", true}},
		{"an advertisement with a mistake", func(c *Cluster) { c.Advertisements[0].Problems = []lb.Problem{{Reason: "Invalid", Message: "no"}} }, Setting{"L2Advertisement l2", "Invalid: no", "", true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := lan()
			c.change(&in)
			r := Check(in)
			if len(r.Settings) != 1 {
				t.Fatalf("%+v, want one", r.Settings)
			}
			got := r.Settings[0]
			if !strings.Contains(got.What, c.want.What) {
				t.Errorf("it says %q, want %q", got.What, c.want.What)
			}
			got.What = c.want.What
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if changes := map[bool]int{true: 1}[c.want.Changes]; r.Changes != changes {
				t.Errorf("%d changes, want %d", r.Changes, changes)
			}
		})
	}
}

func TestWhatMetalLBHasByDefaultIsNoSetting(t *testing.T) {
	in := lan()
	in.Excluded = defaultExcluded()
	slices.Reverse(in.Excluded)
	in.Workloads = []doctor.Workload{{Args: []string{"--port=7472", "--log-level=info", "--ignore-exclude-lb=false"}, Env: []string{"METALLB_BGP_TYPE=native"}}}
	in.Others = []Object{{Kind: "Lease"}}
	if r := Check(in); len(r.Settings) > 0 {
		t.Errorf("%+v", r.Settings)
	}
}

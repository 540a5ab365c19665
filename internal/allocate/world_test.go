package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// at is a creation time: the larger n, the younger.
func at(n int) time.Time { return time.Unix(int64(n), 0) }

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// aPool is an auto-assigning pool that everybody may use. Ranges are CIDRs or first-last.
func aPool(name string, ranges ...string) lb.Pool {
	p := lb.Pool{Name: name, AutoAssign: true}
	for _, r := range ranges {
		if strings.Contains(r, "/") {
			p.Ranges = append(p.Ranges, netipx.RangeOfPrefix(netip.MustParsePrefix(r)))
		} else {
			p.Ranges = append(p.Ranges, netipx.MustParseIPRange(r))
		}
	}
	return p
}

// with is the pool changed.
func with(p lb.Pool, changes ...func(*lb.Pool)) lb.Pool {
	for _, c := range changes {
		c(&p)
	}
	return p
}

func avoidingBuggyIPs(p *lb.Pool)  { p.AvoidBuggyIPs = true }
func withoutAutoAssign(p *lb.Pool) { p.AutoAssign = false }

// twoNamespaces are those of most tests, with their labels.
func twoNamespaces() map[string]map[string]string {
	return map[string]map[string]string{"default": {"team": "a"}, "other": {"team": "b"}}
}

type option func(*lb.Service)

// aService is an IPv4 Service in namespace default with TCP port 80, created at 0. The order of calls does not matter: give created.
func aService(name string, opts ...option) lb.Service {
	s := lb.Service{
		Name: lb.Name{Namespace: "default", Name: name}, UID: "uid-" + name, Created: at(0), Managed: true,
		Families: []lb.Family{lb.IPv4}, Policy: lb.SingleStack, Ports: []lb.Port{{Protocol: "TCP", Number: 80}},
	}
	for _, o := range opts {
		o(&s)
	}
	return s
}

func created(n int) option { return func(s *lb.Service) { s.Created = at(n) } }
func holds(list ...string) option {
	return func(s *lb.Service) { s.Held = addrs(list...) }
}
func asks(list ...string) option {
	return func(s *lb.Service) { s.Requested = addrs(list...) }
}
func fromPool(name string) option { return func(s *lb.Service) { s.RequestedPool = name } }
func key(k string) option         { return func(s *lb.Service) { s.SharingKey = k } }
func local(selector string) option {
	return func(s *lb.Service) { s.Local, s.Selector = true, selector }
}
func selector(sel string) option { return func(s *lb.Service) { s.Selector = sel } }
func ports(list ...string) option {
	return func(s *lb.Service) {
		s.Ports = nil
		for _, p := range list {
			proto, n, _ := strings.Cut(p, "/")
			var port lb.Port
			if _, err := fmt.Sscan(n, &port.Number); err != nil {
				panic(err)
			}
			port.Protocol = proto
			s.Ports = append(s.Ports, port)
		}
	}
}
func ipv6(s *lb.Service) { s.Families = []lb.Family{lb.IPv6} }
func prefersDual(s *lb.Service) {
	s.Families, s.Policy = []lb.Family{lb.IPv4, lb.IPv6}, lb.PreferDualStack
}
func requiresDual(s *lb.Service) {
	s.Families, s.Policy = []lb.Family{lb.IPv4, lb.IPv6}, lb.RequireDualStack
}
func ipv6First(s *lb.Service)     { s.Families = []lb.Family{lb.IPv6, lb.IPv4} }
func inNamespace(n string) option { return func(s *lb.Service) { s.Name.Namespace = n } }
func labelled(k, v string) option {
	return func(s *lb.Service) { s.Labels = map[string]string{k: v} }
}

// say writes what each Service gets: "web=192.0.2.1 api=-:Exhausted", an address list in ingress order, the reason of a
// problem after a colon. Names are sorted.
func say(r Result) string {
	var out []string
	for _, a := range r.Services {
		var list []string
		for _, addr := range a.Addresses {
			list = append(list, addr.String())
		}
		s := strings.Join(list, ",")
		if s == "" {
			s = "-"
		}
		if a.Problem != nil {
			s += ":" + string(a.Problem.Reason)
		}
		out = append(out, a.Service.Name+"="+s)
	}
	return strings.Join(out, " ")
}

// apply writes a Result into a copy of the World, as the controller would: what is released is remembered as freed lately.
func apply(w World, r Result) World {
	out := World{Pools: w.Pools, Namespaces: w.Namespaces, Recent: slices.Clone(w.Recent), Conflicts: w.Conflicts}
	for _, u := range r.Pools {
		out.Retained = append(out.Retained, u.Retained...)
	}
	for _, s := range w.Services {
		a := find(r, s.Name)
		s.Held, s.HeldFrom = a.Addresses, a.Pool
		for _, released := range a.Released {
			out.Recent = append(out.Recent, released.Address)
		}
		out.Services = append(out.Services, s)
	}
	return out
}

func find(r Result, n lb.Name) Assignment {
	i := slices.IndexFunc(r.Services, func(a Assignment) bool { return a.Service == n })
	return r.Services[i]
}

func usage(t *testing.T, r Result, pool string) Usage {
	t.Helper()
	for _, u := range r.Pools {
		if u.Pool == pool {
			return u
		}
	}
	t.Fatalf("no usage of pool %s in %v", pool, r.Pools)
	return Usage{}
}

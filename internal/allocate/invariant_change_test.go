package allocate

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// checkAfter: whoever is given an address that another one gives up in the same plan waits for its release.
func checkAfter(w World, r Result) error {
	for _, a := range r.Services {
		for _, addr := range a.Assigned {
			for _, s := range w.Services {
				leaves := slices.Contains(s.Held, addr) && !slices.Contains(find(r, s.Name).Addresses, addr)
				if leaves && !slices.Contains(a.After, s.Name) {
					return fmt.Errorf("%v is given %v and does not wait for %v to release it", a.Service, addr, s.Name)
				}
			}
		}
	}
	return nil
}

// checkHalfWritten: when only some of a plan's statuses could be written, the next plan takes back none of them. Those that were not
// written are every second one, and whoever waits for one of them. Of an address that two had before, the older one may still have to
// keep what it was to leave.
func checkHalfWritten(w World, r Result) error {
	written := map[lb.Name]bool{}
	for i, a := range r.Services {
		written[a.Service] = i%2 == 0
	}
	for again := true; again; {
		again = false
		for _, a := range r.Services {
			if written[a.Service] && slices.ContainsFunc(a.After, func(n lb.Name) bool { return !written[n] }) {
				written[a.Service], again = false, true
			}
		}
	}
	half := w
	half.Services = slices.Clone(w.Services)
	for i, s := range half.Services {
		if written[s.Name] {
			half.Services[i].Held = find(r, s.Name).Addresses
		}
	}
	for i, a := range Plan(half).Services {
		before, s := r.Services[i], serviceOf(w, a.Service)
		settled := before.Complete || len(s.Requested) == 0 && s.RequestedPool == ""
		contested := slices.ContainsFunc(a.Released, func(x Release) bool { return heldByTwo(w, x.Address) })
		if written[a.Service] && settled && len(a.Released) > 0 && !contested {
			return fmt.Errorf("with half of the plan written, %v must give up %v again", a.Service, a.Released)
		}
	}
	return nil
}

// heldByTwo says whether two Services have an address in their status.
func heldByTwo(w World, addr netip.Addr) bool {
	n := 0
	for _, s := range w.Services {
		if slices.Contains(s.Held, addr) {
			n++
		}
	}
	return n > 1
}

// newcomers are fresh Services of several kinds, all older than those of the world, so that nothing but being late keeps them from
// being served first.
func newcomers(w World) []lb.Service {
	out := []lb.Service{aService("", prefersDual), aService("", requiresDual, inNamespace("other"), labelled("tier", "gold"))}
	if len(w.Pools) > 0 {
		out = append(out, aService("", fromPool(w.Pools[0].Name), ipv6))
	}
	for _, s := range w.Services {
		if len(s.Held) > 0 {
			asking := aService("", prefersDual, key(s.SharingKey), ports("TCP/9"), func(n *lb.Service) { n.Local, n.Selector = s.Local, s.Selector })
			out = append(out, asking)
			asking.Requested = s.Held[:1]
			out = append(out, asking)
			break
		}
	}
	for i := range out {
		out[i].Name.Name, out[i].Created = "newcomer", at(-1)
	}
	return out
}

// checkNewcomers: a fresh Service, added to a settled world, moves nobody and takes nothing from anybody.
func checkNewcomers(settled World, r Result) error {
	for _, fresh := range newcomers(settled) {
		w := settled
		w.Services = append(slices.Clone(settled.Services), fresh)
		for _, a := range Plan(w).Services {
			if a.Service == fresh.Name {
				continue
			}
			b := find(r, a.Service)
			if n := len(b.Addresses); len(a.Addresses) < n || !slices.Equal(a.Addresses[:n], b.Addresses) {
				return fmt.Errorf("adding %+v moves %v from %v to %v", fresh, a.Service, b.Addresses, a.Addresses)
			}
		}
	}
	return nil
}

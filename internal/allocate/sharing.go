package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// holding is an address in use, and by whom. Several Services may hold one address when each two of them have
//
//	the same sharing key, not empty   and   no common (protocol, port)   and   the same backends
//
// where "the same backends" means: both externalTrafficPolicy Cluster, or both Local with an equal selector. A node that
// answers for the address must be able to serve all of them, and with Local it can only when they are the same pods.
type holding struct {
	by    []*service // the oldest first, so that messages name the same one in every plan; never empty
	ports map[lb.Port]*service
}

// admits says whether s can hold the address too.
func (h *holding) admits(s *service) bool {
	with, _ := h.conflict(s)
	return with == nil
}

// conflict returns the Service because of which s cannot hold the address too, or nil. why reads on from its name, speaks of
// s alone, and is "" when nobody wants to share.
func (h *holding) conflict(s *service) (with *service, why string) {
	if h == nil || (len(h.by) == 1 && h.by[0] == s) {
		return nil, ""
	}
	first := h.by[0] // all holders agree with the first in key and backends
	switch {
	case s.SharingKey == "" || first.SharingKey == "":
		return first, ""
	case s.SharingKey != first.SharingKey:
		return first, fmt.Sprintf(", whose sharing key is not %q", s.SharingKey)
	case s.Local != first.Local:
		return first, ", whose externalTrafficPolicy differs"
	case s.Local && s.Selector != first.Selector:
		return first, ", whose selector differs (externalTrafficPolicy is Local)"
	}
	for _, port := range s.Ports {
		if o := h.ports[port]; o != nil && o != s {
			return o, fmt.Sprintf(", which uses %s port %d too", port.Protocol, port.Number)
		}
	}
	return nil, ""
}

func (h *holding) add(s *service) {
	i, _ := slices.BinarySearchFunc(h.by, s, byAge)
	h.by = slices.Insert(h.by, i, s)
	if s.SharingKey == "" {
		return
	}
	if h.ports == nil {
		h.ports = map[lb.Port]*service{}
	}
	for _, port := range s.Ports {
		h.ports[port] = s
	}
}

func (h *holding) remove(s *service) {
	h.by = slices.DeleteFunc(h.by, func(o *service) bool { return o == s })
	for _, port := range s.Ports {
		if h.ports[port] == s {
			delete(h.ports, port)
		}
	}
}

type groupKey struct {
	family int
	key    string
}

// group is the addresses of one pool and family that are held under one sharing key, in the order in which they came.
type group struct {
	addrs []netip.Addr
	// tried remembers, for Services that are alike in what sharing looks at, how many of addrs cannot take another such
	// Service. While nobody leaves an address it only grows, which keeps thousands of Services with one key cheap.
	tried map[string]int
}

// likeness is equal for two Services that could share with exactly the same others.
func (s *service) likeness() string {
	if s.alike == "" {
		var b strings.Builder
		fmt.Fprintf(&b, "%v %q", s.Local, s.Selector)
		for _, p := range s.Ports {
			fmt.Fprintf(&b, " %s/%d", p.Protocol, p.Number)
		}
		s.alike = b.String()
	}
	return s.alike
}

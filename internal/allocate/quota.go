package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// quota is an lb.Quota and what its group of namespaces holds of the pool.
type quota struct {
	lb.Quota
	index int
	// held counts, for each distinct address, the Services of the group that hold it. What is held counts, whoever admitted
	// it, and may be more than Max: a quota takes nothing away.
	held map[netip.Addr]int
}

func newQuotas(p lb.Pool) []*quota {
	var out []*quota
	for i, q := range p.Quotas {
		out = append(out, &quota{Quota: q, index: i, held: map[netip.Addr]int{}})
	}
	return out
}

// covers says whether a namespace is in the group.
func (q *quota) covers(namespace string, namespaces map[string]map[string]string) bool {
	return len(q.Namespaces)+len(q.NamespaceSelectors) == 0 || listed(q.Namespaces, q.NamespaceSelectors, namespace, namespaces)
}

// listed says whether a namespace is in the list or selected. One that is not known is selected by nothing.
func listed(names []string, selectors []lb.Selector, namespace string, namespaces map[string]map[string]string) bool {
	labels, known := namespaces[namespace]
	return slices.Contains(names, namespace) || (known && lb.AnyMatches(selectors, labels))
}

// String names the quota for a message, such as "quota of 3 for namespaces shop (quotas[0])".
func (q *quota) String() string {
	whose := "all namespaces"
	switch {
	case len(q.Namespaces) > 0 && len(q.NamespaceSelectors) > 0:
		whose = "namespaces " + strings.Join(q.Namespaces, ", ") + " and those selected"
	case len(q.Namespaces) > 0:
		whose = "namespaces " + strings.Join(q.Namespaces, ", ")
	case len(q.NamespaceSelectors) > 0:
		whose = "the namespaces selected"
	}
	return fmt.Sprintf("quota of %d for %s (quotas[%d])", q.Max, whose, q.index)
}

// use is how much of the quota is used, such as "3 in use".
func (q *quota) use() string { return fmt.Sprintf("%d in use", len(q.held)) }

// count adds n (1 or -1) holders of a place to the quotas that s is under.
func (p *planner) count(s *service, pl place, n int) {
	for _, q := range pl.span.pool.quotas {
		if !q.covers(s.Name.Namespace, p.namespaces) {
			continue
		}
		if q.held[pl.addr] += n; q.held[pl.addr] == 0 {
			delete(q.held, pl.addr)
		}
	}
}

// exceeds returns the quota of pool that would be exceeded if s had the places next instead of its present ones (a zero
// place leaves the family as it is), or nil. What s leaves makes room; what its group holds already costs nothing.
func (p *planner) exceeds(s *service, pool *pool, next [2]place) *quota {
	for _, q := range pool.quotas {
		if !q.covers(s.Name.Namespace, p.namespaces) {
			continue
		}
		n, grows := len(q.held), false
		for f, pl := range next {
			if !pl.ok() {
				continue
			}
			if old := s.at[f]; old.ok() && old.addr != pl.addr && old.span.pool == pool && q.held[old.addr] == 1 {
				n--
			}
			if pl.span.pool == pool && q.held[pl.addr] == 0 {
				n, grows = n+1, true
			}
		}
		if grows && n > q.Max {
			return q
		}
	}
	return nil
}

// usedUp returns the quota that leaves s no room for new addresses in that many families of pool, or nil.
func (p *planner) usedUp(s *service, pool *pool, families int) *quota {
	for _, q := range pool.quotas {
		if len(q.held)+families > q.Max && q.covers(s.Name.Namespace, p.namespaces) {
			return q
		}
	}
	return nil
}

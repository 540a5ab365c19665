package allocate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// obstacle is what keeps a pool from serving a Service. A message names the pools in this order: what its reader can do
// something about comes first.
//
//	overQuota     raise the quota, or delete a Service of its namespaces
//	noneFree      add a range to the pool, or delete a Service
//	notAutomatic  ask for the pool by its name
//	notAdmitted   agree with whoever wrote the pool's selectors
//	noAddresses   add a range of that family, or take it that the pool is for others
type obstacle int

const (
	overQuota obstacle = iota
	noneFree
	notAutomatic
	notAdmitted
	noAddresses
)

// rejection is why one pool does not serve a Service; why reads on from the pool's name. It says nothing that changes while the
// obstacle stays: thousands may be told of one pool, and each change of a word is one write for each of them.
type rejection struct {
	obstacle
	why string
}

// wait is what the rejections of a Service depend on, besides the finished plan: thousands of Services may wait at hundreds of
// pools, and those that are alike in it are told the same.
type wait struct {
	namespace, pool, labels string // labels only when some pool selects by them
	policy                  lb.FamilyPolicy
	lacks                   [2]bool // by family
	first                   int     // of lacks, the one that is named first
}

// answer is what a Service that waits is told, and the pools that would serve it if they were not full.
type answer struct {
	lb.Problem
	full []*pool
}

func (p *planner) wait(s *service, lacks []int) wait {
	out := wait{namespace: s.Name.Namespace, pool: s.RequestedPool, policy: s.Policy, first: lacks[0]}
	for _, f := range lacks {
		out.lacks[f] = true
	}
	for _, pool := range p.pools {
		if pool.Allocation != nil && len(pool.Allocation.ServiceSelectors) > 0 {
			out.labels = fmt.Sprintf("%q", s.Labels) // sorted by key
			break
		}
	}
	return out
}

// reject says why pool does not serve s in the families that s lacks; now is Consideration.Now.
func (p *planner) reject(s *service, pool *pool, lacks []int) (r rejection, now string) {
	if why := pool.refuses(s.Service, p.namespaces); why != "" {
		return rejection{notAdmitted, why}, ""
	}
	if s.RequestedPool == "" && !pool.AutoAssign {
		return rejection{notAutomatic, "has autoAssign off"}, ""
	}
	var taken []int
	var missing []string
	for _, f := range lacks {
		if pool.total[f] == (count{}) {
			missing = append(missing, fmt.Sprintf("has no %v addresses%s", familyOf(f), pool.besides(f)))
		} else {
			taken = append(taken, f)
		}
	}
	has := len(taken)
	if has == 0 {
		return rejection{noAddresses, strings.Join(missing, " and ")}, ""
	}
	if s.Policy != lb.RequireDualStack {
		has = 1 // one would do
	}
	if q := p.usedUp(s, pool, has); q != nil {
		return rejection{overQuota, fmt.Sprintf("has no room in its %v", q)}, q.use()
	}
	return rejection{noneFree, strings.Join(append([]string{"is full"}, missing...), " and ")}, pool.occupants(taken...)
}

// besides says why a pool has nothing to hand out of a family of which its spec has addresses.
func (p *pool) besides(f int) string {
	written := slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return slotOf(lb.FamilyOf(r.From())) == f })
	switch {
	case p.setAside[f] != (count{}):
		return " that are not reserved"
	case p.overlaid[f]:
		return " that no older pool has"
	case written && p.AvoidBuggyIPs:
		return " that avoidBuggyIPs does not leave out"
	}
	return ""
}

// occupants says what became of the addresses of some families: "254 IPv4 in use, 2 reserved and 9 IPv6 in use".
func (p *pool) occupants(families ...int) string {
	var all []string
	for _, f := range families {
		out := fmt.Sprintf("%d %v in use", p.inUse[f], familyOf(f))
		if n := p.setAside[f].sub(count{lo: uint64(p.apart[f])}).int64(); n > 0 {
			out += fmt.Sprintf(", %d reserved", n)
		}
		if n := p.retaining[f]; n > 0 {
			out += fmt.Sprintf(", %d kept for deleted Services", n)
		}
		if n := p.avoiding[f]; n > 0 {
			out += fmt.Sprintf(", %d in conflict", n)
		}
		all = append(all, out)
	}
	return strings.Join(all, " and ")
}

// reason is the one of a Service whose least obstacle is o.
func (o obstacle) reason() lb.Reason {
	switch o {
	case overQuota:
		return ReasonQuotaExceeded
	case noneFree:
		return ReasonExhausted
	}
	return ReasonNoUsablePool
}

// rejections are the names of the pools, sorted, that reject a Service for the same reason.
type rejections map[rejection][]string

// tell names every pool and why: by obstacle, of one obstacle the shortest line first, and then by its words. It returns the
// first obstacle too.
func (r rejections) tell() (first obstacle, message string) {
	type line struct {
		obstacle
		text string
	}
	var lines []line
	for rejected, pools := range r {
		text := pools[0] + " " + rejected.why
		if len(pools) > 1 {
			text = strings.Join(pools, ", ") + ": each " + rejected.why
		}
		lines = append(lines, line{rejected.obstacle, text})
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.obstacle, b.obstacle), cmp.Compare(len(a.text), len(b.text)), cmp.Compare(a.text, b.text))
	})
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.text)
	}
	return lines[0].obstacle, strings.Join(texts, "; ")
}

package allocate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func problem(r lb.Reason, format string, args ...any) *lb.Problem {
	return &lb.Problem{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// explain says, from the finished plan, whether s has what it asks for, and why not. The words come from
// the finished plan alone, so that the same world always gives the same ones. Services that wait are counted at the pools
// that could serve them.
func (p *planner) explain(s *service) (complete bool, why *lb.Problem, now string) {
	if !s.Managed || s.Deleting {
		return true, nil, ""
	}
	complete, why, now = p.judge(s)
	if held := s.ingress(); !complete && len(held) > 0 {
		var list []string
		for _, a := range held {
			list = append(list, a.String())
		}
		why = problem(why.Reason, "%s; keeps %s", why.Message, strings.Join(list, " and "))
	}
	return complete, why, now
}

// judge is explain without a word about what s has.
func (p *planner) judge(s *service) (complete bool, why *lb.Problem, now string) {
	switch {
	case len(s.Problems) > 0:
		return false, &s.Problems[0], ""
	case len(s.Families) == 0:
		return false, problem(ReasonNoClusterIP, "the Service has no cluster IP; a headless Service cannot have an external address"), ""
	case s.Policy == lb.RequireDualStack && len(s.Families) < 2:
		return false, problem(ReasonNotDualStack, "ipFamilyPolicy is RequireDualStack and the Service has an %v cluster IP only", s.Families[0]), ""
	}
	for _, a := range s.Requested {
		if f := slotOf(lb.FamilyOf(a)); s.at[f].addr != a || !s.asAsked(f) {
			if why, now := p.refusal(s, a); why != nil {
				return false, why, now
			}
		}
	}
	lacks := p.lacking(s)
	if len(lacks) == 0 {
		return true, p.irregular(s), ""
	}
	return false, p.explainPools(s, lacks), ""
}

// lacking returns the families in which s waits. The second family of PreferDualStack is a wish, not a want.
func (p *planner) lacking(s *service) []int {
	want := s.wants()
	if s.Policy == lb.RequireDualStack {
		out := slices.DeleteFunc(slices.Clone(want), func(f int) bool { return !s.at[f].ok() && p.available(s, f) })
		if len(out) == 0 {
			return want // each family alone could be had, and a quota has room for one only
		}
		return out
	}
	if len(s.Families) == 2 {
		has := s.at[v4].ok() || s.at[v6].ok()
		want = slices.DeleteFunc(want, func(f int) bool { return has && !s.at[f].ok() })
	}
	return want
}

// available says that some pool could give s an address of family f.
func (p *planner) available(s *service, f int) bool {
	if s.requested(f).IsValid() {
		return true // refused ones were told before
	}
	pools := p.candidates(s)
	return p.returning(s, pools, f, [2]place{}).ok() ||
		slices.ContainsFunc(pools, func(pool *pool) bool { return p.find(s, pool, f, [2]place{}).ok() })
}

// irregular is what is to be said of a Service that has all it wants.
func (p *planner) irregular(s *service) *lb.Problem {
	for _, pl := range s.at {
		if !pl.ok() {
			continue
		}
		if why := pl.span.pool.refuses(s.Service, p.namespaces); why != "" {
			return problem(ReasonPoolNotAllowed, "keeps %v although pool %s now %s", pl.addr, pl.span.pool.Name, why)
		}
	}
	return nil
}

// explainPools names every pool and why it does not serve s in the families that s lacks.
func (p *planner) explainPools(s *service, lacks []int) *lb.Problem {
	if len(p.pools) == 0 {
		return problem(ReasonNoPool, "there is no IPAddressPool")
	}
	pools, prefix := p.pools, ""
	if s.RequestedPool != "" {
		named := p.byName[s.RequestedPool]
		if named == nil {
			return problem(ReasonUnknownPool, "requested pool %s does not exist%s", s.RequestedPool, p.poolList())
		}
		if why := named.refuses(s.Service, p.namespaces); why != "" {
			return problem(ReasonPoolNotAllowed, "requested pool %s %s", named.Name, why)
		}
		pools, prefix = []*pool{named}, "requested pool "
	}
	w := p.wait(s, lacks)
	told, ok := p.told[w]
	if !ok {
		told = p.tellAll(s, pools, prefix, lacks)
		p.told[w] = told
	}
	for _, pool := range told.full {
		pool.waiting++
	}
	return &told.Problem
}

// tellAll asks every pool why it does not serve s.
func (p *planner) tellAll(s *service, pools []*pool, prefix string, lacks []int) answer {
	var out answer
	said := rejections{}
	for _, pool := range pools {
		r, _ := p.reject(s, pool, lacks)
		if r.obstacle == noneFree {
			out.full = append(out.full, pool)
		}
		said[r] = append(said[r], prefix+pool.Name)
	}
	var names []string
	for _, f := range lacks {
		names = append(names, familyOf(f).String())
	}
	first, message := said.tell()
	out.Problem = *problem(first.reason(), "no %s address: %s", strings.Join(names, " or "), message)
	return out
}

// outside says why no pool gives a, after "requested address a".
func (p *planner) outside(a netip.Addr) string {
	if pool := avoiding(p.index, a); pool != nil {
		return fmt.Sprintf("is one that pool %s leaves out (avoidBuggyIPs)", pool.Name)
	}
	return "is in no pool" + p.poolList()
}

// poolList is " (there are: a, b)", for messages about what is in none of them.
func (p *planner) poolList() string {
	if len(p.pools) == 0 {
		return " (there is none)"
	}
	var names []string
	for _, pool := range p.pools {
		names = append(names, pool.Name)
	}
	return " (there are: " + strings.Join(names, ", ") + ")"
}

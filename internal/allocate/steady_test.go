package allocate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// TestWhoWaitsIsToldNothingNewWhileTheReasonsStay: of two worlds that differ in others only, the Service s is told the same, and
// what differs is said where it is written once, or not at all: in Full of the pool, or in Now.
func TestWhoWaitsIsToldNothingNewWhileTheReasonsStay(t *testing.T) {
	pair := with(aPool("p", "1.2.3.0/31"), retaining)
	limited := with(aPool("p", "1.2.3.0/29"), quotas(lb.Quota{Max: 1, Namespaces: []string{"default"}}))
	world := func(p lb.Pool, services ...lb.Service) World {
		return World{Pools: []lb.Pool{p}, Namespaces: twoNamespaces(), Services: services}
	}
	keeping := func(w World, list ...lb.Retention) World { w.Retained = list; return w }
	seeing := func(w World, list ...lb.Conflict) World { w.Conflicts = list; return w }
	a, b := aService("a", holds("1.2.3.0")), aService("b", holds("1.2.3.1"))
	full, asking, second := world(pair, a, b, aService("s")), aService("s", asks("1.2.3.0")), aService("b", key("k"), ports("TCP/1"), holds("1.2.3.0"))
	wide := with(aPool("p", "1.2.3.0/30"), reserving("1.2.3.2/31"))
	for _, c := range []struct {
		name          string
		before, after World
		told          string // Message, both times
		was, is       string // Full of the pool and Now
	}{
		{"one leaves, and its address is kept", full, keeping(world(pair, b, aService("s")), keeps("1.2.3.0", "a")),
			"no IPv4 address: p is full", "2 IPv4 in use", "1 IPv4 in use, 1 kept for deleted Services"},
		{"another leaves too", keeping(world(pair, b, aService("s")), keeps("1.2.3.0", "a")), keeping(world(pair, aService("s")), keeps("1.2.3.0", "a"), keeps("1.2.3.1", "b")),
			"no IPv4 address: p is full", "1 IPv4 in use, 1 kept for deleted Services", "0 IPv4 in use, 2 kept for deleted Services"},
		{"one leaves, and a stranger answers", full, seeing(world(pair, b, aService("s")), stranger("1.2.3.0")),
			"no IPv4 address: p is full", "2 IPv4 in use", "1 IPv4 in use, 1 in conflict"},
		{"a reserved address is given by number", world(wide, a, b, aService("s")), world(wide, a, b, aService("c", asks("1.2.3.2")), aService("s")),
			"no IPv4 address: p is full", "2 IPv4 in use, 2 reserved", "3 IPv4 in use, 1 reserved"},
		{"a range is added, and others take it", full, world(aPool("p", "1.2.3.0/30"), a, b, aService("c", holds("1.2.3.2")), aService("d", holds("1.2.3.3")), aService("s")),
			"no IPv4 address: p is full", "2 IPv4 in use", "4 IPv4 in use"},
		{"one that is over the quota leaves", world(limited, a, b, aService("s")), world(limited, a, aService("s")),
			"no IPv4 address: p has no room in its quota of 1 for namespaces default (quotas[0])", "", ""},
		{"the same, and s asks by number", world(limited, a, b, aService("s", asks("1.2.3.4"))), world(limited, a, aService("s", asks("1.2.3.4"))),
			"requested address 1.2.3.4 is in pool p, which has no room in its quota of 1 for namespaces default (quotas[0])", "2 in use", "1 in use"},
		{"another has the address that it asks for", world(pair, a, asking), world(pair, aService("c", holds("1.2.3.0")), asking),
			"requested address 1.2.3.0 is held by another Service", "default/a", "default/c"},
		{"the first of those who share it leaves", world(pair, aService("a", key("k"), holds("1.2.3.0")), second, asking), world(pair, second, asking),
			"requested address 1.2.3.0 is held by another Service", "default/a", "default/b"},
		{"another of its key has its port", world(pair, aService("a", key("k"), holds("1.2.3.0")), aService("s", key("k"), asks("1.2.3.0"))),
			world(pair, aService("c", key("k"), holds("1.2.3.0")), aService("s", key("k"), asks("1.2.3.0"))),
			"requested address 1.2.3.0 is held by another Service, which uses TCP port 80 too", "default/a", "default/c"},
		{"another of another key has it", world(pair, aService("a", key("x"), holds("1.2.3.0")), aService("s", key("k"), asks("1.2.3.0"))),
			world(pair, aService("c", key("y"), holds("1.2.3.0")), aService("s", key("k"), asks("1.2.3.0"))),
			`requested address 1.2.3.0 is held by another Service, whose sharing key is not "k"`, "default/a", "default/c"},
		{"it is kept for another", keeping(world(pair, asking), keeps("1.2.3.0", "a")), keeping(world(pair, asking), keeps("1.2.3.0", "c")),
			"requested address 1.2.3.0 is kept for a deleted Service", "default/a, until 1970-01-01T01:00:00Z", "default/c, until 1970-01-01T01:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, want := range []struct {
				w     World
				apart string
			}{{c.before, c.was}, {c.after, c.is}} {
				r := Plan(want.w)
				got := find(r, lb.Name{Namespace: "default", Name: "s"})
				if got.Problem == nil || got.Problem.Message != c.told || r.Pools[0].Full+got.Now != want.apart {
					t.Errorf("told %v, and apart from it %q; want %q and %q", got.Problem, r.Pools[0].Full+got.Now, c.told, want.apart)
				}
			}
		})
	}
}

// TestAMessageChangesOnlyWithTheReasons: over random worlds and random changes of others, who waits before and after for the same
// reasons is told the same, and never the name of another Service.
func TestAMessageChangesOnlyWithTheReasons(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	others := regexp.MustCompile(`\bs\d\b|newcomer`)
	same, moved := 0, 0
	for range 6000 {
		data := make([]byte, 250)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		w := worldFrom(data)
		p, q := finishedPlan(w), finishedPlan(disturbed(w, &dice{data[240:]}))
		for _, s := range p.services {
			i := slices.IndexFunc(q.services, func(o *service) bool { return o.Name == s.Name })
			if i < 0 {
				continue
			}
			complete, why, now := p.explain(s)
			_, whyNow, nowNow := q.explain(q.services[i])
			before, after := p.reasons(s), q.reasons(q.services[i])
			if complete || why == nil || whyNow == nil || before != after {
				continue
			}
			if same++; now != nowNow || p.numbers() != q.numbers() {
				moved++
			}
			if *why != *whyNow || others.MatchString(why.Message) {
				t.Fatalf("%v is told\n     %v\nthen %v\nfor the same reasons: %s\nworld %+v", s.Name, why, whyNow, before, w)
			}
		}
	}
	if same < 5000 || moved < 1000 {
		t.Errorf("%d were told for the same reasons, of them %d while numbers or names changed: the test sees too little", same, moved)
	}
}

// disturbed is the world after others have come, gone, or changed their names, and addresses have come to be withheld or to be free.
func disturbed(w World, d *dice) World {
	out := w
	out.Services = slices.Clone(w.Services)
	for range 1 + d.roll(2) {
		if at := d.roll(9); at < len(out.Services) {
			switch d.roll(3) {
			case 0:
				out.Services = slices.Delete(out.Services, at, at+1)
			case 1:
				out.Services[at].Name.Name = "newcomer"
			case 2:
				out.Services[at].Held = nil
			}
		}
	}
	switch d.roll(4) {
	case 0:
		out.Retained = nil
	case 1:
		out.Retained = []lb.Retention{{Address: d.addr(), For: lb.Name{Namespace: "default", Name: "s9"}, Until: at(9)}}
	case 2:
		out.Conflicts = []lb.Conflict{{Address: d.addr(), Node: "n9"}}
	}
	return out
}

// reasons are why s waits, as a text in which counts and names of other Services do not occur.
func (p *planner) reasons(s *service) string {
	if !s.Managed || len(s.Problems)+len(s.Families) == 0 {
		return ""
	}
	out := fmt.Sprint("lacks ", p.lacking(s), " has ", s.ingress())
	for _, a := range s.Requested {
		why, _ := p.refusal(s, a)
		if why == nil {
			continue
		}
		out += fmt.Sprint(" asks ", a, why.Reason)
		if with, _ := p.used[a].conflict(s); with != nil {
			out += fmt.Sprint(s.SharingKey != "" && with.SharingKey != "", s.SharingKey == with.SharingKey, s.Local == with.Local, s.Selector == with.Selector)
			for _, port := range s.Ports {
				out += fmt.Sprint(p.used[a].ports[port] != nil)
			}
		} else if span := spanOf(p.index, a); span != nil {
			out += fmt.Sprint(indexOf(p.exceeds(s, span.pool, p.requestedPlaces(s))))
		}
	}
	for _, pool := range p.pools {
		r, _ := p.reject(s, pool, p.lacking(s))
		out += fmt.Sprint(" ", pool.Name, r.obstacle)
		if r.obstacle == overQuota {
			out += fmt.Sprint(indexOf(p.usedUp(s, pool, 2)), indexOf(p.usedUp(s, pool, 1)))
		}
	}
	return out
}

func indexOf(q *quota) int {
	if q == nil {
		return -1
	}
	return q.index
}

// numbers are what may change of the pools at any time.
func (p *planner) numbers() (out string) {
	for _, pool := range p.pools {
		out += pool.occupants(v4, v6)
	}
	return out
}

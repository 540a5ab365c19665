package ownership

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// society is the speakers of a random View, each with a Memory. They decide in rounds, and hear of each other's claims between two
// rounds. The witnesses are right at once.
type society struct {
	View
	now    time.Time
	memory map[string]Memory
	last   map[string]Decision
	dead   map[string]bool
}

func newSociety(r *rand.Rand) *society {
	s := &society{View: random(r), now: day, memory: map[string]Memory{}, last: map[string]Decision{}, dead: map[string]bool{}}
	for range 40 {
		s.round()
	}
	return s
}

// round lets everybody decide once.
func (s *society) round() {
	s.now = s.now.Add(400 * time.Millisecond)
	next := map[string]Decision{}
	for _, x := range s.Speakers {
		if s.dead[x.Node] {
			continue
		}
		v := s.View
		v.Now, v.Self, v.Mine, v.Probed = s.now, x.Node, s.memory[x.Node], map[netip.Addr]Probed{}
		for _, k := range s.last[x.Node].Check {
			v.Probed[k.Addr] = Probed{Clear: true, At: s.now}
		}
		for _, p := range s.Speakers {
			if p.Node != x.Node {
				v.Peers = append(v.Peers, s.peer(x, p))
			}
		}
		next[x.Node] = Decide(v)
	}
	s.last = next
	s.Speakers = slices.Clone(s.Speakers)
	for i := range s.Speakers {
		if d, lives := next[s.Speakers[i].Node]; lives {
			s.memory[s.Speakers[i].Node], s.Speakers[i].Claims = d.Memory, d.Claims
		}
	}
}

func (s *society) peer(x, of lb.Speaker) lb.Peer {
	p, host := lb.Peer{Node: of.Node, Gossip: lb.Alive}, lb.Alive
	if s.dead[of.Node] {
		p.Gossip, p.Silent, host = lb.Dead, s.now.Add(-time.Second), lb.Dead
	}
	for _, itf := range x.Interfaces {
		p.Hosts = append(p.Hosts, lb.HostLife{Interface: itf.Name, Life: host})
	}
	return p
}

// owners returns who claims each address, and fails when two do.
func (s *society) owners(t *testing.T) map[netip.Addr]string {
	t.Helper()
	out := map[netip.Addr]string{}
	for node, d := range s.last {
		if !slices.IsSortedFunc(d.Claims, func(a, b lb.Claim) int { return a.Addr.Compare(b.Addr) }) {
			t.Fatalf("the claims of %s are not sorted: %v", node, d.Claims)
		}
		for _, c := range d.Claims {
			if other, two := out[c.Addr]; two {
				t.Fatalf("%s is claimed by %s and %s", c.Addr, other, node)
			}
			out[c.Addr] = node
		}
	}
	return out
}

// check fails unless every address with a candidate has an owner among them.
func (s *society) check(t *testing.T) map[netip.Addr]string {
	t.Helper()
	owners := s.owners(t)
	for node, d := range s.last {
		for _, a := range d.Addresses {
			may := slices.ContainsFunc(a.Candidates, func(c Candidate) bool { return c.Node == owners[a.Addr] })
			if may != (len(a.Candidates) > 0) || a.Owner != owners[a.Addr] {
				t.Fatalf("%s belongs to %q; %s thinks to %q, of the candidates %v", a.Addr, owners[a.Addr], node, a.Owner, a.Candidates)
			}
		}
	}
	return owners
}

func eachSociety(t *testing.T, stream uint64, do func(t *testing.T, r *rand.Rand, s *society)) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, stream))
		if s := newSociety(r); len(s.Speakers) > 0 {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { do(t, r, s) })
		}
	}
}

func TestOneOwnerForEachAddressAndNoMoveWithoutCause(t *testing.T) {
	eachSociety(t, 11, func(t *testing.T, _ *rand.Rand, s *society) {
		before := s.check(t)
		for range 100 { // longer than every time that a decision depends on
			s.round()
			if diff := cmp.Diff(before, s.check(t), cmpAddr()); diff != "" {
				t.Fatalf("nothing has changed, and addresses move (-before +after):\n%s", diff)
			}
		}
	})
}

func TestDeathMovesOnlyTheAddressesOfTheDead(t *testing.T) {
	moved := 0
	eachSociety(t, 12, func(t *testing.T, r *rand.Rand, s *society) {
		for i := range s.Services { // rules that compare nodes may let others in when one is gone
			s.Services[i].Local = false
		}
		for range 20 {
			s.round()
		}
		before := s.check(t)
		victim := s.Speakers[r.IntN(len(s.Speakers))].Node
		s.dead[victim] = true
		for range 10 {
			s.round()
		}
		for addr, owner := range s.check(t) {
			switch was := before[addr]; {
			case was == victim:
				moved++
			case was != "" && was != owner:
				t.Fatalf("%s died, and %s went from %s to %s", victim, addr, was, owner)
			}
		}
	})
	if moved < 15 {
		t.Errorf("only %d addresses moved: the worlds are too poor to show anything", moved)
	}
}

func TestDeafNodeTakesNothing(t *testing.T) {
	lost := 0
	eachSociety(t, 13, func(t *testing.T, r *rand.Rand, s *society) {
		before := s.check(t)
		i := r.IntN(len(s.Speakers))
		ear := &s.Speakers[i]
		ear.Interfaces = slices.Clone(ear.Interfaces)
		for j := range ear.Interfaces {
			ear.Interfaces[j].Deaf = true
		}
		deaf := ear.Node
		s.dead[s.Speakers[r.IntN(len(s.Speakers))].Node] = true
		delete(s.dead, deaf)
		for range 20 {
			s.round()
		}
		after := s.owners(t)
		for addr, owner := range after {
			if owner == deaf && before[addr] != deaf {
				t.Fatalf("the deaf %s took %s from %q", deaf, addr, before[addr])
			}
		}
		for addr, owner := range before {
			if owner == deaf && after[addr] != deaf {
				lost++
			}
		}
	})
	if lost < 20 {
		t.Errorf("only %d addresses left a deaf node: the worlds are too poor to show anything", lost)
	}
}

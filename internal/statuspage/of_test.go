package statuspage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func owned(addr, node, standby, from, cause string, ago time.Duration) Ownership {
	return Ownership{Address: ip(addr), Node: node, Standby: standby, From: from, Cause: cause, Since: noon.Add(-ago)}
}

func TestTheStateOfAService(t *testing.T) {
	waits := holds("web")
	waits.Complete, waits.Problem = false, &lb.Problem{Reason: "Exhausted", Message: "no address is free"}
	half := holds("web", "192.0.2.1")
	half.Complete, half.Problem = false, &lb.Problem{Reason: "NoUsablePool", Message: "no IPv6"}
	odd := holds("web", "192.0.2.1")
	odd.Problem = &lb.Problem{Reason: "PoolNotAllowed", Message: "keeps it"}
	fresh, unseen := holds("web"), holds("web", "192.0.2.1")
	fresh.Decided, fresh.Complete, unseen.Decided, unseen.Complete = false, false, false, false
	other := holds("web", "192.0.2.1")
	other.Managed = false
	for _, c := range []struct {
		name    string
		service ServiceState
		owners  []Ownership
		want    string
	}{
		{"all well", holds("web", "192.0.2.1"), []Ownership{owned("192.0.2.1", "a", "b", "", "free", 0)}, "ready"},
		{"nobody answers", holds("web", "192.0.2.1"), nil, "unowned"},
		{"nobody answers for the second", holds("web", "192.0.2.1", "2001:db8::1"), []Ownership{owned("192.0.2.1", "a", "b", "", "free", 0)}, "unowned"},
		{"a stranger answers too", holds("web", "192.0.2.9"), nil, "conflict"},
		{"it waits", waits, nil, "waiting Exhausted"},
		{"it waits for a second address", half, []Ownership{owned("192.0.2.1", "a", "b", "", "free", 0)}, "waiting NoUsablePool"},
		{"irregular", odd, []Ownership{owned("192.0.2.1", "a", "b", "", "free", 0)}, "ready PoolNotAllowed"},
		{"just created", fresh, nil, "waiting Undecided"},
		{"taken over from another controller", unseen, []Ownership{owned("192.0.2.1", "a", "b", "", "free", 0)}, "ready"},
		{"no load balancer", other, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := poolOf("lan", "192.0.2.0/24")
			pool.Conflicts = []lb.Conflict{{Address: ip("192.0.2.9")}}
			got := ""
			for _, s := range Of(World{Pools: []PoolState{pool}, Services: []ServiceState{c.service}, Owners: c.owners}, noon).Services {
				got = strings.TrimSpace(string(s.State) + " " + s.Reason)
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestNodesAndMovesAreThoseOfAddressesInUse(t *testing.T) {
	w := World{Services: []ServiceState{holds("a", "192.0.2.1"), holds("b", "192.0.2.10"), holds("c", "192.0.2.3"), holds("shares", "192.0.2.1")},
		Owners: []Ownership{
			owned("192.0.2.10", "n2", "n3", "n1", "death", time.Minute), owned("192.0.2.1", "n2", "n1", "n1", "death", time.Minute), owned("192.0.2.3", "n1", "", "", "free", time.Hour),
			owned("192.0.2.3", "n9", "", "", "free", 2*time.Hour), // an older word
			owned("192.0.2.77", "n8", "n7", "", "free", 0),        // nobody has it any more
		}}
	s := Of(w, noon)
	nodes := []Node{{"n1", 1, 1, []string{"192.0.2.3"}}, {"n2", 2, 0, []string{"192.0.2.1", "192.0.2.10"}}, {"n3", 0, 1, []string{}}}
	if diff := cmp.Diff(nodes, s.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	moves := []Move{{noon.Add(-time.Minute), "n2", "n1", "death", []string{"192.0.2.1", "192.0.2.10"}}, {noon.Add(-time.Hour), "n1", "", "free", []string{"192.0.2.3"}}}
	if diff := cmp.Diff(moves, s.Moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	if want := (Summary{Services: 4, Ready: 4, Addresses: 3, Nodes: 2}); s.Summary != want {
		t.Errorf("summary %+v, want %+v", s.Summary, want)
	}
}

func TestOnlyTheLatestMovesAreTold(t *testing.T) {
	var w World
	for i := range 3 * MaxMoves {
		addr := fmt.Sprintf("192.0.2.%d", i)
		w.Services, w.Owners = append(w.Services, holds(addr, addr)), append(w.Owners, owned(addr, "n", "", "", "free", time.Duration(i)*time.Second))
	}
	if m := Of(w, noon).Moves; len(m) != MaxMoves || !m[0].At.Equal(noon) {
		t.Errorf("%d moves, the first at %v", len(m), m[0].At)
	}
}

// TestFieldNamesStay is a contract: who reads /status.json must find these names in the next version too.
func TestFieldNamesStay(t *testing.T) {
	pool := poolOf("lan", "192.0.2.1-192.0.2.2", "10.0.0.0/16")
	pool.Troubles = []lb.Problem{{Reason: "R", Message: "m"}}
	pool.Conflicts = []lb.Conflict{{Address: ip("192.0.2.1"), MAC: "02:00:00:00:00:01", Node: "n", Until: noon}}
	svc := holds("web", "192.0.2.1")
	svc.Problem, svc.Since = &lb.Problem{Reason: "R", Message: "m"}, noon
	w := World{Pools: []PoolState{pool}, Services: []ServiceState{svc}, Owners: []Ownership{owned("192.0.2.1", "n", "s", "f", "death", 0)}}
	var got map[string]any
	encoded, err := json.Marshal(Of(w, noon))
	if err == nil {
		err = json.Unmarshal(encoded, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	fields("", got, names)
	for _, want := range strings.Fields(`at replica leader namespace class summary.services summary.ready summary.waiting summary.unowned summary.contested
		summary.addresses summary.pools summary.nodes summary.conflicts pools.name pools.autoAssign pools.addresses pools.counts.conflict pools.counts.assigned
		pools.counts.retained pools.counts.reserved pools.counts.avoided pools.counts.quarantined pools.counts.free pools.strips.first pools.strips.last
		pools.strips.block pools.strips.cells.first pools.strips.cells.last pools.strips.cells.state pools.strips.cells.counts.free pools.strips.cells.for
		pools.troubles.reason pools.troubles.message services.namespace services.name services.state services.reason services.message services.since
		services.addresses.address services.addresses.pool services.addresses.node services.addresses.standby services.addresses.since
		services.addresses.cause services.addresses.from nodes.name nodes.owns nodes.standsBy nodes.addresses moves.at moves.node moves.from moves.cause
		moves.addresses conflicts.address conflicts.pool conflicts.mac conflicts.seenBy conflicts.until conflicts.services`) {
		if !names[want] {
			t.Errorf("no field %s", want)
		}
	}
	empty, err := json.Marshal(Of(World{}, noon))
	if err != nil || bytes.Contains(empty, []byte("null")) {
		t.Errorf("an empty world is %s, %v", empty, err)
	}
}

func fields(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			into[prefix+name] = true
			fields(prefix+name+".", child, into)
		}
	case []any:
		for _, child := range v {
			fields(prefix, child, into)
		}
	}
}

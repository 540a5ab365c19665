package live

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

var update = flag.Bool("update", false, "rewrite testdata")

var (
	one  = netip.MustParseAddr("192.0.2.1")
	two  = netip.MustParseAddr("192.0.2.2")
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// known is a view in which every field that travels has a value.
func known() ownership.View {
	itf := lb.Interface{Name: "eth0", Up: true, Deaf: true, MACs: []lb.MAC{{2, 0, 0, 0, 0, 1}}, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.11")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	claim := lb.Claim{Addr: one, Standby: "b", HandTo: "c", HandCause: lb.CauseRequested, Evidence: 3, Cause: lb.CauseDeath, From: "c", Since: noon}
	return ownership.View{Now: noon, Self: "a", IgnoreExcludeLB: true, Stalled: true, Timing: ownership.DefaultTiming(),
		Speakers: []lb.Speaker{
			{Node: "a", KubeProxy: lb.Dead, Interfaces: []lb.Interface{itf}, Claims: []lb.Claim{claim}, Lost: []lb.Loss{{Node: "c", Interface: "eth0"}}},
			{Node: "b", Boot: 7, Seq: 9, Restarting: true, Claims: []lb.Claim{{Addr: two, Cause: lb.CauseShutdown}}},
		},
		Peers: []lb.Peer{{Node: "b", Gossip: lb.Dead, Left: true, Silent: noon.Add(-time.Second), Answer: lb.Dead,
			Hosts: []lb.HostLife{{Interface: "eth0", Life: lb.Alive}, {Interface: "eth1"}}}},
		Foreign: []ownership.Foreign{{Addr: one, MAC: lb.MAC{2, 0, 0, 0, 0, 2}, Node: "b", At: noon}, {Addr: one, MAC: lb.MAC{2, 0, 0, 0, 0, 9}, At: noon}},
	}
}

func outcome(v ownership.View) ownership.Decision {
	return ownership.Decision{
		Claims:    v.Speakers[0].Claims,
		Answers:   []ownership.Answer{{Addr: one, Interfaces: []string{"eth0"}, Kind: neighbor.Own, Node: "c"}},
		Strangers: v.Foreign[1:],
		Addresses: []ownership.Address{
			{Addr: one, Pool: "p", Services: []lb.Name{{Namespace: "default", Name: "web"}}, Owner: "a", Standby: "b", StandIn: "b", Cause: lb.CauseDeath, From: "c", Since: noon,
				Candidates: []ownership.Candidate{{Node: "a", Weight: 5, Interfaces: []string{"eth0"}, Condition: ownership.Working}},
				Rejected:   []ownership.Rejection{{Node: "c", Problem: lb.Problem{Reason: ownership.Excluded, Message: "labelled"}}}},
			{Addr: two, Refused: []lb.Name{{Namespace: "default", Name: "late"}}, Problem: &lb.Problem{Reason: ownership.NoPool, Message: "no pool"}},
		},
	}
}

func TestTheJSONIsTheDocumentedOne(t *testing.T) {
	v := known()
	got, err := json.MarshalIndent(Of(v, outcome(v), "acme/lb", noon.Add(time.Minute), []netip.Addr{one}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "view.json")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("another program reads this: if it is meant, think of Version and run with -update (-want +got):\n%s", diff)
	}
}

func TestWhatASpeakerKnowsGoesThereAndBack(t *testing.T) {
	want := known()
	raw, err := json.Marshal(Of(want, outcome(want), "", noon, nil))
	if err != nil {
		t.Fatal(err)
	}
	var v View
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	got := v.Ownership()
	if got.Mine.Owns() != 1 {
		t.Errorf("the memory owns %d addresses, want the 1 that is claimed", got.Mine.Owns())
	}
	got.Mine = ownership.Memory{}
	want.Foreign = nil // what was heard on the LAN lately does not travel back: it is over by then
	same := cmp.Options{cmp.AllowUnexported(ownership.Memory{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCandidatesAreToldOnlyWhenAskedFor(t *testing.T) {
	v := known()
	for _, a := range Of(v, outcome(v), "", noon, []netip.Addr{two}).Addresses {
		if len(a.Candidates) > 0 || len(a.Rejected) > 0 {
			t.Errorf("%v has candidates, and nobody asked", a.Address)
		}
	}
}

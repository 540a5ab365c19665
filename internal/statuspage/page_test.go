package statuspage

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func render(t *testing.T, w World, q Query) string {
	t.Helper()
	var out strings.Builder
	if err := NewRenderer().Write(&out, Of(w, noon), q); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func fleet(n int) World {
	w := World{Pools: []PoolState{poolOf("lan", "10.0.0.0/16")}}
	for i := range n {
		addr := fmt.Sprintf("10.0.%d.%d", i/256, i%256)
		w.Services = append(w.Services, holds(fmt.Sprintf("app-%04d", i), addr))
		w.Owners = append(w.Owners, owned(addr, fmt.Sprintf("node%d", i%3), "", "", "free", time.Hour))
	}
	return w
}

func TestAPageShowsAPartOfManyServices(t *testing.T) {
	w := fleet(120)
	for _, c := range []struct {
		name        string
		query       Query
		rows        int
		first, last string
		page, pages int
	}{
		{"the first", Query{}, 50, "app-0000", "app-0049", 1, 3},
		{"the last", Query{Page: 3}, 20, "app-0100", "app-0119", 3, 3},
		{"beyond the last", Query{Page: 99}, 20, "app-0100", "app-0119", 3, 3},
		{"before the first", Query{Page: -1}, 50, "app-0000", "app-0049", 1, 3},
		{"by name", Query{Text: "APP-0007"}, 1, "app-0007", "app-0007", 1, 1},
		{"by all of several words", Query{Text: " node1  10.0.0.1"}, 12, "app-0001", "app-0118", 1, 1},
		{"by pool", Query{Text: "lan", Page: 2}, 50, "app-0050", "app-0099", 2, 3},
		{"by nothing that there is", Query{Text: "nope"}, 0, "", "", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPage(Of(w, noon), c.query)
			first, last := "", ""
			if len(p.Rows) > 0 {
				first, last = p.Rows[0].Name, p.Rows[len(p.Rows)-1].Name
			}
			if len(p.Rows) != c.rows || first != c.first || last != c.last || p.Number != c.page || p.Pages != c.pages {
				t.Errorf("%d rows from %s to %s, page %d of %d", len(p.Rows), first, last, p.Number, p.Pages)
			}
		})
	}
	text := render(t, w, Query{Text: "lan & more", Page: 2})
	if !strings.Contains(text, "No Service has all of these words: lan &amp; more") {
		t.Error("the page does not say that nothing was found")
	}
	if text := render(t, w, Query{Text: "lan", Page: 2}); !strings.Contains(text, `href="?q=lan&amp;page=3#services"`) || !strings.Contains(text, "51–100 of 120") {
		t.Error("the page does not lead to the next one")
	}
}

func TestAPageIsBounded(t *testing.T) {
	small, large := len(render(t, fleet(100), Query{})), len(render(t, fleet(20_000), Query{}))
	if large > 2*small {
		t.Errorf("%d bytes for 100 Services, %d for 20,000", small, large)
	}
}

func TestNoTextBecomesMarkup(t *testing.T) {
	const evil = `"'><img src=x onerror=alert(1)><script>alert(1)</script>`
	w := World{Namespace: evil, Class: evil, Replica: evil, Pools: []PoolState{poolOf(evil, "192.0.2.0/28")}, Services: []ServiceState{holds(evil, "192.0.2.1"), holds("2", "192.0.2.2"), holds("3")}}
	w.Pools[0].Troubles = []lb.Problem{{Reason: evil, Message: evil}}
	w.Pools[0].Conflicts = []lb.Conflict{{Address: ip("192.0.2.2"), MAC: evil, Node: evil}}
	w.Pools[0].RetainFor, w.Pools[0].Retained = 1, []lb.Retention{{Address: ip("192.0.2.3"), For: lb.Name{Namespace: evil, Name: evil}}}
	for i := range w.Services {
		w.Services[i].Name.Namespace, w.Services[i].HeldFrom, w.Services[i].Problem = evil, evil, &lb.Problem{Reason: evil, Message: evil}
	}
	w.Services[2].Complete = false
	w.Owners = []Ownership{owned("192.0.2.1", evil, evil, evil, evil, 0)}
	for _, world := range []World{w, {Namespace: evil, Class: evil}, {Class: evil, Pools: w.Pools}} {
		text := render(t, world, Query{Text: evil})
		text += render(t, world, Query{})
		if n := strings.Count(text, "<script"); n != 2 || strings.Contains(text, "<img src=x") || strings.Contains(text, `"'>`) {
			t.Errorf("%d scripts; the page is %s", n, text)
		}
		if strings.Contains(text, "ZgotmplZ") {
			t.Error("a text stands where the template cannot quote it")
		}
	}
}

func TestAnEmptyClusterIsTaught(t *testing.T) {
	text := render(t, World{Namespace: "lb", Class: "steel"}, Query{})
	for _, want := range []string{"kind: IPAddressPool", "kind: L2Advertisement", "namespace: lb\n", "kind: Service", "loadBalancerClass: steel"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(render(t, fleet(1), Query{}), "kind: ") {
		t.Error("who has pools and Services is taught")
	}
}

func TestNoticesAreFew(t *testing.T) {
	w := fleet(2)
	w.Owners = w.Owners[:1]
	for i := range 30 {
		s := holds(fmt.Sprintf("full-%02d", i))
		s.Complete, s.Problem = false, &lb.Problem{Reason: "Exhausted", Message: "no address is free"}
		w.Services = append(w.Services, s)
	}
	for i := range 20 {
		s := holds(fmt.Sprintf("own-%02d", i))
		s.Complete, s.Problem = false, &lb.Problem{Reason: "UnknownPool", Message: fmt.Sprintf("there is no pool p%d.", i)}
		w.Services = append(w.Services, s)
		w.Pools[0].Conflicts = append(w.Pools[0].Conflicts, lb.Conflict{Address: ip(fmt.Sprintf("10.0.9.%d", i)), Node: "n"})
	}
	var got []string
	for _, n := range notices(Of(w, noon)) {
		got = append(got, n.Label+" "+n.What)
	}
	want := []string{"Conflict 10.0.9.0", "Conflict 10.0.9.1", "Conflict 10.0.9.2", "Conflict 10.0.9.3", "Conflict 10.0.9.4", "Conflict 10.0.9.5", "Conflict 10.0.9.6",
		"Conflict 10.0.9.7", "Conflict 12 more", "Waiting 30 Services", "Waiting default/own-00", "Waiting default/own-01", "Waiting default/own-02",
		"Waiting default/own-03", "Waiting default/own-04", "Waiting default/own-05", "Waiting default/own-06", "Waiting 13 more", "No node 1 Service"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestHeadlines(t *testing.T) {
	for want, s := range map[string]Summary{
		"Nothing to do yet.": {},
		"No Services yet.":   {Pools: 1},
		"The Service has an address, and a node answers for it.":                            {Services: 1, Ready: 1},
		"All 5,000 Services have an address, and a node answers for it.":                    {Services: 5000, Ready: 5000},
		"All 2 Services have an address, and a node answers for it. 1 address in conflict.": {Services: 2, Conflicts: 1},
		"1 of 3 Services waits for an address.":                                             {Services: 3, Waiting: 1},
		"1,200 of 5,000 Services wait for an address. 2 addresses in conflict.":             {Services: 5000, Waiting: 1200, Unowned: 3, Conflicts: 2},
		"1 of 3 Services has no node.":                                                      {Services: 3, Unowned: 1},
		"2 of 3 Services have no node.":                                                     {Services: 3, Unowned: 2},
	} {
		if got := headline(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	s := Status{At: noon}
	for want, got := range map[string]string{
		"12 s": s.Ago(noon.Add(-12 * time.Second)), "0 s": s.Ago(noon.Add(time.Hour)), "59 min": s.Ago(noon.Add(-time.Hour + 1)), "47 h": s.Ago(noon.Add(-48*time.Hour + 1)),
		"1,000 d": s.Ago(noon.Add(-1000 * 24 * time.Hour)), "": s.Ago(time.Time{}), "999": num(999), "1,000": num(1000), "over 9 quintillion": num(math.MaxInt64),
		"nobody had it": because(Move{Cause: "free", Addresses: []string{"a"}}), "n1 may not have them any more": because(Move{Cause: "ineligible", From: "n1"}),
		"n1 died": because(Move{Cause: "death", From: "n1"}), "the speaker of the node before did not come back in time": because(Move{Cause: "hold-expired"}),
		"n2 is preferred": because(Move{Cause: "preferred", Node: "n2"}), "a cause of tomorrow": because(Move{Cause: "a cause of tomorrow"}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for cause := lb.CauseFree; cause <= lb.CauseShutdown; cause++ {
		if because(Move{Cause: cause.String()}) == cause.String() {
			t.Errorf("there are no words for the cause %v", cause)
		}
	}
}

package plugin

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

// Forecast is what a change would do.
type Forecast struct {
	// If is the change, as the condition of a sentence: "node1 were drained".
	If      string           `json:"if"`
	Changes []ForecastChange `json:"changes"`
	// Notes are what else is to know about it.
	Notes []string `json:"notes,omitempty"`
	// Unsettled says that addresses were still moving when no more was computed.
	Unsettled bool `json:"unsettled,omitempty"`
	// Silent are the speakers that could not be asked; they are taken to know what the others know.
	Silent map[string]string `json:"silent,omitempty"`
}

// ForecastChange is whatif.Change.
type ForecastChange struct {
	Service string `json:"service"`
	// Kind is Moved, Renumbered, Pending, Unanswered, Answered or Assigned.
	Kind       string     `json:"kind"`
	OldAddress netip.Addr `json:"oldAddress,omitzero"`
	NewAddress netip.Addr `json:"newAddress,omitzero"`
	From       string     `json:"from,omitempty"`
	To         string     `json:"to,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Why        string     `json:"why,omitempty"`
}

// foresight returns all that decides, with these objects instead of those that are there.
func (s sight) foresight(objects cluster.Objects) whatif.World {
	w := whatif.World{Allocation: objects.World(s.class, s.now), Nodes: cluster.Nodes(objects.Nodes), Advertisements: cluster.Advertisements(objects.Advertisements)}
	endpoints := cluster.Endpoints(objects.EndpointSlices)
	for i := range w.Allocation.Services {
		w.Allocation.Services[i].Endpoints = endpoints[w.Allocation.Services[i].Name]
	}
	for _, v := range s.views() {
		w.Speakers = append(w.Speakers, v.Ownership())
	}
	return w
}

// forecast compares the world with the changed one.
func (s sight) forecast(condition string, change func(whatif.World) whatif.World) Forecast {
	before := s.foresight(s.objects)
	r := whatif.Compare(before, change(before))
	f := Forecast{If: condition, Changes: []ForecastChange{}, Unsettled: r.Unsettled, Silent: s.silent()}
	for _, c := range r.Changes {
		f.Changes = append(f.Changes, ForecastChange{Service: c.Service.String(), Kind: string(c.Kind), OldAddress: c.Old, NewAddress: c.New,
			From: c.From, To: c.To, Reason: string(c.Why.Reason), Why: c.Why.Message})
	}
	if len(before.Speakers) == 0 {
		f.Notes = append(f.Notes, "No speaker could be asked: which node would answer is not foreseen.")
	}
	return f
}

// of returns the changes of one kind.
func (f Forecast) of(kind whatif.Kind) []ForecastChange {
	return slices.DeleteFunc(slices.Clone(f.Changes), func(c ForecastChange) bool { return c.Kind != string(kind) })
}

// writeForecast writes it as a table below a sentence.
func writeForecast(p *page, f Forecast) {
	if len(f.Changes) == 0 {
		p.printf("Nothing would change if %s.\n", f.If)
	} else {
		p.printf("If %s: %s.\n", f.If, f.summary())
		var rows [][]cell
		for _, c := range f.Changes {
			rows = append(rows, c.row())
		}
		p.table([]string{"SERVICE", "CHANGE", "ADDRESS", "NODE", "WHY"}, rows)
	}
	if f.Unsettled {
		p.printf("Addresses would go on moving for longer than was computed, one by one, until the nodes have about as many each.\n")
	}
	for _, n := range f.Notes {
		p.printf("%s\n", n)
	}
	writeSilent(p, f.Silent)
}

func (c ForecastChange) row() []cell {
	r := row(c.Service, c.Kind, arrow(address(c.OldAddress), address(c.NewAddress), "none"), arrow(c.From, c.To, "nobody"), c.because())
	switch whatif.Kind(c.Kind) {
	case whatif.Renumbered:
		r[1].paint = yellow
	case whatif.Pending, whatif.Unanswered:
		r[1].paint = red
	}
	return r
}

// because is the reason with its sentence; the causes of moves that no rule demands are said as explain says them.
func (c ForecastChange) because() string {
	if c.Why == "" {
		return because(c.Reason, c.From)
	}
	return c.Reason + ": " + c.Why
}

// address writes an address, and nothing for none.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// arrow writes what was and what will be, or what stays; nothing is the word for "".
func arrow(from, to, nothing string) string {
	switch {
	case from == to:
		return from
	case from == "":
		from = nothing
	case to == "":
		to = nothing
	}
	return from + " -> " + to
}

// summary counts the changes by kind, in the order of their first.
func (f Forecast) summary() string {
	words := map[string][2]string{
		string(whatif.Moved):      {"address would move", "addresses would move"},
		string(whatif.Renumbered): {"address would be replaced by another", "addresses would be replaced by others"},
		string(whatif.Pending):    {"address would be taken away", "addresses would be taken away"},
		string(whatif.Unanswered): {"address would be answered by nobody", "addresses would be answered by nobody"},
		string(whatif.Answered):   {"address would be answered again", "addresses would be answered again"},
		string(whatif.Assigned):   {"waiting Service would get an address", "waiting Services would get addresses"},
	}
	counts := map[string]int{}
	for _, c := range f.Changes {
		counts[c.Kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		form := words[kind][0]
		if counts[kind] > 1 {
			form = words[kind][1]
		}
		parts = append(parts, fmt.Sprintf("%d %s", counts[kind], form))
	}
	return strings.Join(parts, ", ")
}

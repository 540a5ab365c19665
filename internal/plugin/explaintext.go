package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// told is how many Events are shown unless the output is wide.
const told = 5

func writeExplanation(p *page, s sight, e Explanation, wide bool) {
	p.printf("%s %s.\n", p.painted(cell{"Service " + e.Service, bold}), e.Verdict)
	if len(e.Pools) > 0 {
		p.title(false, "Pools, in the order in which the Service tries them")
		var rows [][]cell
		for _, v := range e.Pools {
			mark := cell{text: " "}
			if len(v.Addresses) > 0 {
				mark = cell{"*", green}
			}
			rows = append(rows, []cell{mark, {text: v.Pool}, {text: withNow(v.Why, v.Now)}})
		}
		p.table(make([]string, 3), rows)
	}
	for _, a := range e.Addresses {
		p.title(false, "Address %s", a.Address)
		writeOwner(p, s, a.AddressStatus)
		writeNodes(p, a)
	}
	writeSilent(p, e.Silent)
	if len(e.Events) > 0 {
		p.title(false, "Last Events")
		var rows [][]cell
		for i, ev := range e.Events {
			if i == told && !wide {
				break
			}
			reason := cell{text: ev.Reason}
			if ev.Type == "Warning" {
				reason.paint = yellow
			}
			rows = append(rows, []cell{{text: ago(s.now, ev.Time)}, reason, {text: ev.Note}})
		}
		p.table([]string{"AGO", "REASON", "NOTE"}, rows)
	}
}

// writeOwner says in sentences who answers for an address, since when and why.
func writeOwner(p *page, s sight, a AddressStatus) {
	switch {
	case a.Owner != "":
		p.printf("%s answers for it", p.painted(cell{a.Owner, bold}))
		if !a.Since.IsZero() {
			p.printf(", since %s (%s ago)", a.Since.UTC().Format("2006-01-02 15:04:05 UTC"), ago(s.now, a.Since))
		}
		if why := because(a.Cause, a.From); why != "" {
			p.printf(": %s", why)
		}
		p.printf(".\n")
	case a.Problem != nil:
		p.printf("%s: %s: %s.\n", p.painted(cell{"Nobody answers for it", red}), a.Problem.Reason, a.Problem.Message)
	default:
		p.printf("%s.\n", p.painted(cell{"Nobody answers for it at this moment", red}))
	}
	for _, line := range []struct{ what, text string }{
		{"from", a.From},
		{"standby", a.Standby},
		{"stand-in", a.StandIn},
		{"moving to", a.MovingTo},
		{"interfaces", strings.Join(a.Interfaces, ", ")},
		{"MAC", strings.Join(a.MACs, ", ")},
	} {
		if line.text != "" {
			p.printf("  %-11s %s\n", line.what, line.text)
		}
	}
	if len(a.Claimants) > 1 {
		p.printf("%s: %s both claim it.\n", p.painted(cell{"Two owners", red}), strings.Join(a.Claimants, " and "))
	}
	if len(a.Opinions) > 1 {
		p.printf("%s: %s.\n", p.painted(cell{"The speakers do not agree", red}), tellOpinions(a.Opinions))
	}
	if len(a.Refused) > 0 {
		p.printf("%s has it too, may not share it, and is not announced.\n", strings.Join(a.Refused, ", "))
	}
}

func writeNodes(p *page, a AddressExplanation) {
	if len(a.Nodes) == 0 {
		if a.Source == fromStatus {
			p.printf("The speakers could not be asked which nodes they considered; the owner is what its ServiceL2Status says.\n")
		}
		return
	}
	var rows [][]cell
	for _, n := range a.Nodes {
		rank, why := "", cell{text: n.Why}
		if n.Rank > 0 {
			rank = fmt.Sprint(n.Rank)
		}
		if n.Node == a.Owner {
			why.paint = green
		}
		if n.Reason != "" {
			why.text = string(n.Reason) + ": " + n.Why
		}
		if n.Reason != "" && n.Node == a.Owner {
			why = cell{"still owns it; " + why.text, yellow}
		}
		rows = append(rows, []cell{{text: n.Node}, {text: rank}, {text: fmt.Sprint(n.Weight)}, {text: strings.Join(n.Interfaces, ",")}, why})
	}
	p.table([]string{"NODE", "RANK", "WEIGHT", "INTERFACES", "VERDICT OF " + strings.ToUpper(a.Source)}, rows)
}

// writeSilent names the speakers that could not be asked.
func writeSilent(p *page, silent map[string]string) {
	if len(silent) == 0 {
		return
	}
	p.title(false, "Not asked")
	for _, node := range slices.Sorted(maps.Keys(silent)) {
		about := node
		if node == "" {
			about = "all speakers"
		}
		p.printf("%s: %s\n", about, silent[node])
	}
}

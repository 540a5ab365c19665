package statuspage

import (
	"fmt"
	"strings"
)

// notice is one line about something that somebody should look at.
type notice struct {
	Kind  string // waiting, unowned, conflict or pool: a class of the style sheet
	Label string // the kind in a word
	What  string
	Text  string
	Query string // finds it among the Services; may be empty
}

// notices are a few lines, the worst first.
func notices(s Status) []notice {
	out := atMost(conflictNotices(s))
	for _, p := range s.Pools {
		var troubles []notice
		for _, t := range p.Troubles {
			troubles = append(troubles, notice{Kind: "pool", Label: "Pool", What: p.Name, Text: t.Message})
		}
		out = append(out, atMost(troubles)...)
	}
	out = append(out, atMost(waitingNotices(s))...)
	return append(out, unownedNotices(s)...)
}

func conflictNotices(s Status) []notice {
	var out []notice
	for _, c := range s.Conflicts {
		text := "Something else on the LAN answers for it"
		if c.MAC != "" {
			text += " with the hardware address " + c.MAC
		}
		text += ", as " + c.Seen + " saw."
		if len(c.Services) > 0 {
			text += " " + strings.Join(firstOf(c.Services), " and ") + " has it, so clients may reach the wrong machine."
		}
		out = append(out, notice{Kind: "conflict", Label: "Conflict", What: c.Address, Text: text, Query: c.Address})
	}
	return out
}

// waitingNotices has one line for all that wait for the same reason, so that a pool that is full fills no page.
func waitingNotices(s Status) []notice {
	type cause struct{ reason, message string }
	at := map[cause]int{}
	var out []notice
	var names [][]string
	for _, svc := range s.Services {
		if svc.State != Waiting {
			continue
		}
		c := cause{svc.Reason, svc.Message}
		i, there := at[c]
		if !there {
			i = len(out)
			at[c] = i
			out = append(out, notice{Kind: "waiting", Label: "Waiting", Text: sentence(svc.Message), Query: strings.ToLower(string(Waiting) + " " + svc.Reason)})
			names = append(names, nil)
		}
		names[i] = append(names[i], svc.Namespace+"/"+svc.Name)
	}
	for i, list := range names {
		out[i].What = list[0]
		if len(list) == 1 {
			out[i].Query = list[0]
		} else {
			out[i].What = plural(len(list), "Service")
		}
	}
	return out
}

func unownedNotices(s Status) []notice {
	n := s.Summary.Unowned
	if n == 0 {
		return nil
	}
	return []notice{{Kind: "unowned", Label: "No node", What: plural(n, "Service"), Query: string(Unowned),
		Text: "With an address for which no node said yet that it answers. No L2Advertisement may name the pool, or no speaker runs."}}
}

// atMost keeps the first few.
func atMost(list []notice) []notice {
	if len(list) <= maxListed {
		return list
	}
	rest := list[maxListed]
	rest.What, rest.Text, rest.Query = fmt.Sprintf("%d more", len(list)-maxListed), "", ""
	if rest.Kind == "waiting" {
		rest.Query = string(Waiting)
	}
	return append(list[:maxListed:maxListed], rest)
}

// sentence makes a message of a condition end as one.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

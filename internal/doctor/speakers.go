package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/live"
)

// unread tells what the other rules did not see.
func unread(f Facts) []Finding {
	var out []Finding
	for _, u := range f.Unread {
		out = append(out, Finding{Severity: Warning, Where: u.What, What: "could not be read, so what depends on it was not looked at: " + u.Why,
			Fix: "kubectl auth can-i --list"})
	}
	return out
}

// speakerPods lists the speakers' Pods.
func (f Facts) speakerPods(more string) string {
	return fmt.Sprintf("kubectl -n %s get pods -l app.kubernetes.io/component=speaker -o wide%s", f.System, more)
}

// speakerMissing finds nodes without a speaker, which no address can have.
func speakerMissing(f Facts) []Finding {
	if f.Unasked != "" {
		return nil
	}
	if len(f.Speakers) == 0 && len(f.Nodes) > 0 {
		return []Finding{{Severity: Error, Where: "namespace " + f.System, What: "no speaker runs in this namespace, so nobody answers for any address",
			Fix: "kubectl get pods -A -l app.kubernetes.io/component=speaker   # and name their namespace with --steelyard-namespace"}}
	}
	var out []Finding
	for _, n := range f.Nodes {
		has := slices.ContainsFunc(f.Speakers, func(s Speaker) bool { return s.Node == n.Name })
		if n.Runs && !has {
			out = append(out, Finding{Severity: Warning, Where: "node " + n.Name, What: "no speaker's Pod is there, so the node cannot answer for an address",
				Fix: fmt.Sprintf("kubectl -n %s describe daemonset -l app.kubernetes.io/component=speaker", f.System)})
		}
	}
	return out
}

// speakerSilent finds speakers that could not be asked.
func speakerSilent(f Facts) []Finding {
	var out []Finding
	if f.Unasked != "" {
		out = append(out, Finding{Severity: Warning, Where: "all speakers", What: "they could not be asked, so what only they know was not looked at: " + f.Unasked,
			Fix: fmt.Sprintf("kubectl -n %s auth can-i create pods/portforward", f.System)})
	}
	for _, s := range f.Speakers {
		if s.Silent != "" {
			out = append(out, Finding{Severity: Warning, Where: "node " + s.Node, What: "its speaker could not be asked: " + s.Silent,
				Fix: f.speakerPods(" --field-selector spec.nodeName=" + s.Node)})
		}
	}
	return out
}

// gossipCut finds pairs of speakers that both run and of which one does not hear the other: a firewall, or different keys.
func gossipCut(f Facts) []Finding {
	port, filled := "the gossip port", "PORT"
	if f.GossipPort != 0 {
		filled = strconv.Itoa(f.GossipPort)
		port = "port " + filled
	}
	var out []Finding
	told := f.told()
	for i, a := range told {
		for _, b := range told[i+1:] {
			deaf := []string{}
			for _, pair := range [][2]live.View{{a, b}, {b, a}} {
				if !hears(pair[0], pair[1].Node) {
					deaf = append(deaf, pair[0].Node+" does not hear "+pair[1].Node)
				}
			}
			if len(deaf) == 0 {
				continue
			}
			out = append(out, Finding{Severity: Error, Where: "nodes " + a.Node + " and " + b.Node,
				What: fmt.Sprintf("both speakers run, and by gossip %s: a firewall drops TCP or UDP %s, or their gossip keys differ", strings.Join(deaf, " and "), port),
				Fix:  fmt.Sprintf("nft insert rule inet filter input meta l4proto '{ tcp, udp }' th dport %s accept   # on both nodes", filled)})
		}
	}
	return out
}

func hears(v live.View, node string) bool {
	return slices.ContainsFunc(v.Peers, func(p live.Peer) bool { return p.Node == node && p.Gossip == live.Alive })
}

// clock finds speakers whose clock was not between when they were asked and when all had answered. When all are off to the same
// side it is the clock of this machine.
func clock(f Facts) []Finding {
	var out []Finding
	told, ahead := f.told(), 0
	for _, v := range told {
		skew := v.Skew(f.Asked, f.Answered)
		if skew == 0 {
			continue
		}
		if skew > 0 {
			ahead++
		}
		out = append(out, Finding{Severity: Warning, Where: "node " + v.Node, Fix: "chronyc tracking   # on the node; or timedatectl timesync-status",
			What: fmt.Sprintf("its clock is %+.0f s off the one here: times in statuses and logs mislead, and addresses are retained too long or too short", skew.Seconds())})
	}
	if n := len(out); n > 1 && n == len(told) && (ahead == 0 || ahead == n) {
		return []Finding{{Severity: Warning, Where: "this machine", What: "its clock differs from those of all speakers: the ages that commands show are wrong", Fix: "timedatectl timesync-status"}}
	}
	return out
}

// Package doctor finds what is wrong with a cluster that Steelyard serves, or will be: Facts in, Findings out.
//
// Contract: Examine is a function of its Facts. It reads nothing and remembers nothing. Each rule looks at one thing, is one
// function, and says for each Finding what is wrong, where, and which command mends it. A fact that could not be read is no
// Finding of the rule that needs it; the rule "unread" says so. The package is pure.
package doctor

import (
	"cmp"
	"slices"
)

// Severity says how bad a Finding is.
type Severity string

// The severities. An Error keeps an address from working, now or at the next change; a Warning may; a Note is a choice to know about.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Finding is one thing to know.
type Finding struct {
	Severity Severity `json:"severity"`
	// Rule is the stable name of the rule that found it.
	Rule string `json:"rule"`
	// Where is the object or the node that it is about.
	Where string `json:"where"`
	// What is wrong, and what comes of it: a sentence or two.
	What string `json:"what"`
	// Fix is a command line that mends it or shows more; words in capitals are to be filled in.
	Fix string `json:"fix"`
}

// rule looks at one thing. What it returns has no Rule yet.
type rule struct {
	name  string
	check func(Facts) []Finding
}

// rules are all of them, in the order in which a person would look.
func rules() []rule {
	return []rule{
		{"unread", unread},
		{"rival-controller", rivals},
		{"foreign-status", foreignStatus},
		{"speaker-missing", speakerMissing},
		{"speaker-silent", speakerSilent},
		{"gossip-cut", gossipCut},
		{"clock", clock},
		{"kernel-answers", kernelAnswers},
		{"strict-arp", strictARP},
		{"pool-takes-node-address", nodeAddresses},
		{"pool-overlaps-pods", podRanges},
		{"pool-overlaps-services", serviceRanges},
		{"pool-not-advertised", notAdvertised},
		{"interface-unknown", unknownInterfaces},
		{"pool-off-segment", offSegment},
		{"interface-unused", unusedInterfaces},
		{"service-pending", pending},
		{"tcp-loose", tcpLoose},
		{"arp-rate", arpRate},
	}
}

// Examine returns what all rules find, the worst first, and else in the order of the rules.
func Examine(f Facts) []Finding {
	out := []Finding{}
	for _, r := range rules() {
		for _, found := range r.check(f) {
			found.Rule = r.name
			out = append(out, found)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return out
}

func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

package allocate

import (
	"fmt"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// State is one condition of a pool: its type, whether it holds, and why.
type State struct {
	Type    string // as in the API: Ready, Overlap, Exhausted, Conflict
	Holds   bool
	Reason  lb.Reason
	Message string
}

// The reasons of a pool's conditions Overlap, Exhausted and Conflict, and of Ready, which is False with ReasonOverlap and
// ReasonExhausted too.
const (
	ReasonReady        lb.Reason = "Ready"        //
	ReasonInvalid      lb.Reason = "Invalid"      // an entry or a selector cannot be read; the message says which
	ReasonOlderPool    lb.Reason = "OlderPool"    // part of the pool belongs to an older one; remove it from one of them
	ReasonNoOverlap    lb.Reason = "NoOverlap"    //
	ReasonServicesWait lb.Reason = "ServicesWait" // for a free address; add a range or delete a Service
	ReasonNoneWaits    lb.Reason = "NoneWaits"    //
	ReasonSeenOnLAN    lb.Reason = "SeenOnLAN"    // a stranger answers for an address; find it, or reserve the address
	ReasonNoConflict   lb.Reason = "NoConflict"   //
)

// States are the conditions of the pool, always all of them and in this order.
func (u Usage) States() []State {
	overlap := State{Type: "Overlap", Reason: ReasonNoOverlap, Message: "no older pool has any of its addresses"}
	if list := u.overlaps(); len(list) > 0 {
		overlap = State{"Overlap", true, ReasonOlderPool, messages(list)}
	}
	exhausted := State{Type: "Exhausted", Reason: ReasonNoneWaits, Message: "no Service waits for an address of this pool"}
	if u.Waiting > 0 {
		exhausted = State{"Exhausted", true, ReasonServicesWait, u.waiting()}
	}
	conflict := State{Type: "Conflict", Reason: ReasonNoConflict, Message: "nothing else on the LAN was seen to answer for its addresses"}
	if len(u.Conflicts) > 0 {
		conflict = State{"Conflict", true, ReasonSeenOnLAN, u.strangers()}
	}
	return []State{u.readiness(), overlap, exhausted, conflict}
}

// readiness says whether a pool works as written. What is wrong with it comes before its being full.
func (u Usage) readiness() State {
	switch overlaps := u.overlaps(); {
	case len(u.Problems) > len(overlaps):
		return State{"Ready", false, ReasonInvalid, messages(u.Problems)}
	case len(overlaps) > 0:
		return State{"Ready", false, ReasonOverlap, messages(overlaps)}
	case u.Waiting > 0:
		return State{"Ready", false, ReasonExhausted, u.waiting()}
	}
	return State{"Ready", true, ReasonReady, "all addresses can be used"}
}

func (u Usage) overlaps() (out []lb.Problem) {
	for _, p := range u.Problems {
		if p.Reason == ReasonOverlap {
			out = append(out, p)
		}
	}
	return out
}

func (u Usage) waiting() string {
	text := fmt.Sprintf("Services that wait for an address: %d", u.Waiting)
	if u.Full != "" {
		text += " (" + u.Full + ")"
	}
	return text + "; add a range to spec.addresses or delete a Service"
}

func (u Usage) strangers() string {
	var list []string
	for _, c := range u.Conflicts {
		by := "something else"
		if c.MAC != "" {
			by = c.MAC
		}
		list = append(list, fmt.Sprintf("%v is answered for by %s, as node %s saw", c.Address, by, c.Node))
	}
	return strings.Join(list, "; ")
}

func messages(list []lb.Problem) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Message)
	}
	return strings.Join(out, "; ")
}

package plugin

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
)

// Explanation is what `explain` tells of a Service.
type Explanation struct {
	Service string `json:"service"`
	// Verdict is the outcome in a sentence that begins with the Service: "has 192.0.2.1 from pool default".
	Verdict string `json:"verdict"`
	// Pools are all pools, first in the order in which the Service tries them.
	Pools     []PoolVerdict        `json:"pools"`
	Addresses []AddressExplanation `json:"addresses"`
	// Events are what controller and speakers have written about the Service, the latest first.
	Events []EventLine `json:"events"`
	// Silent are the speakers that could not be asked, with the reason.
	Silent map[string]string `json:"silent,omitempty"`
}

// PoolVerdict is allocate.Consideration.
type PoolVerdict struct {
	Pool      string       `json:"pool"`
	Addresses []netip.Addr `json:"addresses,omitempty"` // that come from here
	Usable    bool         `json:"usable"`
	Why       string       `json:"why"`
	Now       string       `json:"now,omitempty"`
}

// AddressExplanation says who answers for an address and why not the other nodes.
type AddressExplanation struct {
	AddressStatus
	// Nodes are those that were considered, as Source sees it: the candidates in rank order, then the others.
	Nodes []NodeVerdict `json:"nodes"`
}

// NodeVerdict says of a node whether it may own an address.
type NodeVerdict struct {
	Node       string    `json:"node"`
	Rank       int       `json:"rank,omitempty"` // 1 is asked first; 0 for no candidate
	Weight     int       `json:"weight,omitempty"`
	Interfaces []string  `json:"interfaces,omitempty"`
	Condition  string    `json:"condition,omitempty"` // of its speaker
	Reason     lb.Reason `json:"reason,omitempty"`    // why it is no candidate
	Why        string    `json:"why"`
}

// EventLine is one Event.
type EventLine struct {
	Time   time.Time `json:"time"`
	Type   string    `json:"type"`
	Reason string    `json:"reason"`
	Note   string    `json:"note"`
}

func (g *globals) explain() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "explain svc/NAME",
		Short: "Say why a Service has its address and its node, or why it has none",
		Long: `Say of every pool why it gives the Service an address or why not, and of every node why it answers for the address or why not.

The pools are judged by the code of the controller, on what the API server says now. The nodes are judged by the speakers themselves,
which are asked; the owner's word counts.`,
		Example: `  kubectl steelyard explain svc/web
  kubectl steelyard explain web -n shop
  kubectl steelyard explain svc/web -o yaml`,
		Args: one("Service"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := g.serviceArg(args[0])
			if err != nil {
				return err
			}
			cl, s, err := g.look(cmd.Context())
			if err != nil {
				return err
			}
			svc, err := s.service(name)
			if err != nil {
				return err
			}
			if held := kube.Service(svc, s.class).Held; len(held) > 0 {
				g.hear(cmd.Context(), &s, held...)
			}
			e := explanationOf(s, svc, events(cmd.Context(), cl, svc))
			return out.show(g.Out, e, func(p *page, wide bool) { writeExplanation(p, s, e, wide) })
		},
		ValidArgsFunction: g.serviceNames(),
	}
	out.addTo(c)
	return c
}

// explanationOf computes all of it.
func explanationOf(s sight, svc *corev1.Service, events []EventLine) Explanation {
	noun := kube.Service(svc, s.class)
	e := Explanation{Service: noun.Name.String(), Verdict: s.verdict(svc, noun), Pools: []PoolVerdict{}, Addresses: []AddressExplanation{}, Events: events}
	if !noun.Managed {
		return e
	}
	list, _ := allocate.Consider(s.world, noun.Name)
	for _, c := range list {
		e.Pools = append(e.Pools, PoolVerdict{c.Pool, c.Addresses, c.Usable, c.Why, c.Now})
	}
	for _, a := range noun.Held {
		st := s.address(a)
		e.Addresses = append(e.Addresses, AddressExplanation{st, s.nodes(st)})
	}
	e.Silent = s.silent()
	return e
}

// silent are the speakers that could not be asked; "" stands for all of them.
func (s sight) silent() map[string]string {
	out := map[string]string{}
	if s.unasked != nil {
		out[""] = s.unasked.Error()
	}
	for node, err := range s.replies.Silent {
		out[node] = err.Error()
	}
	return out
}

// verdict is the outcome for a Service in a sentence.
func (s sight) verdict(svc *corev1.Service, noun lb.Service) string {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return fmt.Sprintf("is of type %s: only a Service of type LoadBalancer gets an address", cmp.Or(svc.Spec.Type, corev1.ServiceTypeClusterIP))
	}
	if !noun.Managed {
		return fmt.Sprintf("has %s, and Steelyard serves %s: its address is somebody else's business", named(kube.Class(svc)), named(s.class))
	}
	a, ok := s.assignment(noun.Name)
	switch {
	case !ok || noun.Deleting:
		return "is being deleted"
	case !a.Complete && len(a.Addresses) == 0:
		return fmt.Sprintf("waits for an address: %s: %s", a.Problem.Reason, withNow(a.Problem.Message, a.Now))
	case !a.Complete:
		return fmt.Sprintf("has %s and waits for more: %s: %s", joinAddrs(a.Addresses), a.Problem.Reason, withNow(a.Problem.Message, a.Now))
	}
	out := fmt.Sprintf("has %s from pool %s", joinAddrs(a.Addresses), strings.ReplaceAll(a.Pool, ",", " and "))
	if len(a.Assigned) > 0 {
		out = fmt.Sprintf("is about to get %s from pool %s (look at the controller if that lasts)", joinAddrs(a.Addresses), strings.ReplaceAll(a.Pool, ",", " and "))
	}
	if a.Problem != nil {
		out += fmt.Sprintf(" (%s: %s)", a.Problem.Reason, a.Problem.Message)
	}
	return out
}

// withNow adds to a reason what of it may change at any time, if there is such.
func withNow(why, now string) string {
	if now == "" {
		return why
	}
	return why + " (" + now + ")"
}

func named(class string) string {
	if class == "" {
		return "no loadBalancerClass"
	}
	return "loadBalancerClass " + class
}

func joinAddrs(list []netip.Addr) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, " and ")
}

// nodes says of each node what the speaker that was asked says of it.
func (s sight) nodes(st AddressStatus) []NodeVerdict {
	out := []NodeVerdict{}
	v, ok := s.replies.Views[st.Source]
	if !ok {
		return out
	}
	said, _ := in(v, st.Address)
	owner := slices.IndexFunc(said.Candidates, func(c live.Candidate) bool { return c.Node == st.Owner })
	for i, c := range said.Candidates {
		n := NodeVerdict{Node: c.Node, Rank: i + 1, Weight: c.Weight, Interfaces: c.Interfaces, Condition: c.Condition}
		switch {
		case c.Node == st.Owner:
			n.Why = "owns it"
		case c.Node == st.StandIn:
			n.Why = "answers in the owner's name, whose speaker does not"
		case c.Node == st.MovingTo:
			n.Why = "is taking it over"
		case c.Node == st.Standby:
			n.Why = "standby: takes it if the owner dies"
		case c.Condition != "working":
			n.Why = "is given nothing: its speaker is " + c.Condition
		case i < owner:
			n.Why = "ranks before the owner, which keeps what it has"
		default:
			n.Why = "may own it"
		}
		out = append(out, n)
	}
	for _, r := range said.Rejected {
		out = append(out, NodeVerdict{Node: r.Node, Reason: r.Reason, Why: r.Message})
	}
	return out
}

// events lists what was written about a Service; without the right to read Events it is told without.
func events(ctx context.Context, cl client.Client, svc *corev1.Service) []EventLine {
	out := []EventLine{}
	var list eventsv1.EventList
	if cl.List(ctx, &list, client.InNamespace(svc.Namespace), client.MatchingFields{"regarding.name": svc.Name}) != nil {
		return out
	}
	for _, e := range list.Items {
		if e.Regarding.Kind != "Service" || !strings.HasPrefix(e.ReportingController, "steelyard-") {
			continue
		}
		at := e.EventTime.Time
		if e.Series != nil {
			at = e.Series.LastObservedTime.Time
		}
		out = append(out, EventLine{Time: at, Type: e.Type, Reason: e.Reason, Note: e.Note})
	}
	slices.SortFunc(out, func(a, b EventLine) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Note, b.Note)) })
	return out
}

package ownership

import (
	"fmt"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// Why an address has no owner, whatever the nodes are.
const (
	// NoPool: no IPAddressPool contains the address. Create one, or let the controller move the Service to another address.
	NoPool lb.Reason = "NoPool"
	// NotAdvertised: no L2Advertisement matches the pool and every Service on the address. Create or widen one.
	NotAdvertised lb.Reason = "NotAdvertised"
	// NoEndpoint: no pod behind the Service is ready, or terminating and still serving. Look at the pods.
	NoEndpoint lb.Reason = "NoEndpoint"
	// InUse: a station that is no speaker answers for the address. Find it by the MAC, or let the controller choose another.
	InUse lb.Reason = "InUse"
)

// Why a node is not a candidate, in the order in which the rules are asked.
const (
	// NoSpeaker: gossip knows no living speaker on the node. Look at the speaker pod there, and at UDP and TCP port 17944.
	NoSpeaker lb.Reason = "NoSpeaker"
	// NoNode: a speaker answers by this name but there is no Node object. Look at --node-name.
	NoNode lb.Reason = "NoNode"
	// Excluded: the node is labelled node.kubernetes.io/exclude-from-external-load-balancers. Remove the label, or run the
	// speakers with --ignore-exclude-lb.
	Excluded lb.Reason = "Excluded"
	// Drained: the node is labelled metallb.io/drained. `kubectl steelyard undrain` takes the label off.
	Drained lb.Reason = "Drained"
	// OutOfService: the node is shutting down or tainted node.kubernetes.io/out-of-service. Remove the taint when it is back.
	OutOfService lb.Reason = "OutOfService"
	// NetworkUnavailable: the Node condition of that name is True. Look at the network plugin.
	NetworkUnavailable lb.Reason = "NetworkUnavailable"
	// NoInterfaces: the speaker on the node has told of no network interface: it is starting, or every one is excluded. Look at
	// --exclude-interfaces if it stays so.
	NoInterfaces lb.Reason = "NoInterfaces"
	// NotSelected: the nodeSelectors of the matching L2Advertisements leave the node out.
	NotSelected lb.Reason = "NotSelected"
	// InterfaceMissing: the node has none of the interfaces that the L2Advertisements name, or they are excluded there.
	InterfaceMissing lb.Reason = "InterfaceMissing"
	// NotOnSegment: other nodes have an interface in the subnet of the address, this one has not.
	NotOnSegment lb.Reason = "NotOnSegment"
	// InterfaceDown: the interface on which the node would answer is down or has no carrier.
	InterfaceDown lb.Reason = "InterfaceDown"
	// Deaf: the interface is up and no frame of anybody comes in. Look at the switch port (spanning tree, VLAN).
	Deaf lb.Reason = "Deaf"
	// Mute: no other node hears the node on the segment any more, though they did before. Look at the switch port.
	Mute lb.Reason = "Mute"
	// NoLocalEndpoint: externalTrafficPolicy is Local and no pod of the Service is ready on the node.
	NoLocalEndpoint lb.Reason = "NoLocalEndpoint"
	// KubeProxyUnhealthy: kube-proxy on the node fails its health check, and on another candidate it does not. Look at its pod.
	KubeProxyUnhealthy lb.Reason = "KubeProxyUnhealthy"
)

// order is how far a node came: the later the reason, the closer it was to being a candidate.
func order(r lb.Reason) int {
	return slices.Index([]lb.Reason{NoSpeaker, NoNode, Excluded, Drained, OutOfService, NetworkUnavailable, NoInterfaces,
		NotSelected, InterfaceMissing, NotOnSegment, InterfaceDown, Deaf, Mute, NoLocalEndpoint, KubeProxyUnhealthy}, r)
}

// maxNamed is how many nodes a message names for one reason before it only counts the rest.
const maxNamed = 3

// nobody sums up why no node is a candidate. The reason is that of the nodes that came furthest; the message names the nodes
// for each reason, the furthest first.
func nobody(rejected []Rejection) *lb.Problem {
	if len(rejected) == 0 {
		return &lb.Problem{Reason: NoSpeaker, Message: "there is no node and no speaker"}
	}
	var said []lb.Problem
	nodes := map[lb.Problem][]string{}
	for _, r := range rejected {
		if nodes[r.Problem] == nil {
			said = append(said, r.Problem)
		}
		nodes[r.Problem] = append(nodes[r.Problem], r.Node)
	}
	slices.SortStableFunc(said, func(a, b lb.Problem) int { return order(b.Reason) - order(a.Reason) })
	parts := make([]string, 0, len(said))
	for _, p := range said {
		names := nodes[p]
		list := strings.Join(names[:min(len(names), maxNamed)], ", ")
		if more := len(names) - maxNamed; more > 0 {
			list += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, list+": "+p.Message)
	}
	return &lb.Problem{Reason: said[0].Reason, Message: "no node may answer for the address; " + strings.Join(parts, "; ")}
}

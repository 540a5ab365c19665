// Package witness is the measuring side of the lab: it hears and asks on the LAN, as an ordinary machine there would, who
// answers for an address. A Witness records every frame that names one, an Asker asks by broadcast and by unicast, a Patrol
// does so at a fixed pace, and Judge says from its rounds how long nobody answered, how long two did, and who had the address
// when. A Connector opens new HTTP connections at a fixed pace, a Stream keeps one open. An Impostor answers for what is not its own.
//
// Contract: the package shares no code with the product (it imports neither internal/ nor speaker/), so that a mistake there
// cannot hide itself here; frames are read and written by the few lines in frame.go. Every judgement looks at the Ethernet
// source and at the hardware address in the payload alike: a frame in which they differ is two claims. Sockets are made in
// the network namespace of a Place and stay there; nothing is ever sent outside it.
package witness

import (
	"context"
	"net"
)

// Place is a network namespace in which sockets can be made; the hosts of the lab are such places.
type Place interface {
	// Do runs fn on a thread that is in the namespace.
	Do(fn func() error) error
	// DialContext connects with a socket of the namespace.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

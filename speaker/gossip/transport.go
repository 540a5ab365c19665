package gossip

import (
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// What a virtual network has to provide, under names of this package, so that nobody else imports memberlist.
type (
	// Transport carries packets and streams; nil in Config.Transport means UDP and TCP.
	Transport = memberlist.NodeAwareTransport
	// Packet is one datagram that a Transport received.
	Packet = memberlist.Packet
	// Address is where a Transport sends to: "host:port", and the node's name when it is known.
	Address = memberlist.Address
)

// timely gives every stream that we open a time by which it must be over. memberlist sets none for messages of ours, and a peer
// whose power was cut in the middle of one would hold a goroutine until TCP gives up, a quarter of an hour later.
type timely struct {
	Transport
	timeout time.Duration
}

// DialAddressTimeout opens a stream.
func (t timely) DialAddressTimeout(a Address, timeout time.Duration) (net.Conn, error) {
	conn, err := t.Transport.DialAddressTimeout(a, timeout)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(t.timeout)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("setting a deadline: %w", err)
	}
	return conn, nil
}

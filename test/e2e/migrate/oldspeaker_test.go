package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// oldSpeakers stand in for MetalLB's speakers, one on each node. Each has the ports of one, and answers every question, probes of an
// address included, for those addresses that are its own; unlike one it announces nothing, since no more than answers is measured.
type oldSpeakers struct {
	end   context.CancelFunc
	ended chan error
	nodes int
	ports []io.Closer
}

// answer starts them; the address number i is that of node i modulo their number. stop, or the end of the test, ends them.
func (o *oldSpeakers) answer(ctx context.Context, t *testing.T, r *rig.Rig, addrs []netip.Addr) {
	t.Helper()
	ctx, o.end = context.WithCancel(ctx)
	t.Cleanup(o.end)
	nodes := r.Lab.Nodes()
	o.nodes, o.ended = len(nodes), make(chan error, len(nodes))
	for n, h := range nodes {
		ports, err := openPorts(h)
		o.ports = append(o.ports, ports...)
		if err != nil {
			t.Fatal(err)
		}
		has := map[netip.Addr]bool{}
		for i, a := range addrs {
			has[a] = i%len(nodes) == n
		}
		im, err := witness.NewImpostor(h, h.Interface, witness.MACOf(h.MAC), func(a netip.Addr) bool { return has[a] })
		if err != nil {
			t.Fatal(err)
		}
		go func() { o.ended <- im.Run(ctx) }()
	}
}

// stop ends them all at once, as kubelets do when no node is selected any more.
func (o *oldSpeakers) stop(t *testing.T) {
	t.Helper()
	o.end()
	var errs []error
	for range o.nodes {
		errs = append(errs, <-o.ended)
	}
	for _, p := range o.ports {
		errs = append(errs, p.Close())
	}
	o.ports = nil
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// openPorts opens the ports that MetalLB's speaker has on its node: gossip, metrics of its versions and of FRR, and probes.
func openPorts(h lab.Host) ([]io.Closer, error) {
	var out []io.Closer
	err := h.Do(func() error {
		gossip := netip.AddrPortFrom(h.IPv4, 7946).String()
		udp, err := net.ListenPacket("udp", gossip)
		if err != nil {
			return fmt.Errorf("the port of the old gossip: %w", err)
		}
		out = append(out, udp)
		for _, at := range []string{gossip, ":7472", ":7473", ":9120", ":9121", "127.0.0.1:17472"} {
			tcp, err := net.Listen("tcp", at)
			if err != nil {
				return fmt.Errorf("a port of the old speaker: %w", err)
			}
			out = append(out, tcp)
		}
		return nil
	})
	return out, err
}

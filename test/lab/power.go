package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// SetLink pulls (up false) or plugs in a cable of a node: "lan" or "mgmt", the way to the API server. It acts on the bridge's
// port, as a switch does: the node sees no carrier, and keeps addresses and routes.
func (l *Lab) SetLink(nodeName, cable string, up bool) error {
	n, err := l.node(nodeName)
	if err != nil {
		return fmt.Errorf("setting a link: %w", err)
	}
	bridges := map[string]string{"lan": l.lanBr.NS, "mgmt": l.cp.NS}
	ns, ok := bridges[cable]
	if !ok {
		return fmt.Errorf("setting a link of %s: %q is neither lan nor mgmt", nodeName, cable)
	}
	state := "down"
	if up {
		state = "up"
	}
	return ipCommand(context.Background(), "", "-n", ns, "link", "set", n.Name, state)
}

// CutPower takes a node away as a power failure does: both cables dead first, so that no process can say good-bye, then every
// process on it killed. The node's disk stays.
func (l *Lab) CutPower(nodeName string) error {
	n, err := l.node(nodeName)
	if err != nil {
		return fmt.Errorf("cutting power: %w", err)
	}
	for _, cable := range []string{"lan", "mgmt"} {
		if err := l.SetLink(nodeName, cable, false); err != nil {
			return err
		}
	}
	if l.Tier == Full {
		return l.kill(nodeName)
	}
	return l.killOn(n)
}

// RestorePower plugs the cables in, boots the node and waits until it is Ready. On a lite lab only kube-proxy comes back;
// what a test had started there with Start is for the test to start.
func (l *Lab) RestorePower(ctx context.Context, nodeName string) error {
	n, err := l.node(nodeName)
	if err != nil {
		return fmt.Errorf("restoring power: %w", err)
	}
	for _, cable := range []string{"lan", "mgmt"} {
		if err := l.SetLink(nodeName, cable, true); err != nil {
			return err
		}
	}
	// A machine that boots has no neighbours yet; what this namespace remembers of the cut would make kubelet's first
	// connection fail, and its second one wait 10 s.
	err = l.await(ctx, waiting{what: nodeName + " to forget its neighbours", limit: 5 * time.Second}, func(ctx context.Context) error {
		return ipCommand(ctx, "", "-n", n.NS, "neighbour", "flush", "all") // fails while an interface of a pod goes away
	})
	if err != nil {
		return err
	}
	err = l.await(ctx, waiting{what: nodeName + " to reach the control plane", limit: 30 * time.Second}, func(ctx context.Context) error {
		return reach(ctx, n.Host, mgmtCP)
	})
	if err != nil {
		return err
	}
	if l.Tier == Full {
		err = l.bootNode(n)
	} else {
		err = l.startProxy(n)
	}
	if err != nil {
		return err
	}
	return l.awaitNode(ctx, n)
}

// reach is nil when an address answers the host at all: a refused connection is an answer, the API server may be stopped.
func reach(ctx context.Context, from Host, to netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := from.DialContext(ctx, "tcp", netip.AddrPortFrom(to, apiPort).String())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	return conn.Close()
}

// killOn kills the lab's own processes in the network namespace of a node.
func (l *Lab) killOn(n node) error {
	here, err := os.Stat(netnsPath(n.NS))
	if err != nil {
		return fmt.Errorf("looking for processes on %s: %w", n.Name, err)
	}
	var errs []error
	for _, name := range l.Processes() {
		r, err := l.record(name)
		if err != nil {
			continue // it has ended since it was listed
		}
		there, err := os.Stat(filepath.Join("/proc", fmt.Sprint(r.PID), "ns/net"))
		if err == nil && os.SameFile(here, there) {
			errs = append(errs, l.kill(name))
		}
	}
	return errors.Join(errs...)
}

package gossip

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// member is another speaker that is alive.
type member struct {
	addr       netip.AddrPort
	interfaces []lb.Interface
}

// delegate is what memberlist calls back. It calls with its own lock held, so nothing here calls memberlist, and what is needed
// of a Node is copied: memberlist goes on writing to it.
type delegate struct{ r *Ring }

// NodeMeta returns our facts; they fit into any limit that memberlist has.
func (d delegate) NodeMeta(int) []byte {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return slices.Clone(d.r.meta)
}

// NotifyMsg and the next three carry user messages, of which there are none.
func (d delegate) NotifyMsg([]byte)                {}
func (d delegate) GetBroadcasts(_, _ int) [][]byte { return nil }
func (d delegate) LocalState(bool) []byte          { return nil }
func (d delegate) MergeRemoteState([]byte, bool)   {}

// NotifyJoin takes a peer in.
func (d delegate) NotifyJoin(n *memberlist.Node) {
	if d.put(n) {
		d.r.cfg.Log.Info("speaker joined", "peer", n.Name, "address", n.Address())
	}
}

// NotifyUpdate takes a peer's new facts.
func (d delegate) NotifyUpdate(n *memberlist.Node) {
	if d.put(n) {
		d.r.cfg.Log.V(1).Info("speaker changed its interfaces", "peer", n.Name)
	}
}

// NotifyLeave drops a peer that left or was declared dead.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	if n.Name == d.r.cfg.Node {
		return
	}
	d.r.mu.Lock()
	delete(d.r.roster, n.Name)
	d.r.metrics.members.Set(float64(len(d.r.roster) + 1))
	d.r.mu.Unlock()
	d.r.cfg.Log.Info("speaker is gone", "peer", n.Name, "address", n.Address())
	wake(d.r.changed)
}

// NotifyConflict tells that one name is used from two addresses; memberlist keeps to the first.
func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	if d.r.limit.allow("conflict "+existing.Name+other.Address(), time.Now()) {
		d.r.cfg.Log.Info("two speakers use one node name, the second is ignored: look at --node-name", "node", existing.Name,
			"address", existing.Address(), "other", other.Address())
	}
}

// put stores what a peer tells of itself. It returns false for ourselves, whose facts we have.
func (d delegate) put(n *memberlist.Node) bool {
	if n.Name == d.r.cfg.Node {
		return false
	}
	itfs, err := decodeFacts(n.Meta)
	if err != nil {
		d.r.metrics.malformed.Inc()
		d.r.cfg.Log.Info("speaker tells facts that do not parse, it counts as having no interfaces", "peer", n.Name, "reason", err.Error())
	}
	addr, _ := netip.AddrFromSlice(n.Addr)
	d.r.mu.Lock()
	d.r.roster[n.Name] = member{netip.AddrPortFrom(addr.Unmap(), n.Port), itfs}
	d.r.metrics.members.Set(float64(len(d.r.roster) + 1))
	d.r.mu.Unlock()
	wake(d.r.changed)
	return true
}

// Missing returns the peers that should be there and are not alive members, sorted.
func (r *Ring) Missing() []netip.AddrPort {
	peers := r.cfg.Peers()
	r.mu.Lock()
	defer r.mu.Unlock()
	alive := map[netip.AddrPort]bool{r.addr: true}
	for _, m := range r.roster {
		alive[m.addr] = true
	}
	var out []netip.AddrPort
	for _, p := range peers {
		if p.IsValid() && !alive[p] {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// joinMissing tries every missing peer, each in a goroutine of its own: memberlist's Join works through a list one by one, and
// one powered-off peer in it would hold up the rest.
func (r *Ring) joinMissing(list *memberlist.Memberlist, running *sync.WaitGroup) {
	missing := r.Missing()
	r.metrics.missing.Set(float64(len(missing)))
	for _, peer := range missing {
		r.mu.Lock()
		skip := r.joining[peer] || r.leaving
		if !skip {
			r.joining[peer] = true
		}
		r.mu.Unlock()
		if skip {
			continue
		}
		running.Go(func() {
			_, _ = list.Join([]string{peer.String()}) // memberlist logs why it fails, and we try again
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.joining, peer)
		})
	}
}

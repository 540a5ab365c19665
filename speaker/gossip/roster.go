package gossip

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate is what memberlist calls back. It calls with its own lock held, so nothing here calls memberlist, and what is needed
// of a Node is copied: memberlist goes on writing to it.
type delegate struct{ r *Ring }

// NodeMeta returns the version of our messages; put reads it.
func (d delegate) NodeMeta(int) []byte { return []byte{messageVersion} }

// NotifyMsg takes a message of a peer in.
func (d delegate) NotifyMsg(raw []byte) {
	m, err := decodeMessage(raw)
	if err != nil {
		d.r.drop(err)
		return
	}
	d.r.mu.Lock()
	out := d.r.book.receive(m, time.Now())
	list, leaving := d.r.list, d.r.leaving
	d.r.mu.Unlock()
	if out.stale {
		d.r.metrics.dropped.WithLabelValues("stale").Inc()
	}
	if list != nil && !leaving {
		d.r.post(list, out.packets)
	}
	d.r.follow(out)
}

// GetBroadcasts says that nothing of ours goes along with memberlist's own gossip.
func (d delegate) GetBroadcasts(_, _ int) [][]byte { return nil }

// LocalState returns what goes along when memberlist compares its whole state with a peer's.
func (d delegate) LocalState(join bool) []byte {
	if join {
		d.r.metrics.joins.Inc()
	}
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return d.r.book.exchange(join)
}

// MergeRemoteState takes in what a peer's LocalState returned.
func (d delegate) MergeRemoteState(raw []byte, _ bool) {
	list, err := decodeExchange(raw)
	if err != nil {
		d.r.drop(err)
	}
	d.r.mu.Lock()
	changed := d.r.book.merge(list, time.Now())
	d.r.mu.Unlock()
	d.r.follow(reply{changed: changed, step: changed})
}

// AckPayload says that nothing of ours goes along with the answer to a probe.
func (d delegate) AckPayload() []byte { return nil }

// NotifyPingComplete takes down that a peer has answered a probe of ours itself.
func (d delegate) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	now := time.Now()
	d.r.mu.Lock()
	step := d.r.book.probed(n.Name, rtt, now)
	d.r.mu.Unlock()
	d.r.follow(reply{step: step})
}

// follow tells who has to know that something has changed.
func (r *Ring) follow(out reply) {
	if out.changed {
		wake(r.changed)
	}
	if out.step {
		wake(r.step)
	}
	if out.join {
		wake(r.look)
	}
}

// drop counts what did not parse.
func (r *Ring) drop(err error) {
	reason := "malformed"
	switch {
	case errors.Is(err, errOversized):
		reason = "oversized"
	case errors.Is(err, errVersion):
		reason = "version"
	}
	r.metrics.dropped.WithLabelValues(reason).Inc()
	if r.limit.allow("drop "+reason, time.Now()) {
		r.cfg.Log.Info("a speaker sends what does not parse: do all run the same version?", "reason", err.Error())
	}
}

// NotifyJoin takes a peer in.
func (d delegate) NotifyJoin(n *memberlist.Node) {
	if d.put(n, true) {
		d.r.cfg.Log.Info("speaker joined", "peer", n.Name, "address", n.Address())
	}
}

// NotifyUpdate takes in that a peer speaks another version now.
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.put(n, false) }

// NotifyLeave drops a peer that left or was declared dead.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	if n.Name == d.r.cfg.Node {
		return
	}
	now := time.Now()
	d.r.mu.Lock()
	d.r.book.dropped(d.r.book.peer(n.Name, now), now)
	d.r.mu.Unlock()
	d.r.cfg.Log.Info("speaker is gone", "peer", n.Name, "address", n.Address())
	d.r.follow(reply{changed: true, step: true})
}

// NotifyConflict tells that one name is used from two addresses; memberlist keeps to the first.
func (d delegate) NotifyConflict(existing, other *memberlist.Node) {
	if d.r.limit.allow("conflict "+existing.Name+other.Address(), time.Now()) {
		d.r.cfg.Log.Info("two speakers use one node name, the second is ignored: look at --node-name", "node", existing.Name,
			"address", existing.Address(), "other", other.Address())
	}
}

// put stores where a peer is. One whose messages have another version is a member like any other, but what it says is dropped, and
// counted as that; the log says who it is. It returns false for ourselves.
func (d delegate) put(n *memberlist.Node, joined bool) bool {
	if n.Name == d.r.cfg.Node {
		return false
	}
	if len(n.Meta) == 0 || n.Meta[0] != messageVersion {
		d.r.cfg.Log.Info("speaker of another version: what it says is dropped until all run the same", "peer", n.Name)
	}
	addr, _ := netip.AddrFromSlice(n.Addr)
	node := *n
	node.Addr, node.Meta = slices.Clone(n.Addr), nil
	d.r.mu.Lock()
	p := d.r.book.peer(n.Name, time.Now())
	p.node, p.addr = node, netip.AddrPortFrom(addr.Unmap(), n.Port)
	if joined {
		d.r.book.joined(p)
	}
	d.r.mu.Unlock()
	d.r.follow(reply{changed: true, step: true})
	return true
}

// Missing returns the peers that should be there and are not alive members, sorted.
func (r *Ring) Missing() []netip.AddrPort {
	peers := r.cfg.Peers()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missingLocked(peers)
}

func (r *Ring) missingLocked(peers []netip.AddrPort) []netip.AddrPort {
	alive := map[netip.AddrPort]bool{r.addr: true}
	for _, p := range r.book.peers {
		if p.member {
			alive[p.addr] = true
		}
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

// joinMissing tries the missing peers whose turn it is, each in a goroutine of its own: memberlist's Join works through a list one by
// one, and one powered-off peer in it would hold up the rest.
func (r *Ring) joinMissing(list *memberlist.Memberlist) {
	peers := r.cfg.Peers()
	r.mu.Lock()
	missing := r.missingLocked(peers)
	var begin []netip.AddrPort
	if !r.leaving {
		begin = r.search.pick(r.book, missing, time.Now())
	}
	r.mu.Unlock()
	r.metrics.missing.Set(float64(len(missing)))
	for _, peer := range begin {
		r.do(func() {
			_, _ = list.Join([]string{peer.String()}) // memberlist logs why it fails, and we try again
			r.mu.Lock()
			defer r.mu.Unlock()
			r.search.done(peer)
		})
	}
}

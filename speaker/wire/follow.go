package wire

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// How often the links are looked at. Messages only say "look again", so a burst of them costs one look.
const (
	lookGap   = 20 * time.Millisecond // between two looks, however many messages come
	lookRetry = time.Second           // after a look that found something it could not do
	dumpRetry = 50 * time.Millisecond // after the interfaces changed while the kernel was listing them
	lookEvery = 10 * time.Second      // in case a message was lost, and to check the groups
	// carrierGrace is how long a carrier may be away before the interface counts as down: a flap is no reason for an
	// address to move.
	carrierGrace = 100 * time.Millisecond
)

// follow keeps ports, groups and the published interfaces true to the kernel until ctx ends; then it closes all ports.
func (w *Wire) follow(ctx context.Context) {
	defer w.closeAll()
	for ctx.Err() == nil {
		again := w.lookNow()
		gap := time.After(lookGap)
		select {
		case <-ctx.Done():
		case <-time.After(again):
		case <-w.look:
			select {
			case <-ctx.Done():
			case <-gap:
			}
		}
	}
}

// lookNow reads the links and acts on what is different. It returns when to look again if nothing happens.
func (w *Wire) lookNow() time.Duration {
	heard := w.takeNews()
	links, err := w.links()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		w.addNews(heard)
		return dumpRetry
	}
	w.complain("looking at the interfaces", "", err)
	if err != nil {
		w.addNews(heard)
		return lookRetry
	}
	w.closeGone(links, heard)
	next := lookEvery
	if !w.openNew(links) {
		next = lookRetry
	}
	next = min(next, w.update(links, heard, time.Now()))
	if !w.reconcileGroups() {
		next = min(next, lookRetry)
	}
	return next
}

// links returns the host's links by name.
func (w *Wire) links() (map[string]Link, error) {
	list, err := w.host.Links()
	byName := make(map[string]Link, len(list))
	for _, l := range list {
		byName[l.Name] = l
	}
	return byName, err
}

// closeGone closes the ports whose interface is no more, or is another one now. The readers are waited for outside the
// mutex: they do not take it, but they may be in the middle of a write.
func (w *Wire) closeGone(links map[string]Link, heard news) {
	var gone []*port
	w.mu.Lock()
	for name, p := range w.ports {
		if l, ok := links[name]; !ok || l.Index != p.facts.Index || heard.deleted[p.facts.Index] {
			gone = append(gone, p)
			delete(w.ports, name)
		}
	}
	if len(gone) > 0 {
		w.rescheduleLocked(time.Now())
	}
	w.mu.Unlock()
	for _, p := range gone {
		w.close(p)
		w.log.Info("left an interface", "interface", p.facts.Name)
	}
}

// openNew opens a port for each link that has none, and says whether all worked.
func (w *Wire) openNew(links map[string]Link) bool {
	ok := true
	for name, l := range links {
		w.mu.Lock()
		known := w.ports[name] != nil
		w.mu.Unlock()
		if known {
			continue
		}
		l.Up = false // until update sees it, which is what starts the announcements
		p, err := w.open(l)
		w.complain("opening an interface", name, err)
		if err != nil {
			ok = false
			continue
		}
		w.log.Info("using an interface", "interface", name, "mac", l.MAC.String())
		w.mu.Lock()
		w.ports[name] = p
		w.mu.Unlock()
	}
	return ok
}

// update brings the ports up to what was seen, announces where a link came up, and publishes the interfaces. It returns
// when the first carrier that is missing will begin to count.
func (w *Wire) update(links map[string]Link, heard news, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := lookEvery
	reschedule := false
	var rearm []string
	for name, p := range w.ports {
		l, ok := links[name]
		if !ok {
			continue
		}
		was := p.facts
		p.see(l, now)
		if l.Up != was.Up {
			reschedule = true
		} else if l.Up && (l.MAC != was.MAC || l.CarrierChanges != was.CarrierChanges || heard.lostLink[l.Index] || heard.missed) {
			rearm = append(rearm, name)
		}
		if !l.Up && p.hiddenUntil.After(now) {
			again = min(again, p.hiddenUntil.Sub(now))
		}
	}
	if reschedule {
		w.rescheduleLocked(now)
	}
	for _, name := range rearm {
		w.schedule.Rearm(now, name)
		wake(w.due)
	}
	w.publishLocked(now)
	return again
}

// see takes over what was seen of the port's link.
func (p *port) see(l Link, now time.Time) {
	switch {
	case l.Up:
		p.hiddenUntil = time.Time{}
	case p.facts.Up: // lost just now
		p.hiddenUntil = now.Add(carrierGrace)
	}
	if l.MAC != p.facts.MAC || !slices.Equal(l.Members, p.facts.Members) {
		p.link.Store(l.neighbor())
	}
	p.facts = l
}

// publishLocked makes the interfaces known if they changed.
func (w *Wire) publishLocked(now time.Time) {
	all := make([]lb.Interface, 0, len(w.ports))
	for _, p := range w.ports {
		all = append(all, p.published(now))
	}
	slices.SortFunc(all, func(a, b lb.Interface) int { return strings.Compare(a.Name, b.Name) })
	if !slices.EqualFunc(all, w.interfaces, sameInterface) {
		w.interfaces = all
		wake(w.changed)
	}
}

// published is what the others learn of the port.
func (p *port) published(now time.Time) lb.Interface {
	up := p.facts.Up || p.hiddenUntil.After(now)
	switch {
	case !up:
		p.upSince = time.Time{}
	case p.upSince.IsZero():
		p.upSince = now
	}
	addrs := make([]netip.Addr, 0, len(p.facts.Addrs))
	for _, own := range p.facts.Addrs {
		addrs = append(addrs, own.Addr())
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return lb.Interface{
		Name: p.facts.Name, Up: up, Addrs: slices.Compact(addrs), Prefixes: p.facts.Prefixes,
		MACs: slices.Concat([]lb.MAC{p.facts.MAC}, p.facts.Members),
	}
}

func sameInterface(a, b lb.Interface) bool {
	return a.Name == b.Name && a.Up == b.Up && slices.Equal(a.MACs, b.MACs) && slices.Equal(a.Addrs, b.Addrs) && slices.Equal(a.Prefixes, b.Prefixes)
}

// reconcileGroups joins and leaves on every interface, and says whether all worked. An interface without IPv6 refuses; that
// is tried again with every look. Only follow's goroutine touches the groups.
func (w *Wire) reconcileGroups() bool {
	w.mu.Lock()
	ports, want := make([]*port, 0, len(w.ports)), w.want // want is replaced, never changed
	for _, p := range w.ports {
		ports = append(ports, p)
	}
	w.mu.Unlock()
	ok := true
	for _, p := range ports {
		err := p.groups.Reconcile(solicitedNodes(want, p.facts.Name))
		if err != nil {
			ok = false
			p.families[1].joins.Inc()
		}
		w.complain("joining multicast groups", p.facts.Name, err)
	}
	return ok
}

// complain logs an error of what was being done, but not the same one again until it has changed or gone. Only follow's
// goroutine calls it.
func (w *Wire) complain(doing, name string, err error) {
	key, now := doing+" "+name, ""
	if err != nil {
		now = err.Error()
	}
	if w.complaints[key] == now {
		return
	}
	if now == "" {
		delete(w.complaints, key)
		w.log.Info("works again", "doing", doing, "interface", name)
		return
	}
	w.complaints[key] = now
	w.log.Error(err, "trying again", "doing", doing, "interface", name)
}

// closeAll ends what is left when Run ends.
func (w *Wire) closeAll() {
	w.mu.Lock()
	ports := w.ports
	w.ports = map[string]*port{}
	w.interfaces = nil
	w.rescheduleLocked(time.Now())
	w.mu.Unlock()
	for _, p := range ports {
		w.close(p)
	}
}

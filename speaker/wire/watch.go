package wire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// resubscribeAfter is the pause before a broken subscription is made anew.
const resubscribeAfter = 200 * time.Millisecond

// news is what netlink said since the last look, as far as the look itself cannot see it: that a link was down for a moment,
// or that an interface was deleted and another has its index now. All else is read anew.
type news struct {
	lostLink map[int]bool // by interface index
	deleted  map[int]bool
	missed   bool // the subscription broke: anything may have happened
}

// note takes down one message about a link.
func (n *news) note(u netlink.LinkUpdate) {
	if u.Family == unix.AF_BRIDGE { // about a bridge port, not about the interface
		return
	}
	index := int(u.Index)
	switch {
	case u.Header.Type == unix.RTM_DELLINK:
		if n.deleted == nil {
			n.deleted = map[int]bool{}
		}
		n.deleted[index] = true
	case !hasCarrier(u.Flags):
		if n.lostLink == nil {
			n.lostLink = map[int]bool{}
		}
		n.lostLink[index] = true
	}
}

// takeNewsLocked returns the news and begins anew.
func (w *Wire) takeNewsLocked() news {
	n := w.news
	w.news = news{}
	return n
}

// addNews puts news back that could not be acted on.
func (w *Wire) addNews(n news) {
	w.mu.Lock()
	defer w.mu.Unlock()
	merge(&w.news.lostLink, n.lostLink)
	merge(&w.news.deleted, n.deleted)
	w.news.missed = w.news.missed || n.missed
}

func merge(to *map[int]bool, from map[int]bool) {
	if *to == nil {
		*to = map[int]bool{}
	}
	maps.Copy(*to, from)
}

// watch follows the links and addresses of the host until ctx ends. The kernel drops messages when we are too slow to read
// them (ENOBUFS); then it subscribes again, and a look finds out what is.
func (w *Wire) watch(ctx context.Context) {
	for first := true; ctx.Err() == nil; first = false {
		err := w.subscription(ctx, func() {
			if !first {
				w.addNews(news{missed: true})
			}
			wake(w.look)
		})
		if ctx.Err() != nil {
			return
		}
		w.log.Info("following the interfaces again", "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(resubscribeAfter):
		}
	}
}

// subscription listens until it breaks or ctx ends, and returns why. It calls began once it misses nothing any more.
func (w *Wire) subscription(ctx context.Context, began func()) error {
	var lastErr lastError
	stop := make(chan struct{})
	links, addrs := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate)
	err := netlink.LinkSubscribeWithOptions(links, stop, netlink.LinkSubscribeOptions{ErrorCallback: lastErr.set})
	if err != nil {
		close(stop)
		return fmt.Errorf("subscribing to links: %w", err)
	}
	err = netlink.AddrSubscribeWithOptions(addrs, stop, netlink.AddrSubscribeOptions{ErrorCallback: lastErr.set})
	if err != nil {
		close(stop)
		drain(links)
		return fmt.Errorf("subscribing to addresses: %w", err)
	}
	began()
	w.read(ctx, links, addrs)
	// The library's goroutines end when they see the closed socket, but first hand over what they hold.
	close(stop)
	drain(links)
	drain(addrs)
	return fmt.Errorf("the subscription ended: %w", lastErr.get())
}

// read takes messages until one of the channels is closed or ctx ends.
func (w *Wire) read(ctx context.Context, links <-chan netlink.LinkUpdate, addrs <-chan netlink.AddrUpdate) {
	for {
		select {
		case <-ctx.Done():
			return
		case u, ok := <-links:
			if !ok {
				return
			}
			w.mu.Lock()
			w.news.note(u)
			w.mu.Unlock()
		case _, ok := <-addrs:
			if !ok {
				return
			}
		}
		wake(w.look)
	}
}

// drain reads until the sender has ended.
func drain[T any](c <-chan T) {
	for range c {
		continue // nothing is wanted of it
	}
}

// lastError keeps the last error that a subscription reported.
type lastError struct {
	mu  sync.Mutex
	err error
}

func (l *lastError) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *lastError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return errors.New("no reason given")
	}
	return l.err
}

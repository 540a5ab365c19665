package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// resubscribeAfter is the pause before a broken subscription is made anew.
const resubscribeAfter = 200 * time.Millisecond

// changeOf reads one message about a link.
func changeOf(u netlink.LinkUpdate) Change {
	if u.Family == unix.AF_BRIDGE { // about a bridge port, not about the interface
		return Change{}
	}
	deleted := u.Header.Type == unix.RTM_DELLINK
	return Change{Index: int(u.Index), Deleted: deleted, LostLink: !deleted && !hasCarrier(u.Flags)}
}

// Watch implements Host. The kernel drops messages when we are too slow to read them (ENOBUFS); then it subscribes again, and
// a look finds out what is.
func (k kernel) Watch(ctx context.Context, note func(Change)) {
	for first := true; ctx.Err() == nil; first = false {
		err := subscription(ctx, func() { note(Change{Missed: !first}) }, note)
		if ctx.Err() != nil {
			return
		}
		k.log.Info("following the interfaces again", "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(resubscribeAfter):
		}
	}
}

// subscription listens until it breaks or ctx ends, and returns why. It calls began once it misses nothing any more.
func subscription(ctx context.Context, began func(), note func(Change)) error {
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
	read(ctx, links, addrs, note)
	// The library's goroutines end when they see the closed socket, but first hand over what they hold.
	close(stop)
	drain(links)
	drain(addrs)
	return fmt.Errorf("the subscription ended: %w", lastErr.get())
}

// read takes messages until one of the channels is closed or ctx ends.
func read(ctx context.Context, links <-chan netlink.LinkUpdate, addrs <-chan netlink.AddrUpdate, note func(Change)) {
	for {
		select {
		case <-ctx.Done():
			return
		case u, ok := <-links:
			if !ok {
				return
			}
			note(changeOf(u))
		case _, ok := <-addrs:
			if !ok {
				return
			}
			note(Change{})
		}
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

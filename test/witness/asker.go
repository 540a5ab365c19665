package witness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// Station is the machine in whose name questions are asked.
type Station struct {
	MAC  MAC
	IPv4 netip.Addr
	IPv6 netip.Addr
}

// Asker asks who has an address and collects every answer. It asks one question at a time and is not safe for concurrent use.
type Asker struct {
	sock *socket
	self Station
}

// NewAsker opens an asker on an interface of a place, which must be the station's own: the answers come to its addresses.
func NewAsker(p Place, iface string, self Station) (*Asker, error) {
	sock, err := listen(p, iface)
	if err != nil {
		return nil, fmt.Errorf("opening the asker: %w", err)
	}
	return &Asker{sock: sock, self: self}, nil
}

// Close closes the asker's socket.
func (a *Asker) Close() error { return a.sock.close() }

// Send puts a frame on the wire as it is, however malformed.
func (a *Asker) Send(frame []byte) error { return a.sock.send(frame) }

// Question returns the frame that asks for addr: an ARP request or a neighbour solicitation, for everybody when dst is
// Broadcast.
func (a *Asker) Question(addr netip.Addr, dst MAC) []byte {
	if addr.Is4() {
		return Request(a.self, addr, dst)
	}
	return Solicitation(a.self, addr, dst)
}

// Ask sends one question for addr to dst and returns the answers that came to the station within the time.
func (a *Asker) Ask(ctx context.Context, addr netip.Addr, dst MAC, within time.Duration) (Record, error) {
	asked := time.Now()
	if err := a.Send(a.Question(addr, dst)); err != nil {
		return nil, err
	}
	deadline := asked.Add(within)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := a.sock.file.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("setting the deadline: %w", err)
	}
	var answers Record
	buf := make([]byte, 1<<16)
	for {
		frame, at, err := a.sock.receive(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return answers, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("waiting for answers: %w", err)
		}
		s, ok := Decode(frame)
		if s.Time = at; ok && s.Addr == addr && s.Dst == a.self.MAC && !at.Before(asked) && !s.Kind.Announcement() {
			answers = append(answers, s)
		}
	}
}

// Answers are the MACs that answered for an address.
type Answers struct {
	Addr netip.Addr
	// Broadcast lists who answered everybody's question, sorted.
	Broadcast []MAC
	// Unicast lists, for each MAC that was asked alone, who answered; asked and silent is an empty list.
	Unicast map[MAC][]MAC
}

// AskAll asks for addr by broadcast (multicast for IPv6) and then each of macs alone, and waits the time out after each
// question, since only then a second answer can be ruled out.
func (a *Asker) AskAll(ctx context.Context, addr netip.Addr, macs []MAC, within time.Duration) (Answers, error) {
	out := Answers{Addr: addr, Unicast: map[MAC][]MAC{}}
	heard, err := a.Ask(ctx, addr, Broadcast, within)
	if err != nil {
		return out, fmt.Errorf("asking all for %s: %w", addr, err)
	}
	out.Broadcast = heard.MACs(addr, time.Time{}, time.Time{})
	for _, mac := range macs {
		heard, err := a.Ask(ctx, addr, mac, within)
		if err != nil {
			return out, fmt.Errorf("asking %s for %s: %w", mac, addr, err)
		}
		out.Unicast[mac] = heard.MACs(addr, time.Time{}, time.Time{})
	}
	return out, nil
}

// Only returns the one MAC that answers: by broadcast it and nobody else, by unicast it when it is asked and nobody when
// another is. The error says what was heard instead.
func (a Answers) Only() (MAC, error) {
	if len(a.Broadcast) != 1 {
		return MAC{}, fmt.Errorf("%d answerers instead of one: %s", len(a.Broadcast), a)
	}
	owner := a.Broadcast[0]
	for asked, got := range a.Unicast {
		switch {
		case asked == owner && !slices.Equal(got, []MAC{owner}):
			return MAC{}, fmt.Errorf("the answerer %s, asked alone, gives another answer: %s", owner, a)
		case asked != owner && len(got) > 0:
			return MAC{}, fmt.Errorf("%s, asked alone, is answered although %s is the answerer: %s", asked, owner, a)
		}
	}
	return owner, nil
}

// Silent says that nobody answered, however asked.
func (a Answers) Silent() bool {
	return len(a.Broadcast) == 0 && !slices.ContainsFunc(slices.Collect(maps.Values(a.Unicast)), func(m []MAC) bool { return len(m) > 0 })
}

// String prints who answered which question.
func (a Answers) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: all asked: %v", a.Addr, a.Broadcast)
	asked := sortedMACs(slices.Collect(maps.Keys(a.Unicast)))
	for _, mac := range asked {
		fmt.Fprintf(&b, "; %s asked: %v", mac, a.Unicast[mac])
	}
	return b.String()
}

package witness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stations is how many stations a Patrol asks in the name of, one after the other, for each kind of question. An answer goes to
// the station that asked, so it names its question as long as it comes before the station's next one.
const stations = 16

// Round is one look at an address: a question to everybody and one to each node alone, sent at the same moment.
type Round struct {
	Time time.Time // just before the first question was sent
	Addr netip.Addr
	seq  int
}

// Patrol asks who has some addresses again and again, at a fixed pace. It only sends: the answers are for a Witness on the same
// interface. It asks in the name of stations that do not exist, so that no kernel learns from an answer which a client
// without a patrol would not have seen.
type Patrol struct {
	sock  *socket
	addrs []netip.Addr
	every time.Duration
	self  Station // whose IP addresses are asked from

	mu     sync.Mutex
	nodes  []MAC
	rounds []Round
}

// NewPatrol opens a patrol on an interface of a place. Each of addrs is looked at once in every. self's addresses must be free
// addresses of the segment; its MAC is not used.
func NewPatrol(p Place, iface string, self Station, addrs []netip.Addr, nodes []MAC, every time.Duration) (*Patrol, error) {
	sock, err := speak(p, iface)
	if err != nil {
		return nil, fmt.Errorf("opening the patrol: %w", err)
	}
	return &Patrol{sock: sock, addrs: slices.Clone(addrs), every: every, self: self, nodes: slices.Clone(nodes)}, nil
}

// SetNodes changes whom alone the patrol asks, for a node whose hardware address changes. At most as many as at the beginning.
func (p *Patrol) SetNodes(nodes []MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes = slices.Clone(nodes)
}

// Run asks until ctx ends and then closes the socket. The addresses take turns, so that the questions come evenly.
func (p *Patrol) Run(ctx context.Context) error {
	tick := time.NewTicker(p.every / time.Duration(len(p.addrs)))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return p.sock.close()
		case <-tick.C:
		}
		if err := p.look(p.addrs[n%len(p.addrs)], n/len(p.addrs)); err != nil {
			return errors.Join(err, p.sock.close())
		}
	}
}

// look is one round.
func (p *Patrol) look(addr netip.Addr, seq int) error {
	p.mu.Lock()
	nodes := p.nodes
	p.rounds = append(p.rounds, Round{Time: time.Now(), Addr: addr, seq: seq})
	p.mu.Unlock()
	for kind, dst := range append([]MAC{Broadcast}, nodes...) {
		self := p.self
		self.MAC = stationMAC(kind, seq)
		question := Request(self, addr, dst)
		if addr.Is6() {
			question = Solicitation(self, addr, dst)
		}
		if err := p.sock.send(question); err != nil {
			return fmt.Errorf("asking for %s: %w", addr, err)
		}
	}
	return nil
}

// stationMAC is who asks: a locally administered address with the kind of question and the round's number in it. Kind 0 is the
// question to everybody, kind 1 the one to the first node, and so on.
func stationMAC(kind, seq int) MAC {
	return MAC{0x02, 0x57, 0x49, 0x54, byte(kind), byte(seq % stations)}
}

// Rounds returns a copy of the rounds at or after a time, in the order of time.
func (p *Patrol) Rounds(since time.Time) []Round {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, _ := slices.BinarySearchFunc(p.rounds, since, func(r Round, t time.Time) int { return r.Time.Compare(t) })
	return slices.Clone(p.rounds[from:])
}

// Look is what a round brought.
type Look struct {
	Time time.Time
	// Answered says that the question to everybody was answered, Delay how soon.
	Answered bool
	Delay    time.Duration
	// Alone lists who, asked alone, answered with its own hardware address, sorted.
	Alone []MAC
	// Owners are the hardware addresses in the payloads of all the round's answers, sorted: who was said to have the address.
	Owners []MAC
	// Speakers are the Ethernet sources of those answers, sorted: who said so. One who is not an owner stands in for it.
	Speakers []MAC
}

// Looks joins the rounds about addr with the answers in a record. An answer that came later than the station's next question
// counts as one to that.
func (r Record) Looks(addr netip.Addr, rounds []Round) []Look {
	type asker struct{ kind, seq byte }
	answers := map[asker]Record{}
	for _, s := range r.Of(addr) {
		if s.Kind.Announcement() || s.Dst != stationMAC(int(s.Dst[4]), int(s.Dst[5])) {
			continue
		}
		a := asker{s.Dst[4], s.Dst[5]}
		answers[a] = append(answers[a], s)
	}
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(x Round) bool { return x.Addr != addr })
	kinds := byte(0)
	for a := range answers {
		kinds = max(kinds, a.kind)
	}
	out := make([]Look, len(rounds))
	for i, round := range rounds {
		look := Look{Time: round.Time}
		var next time.Time // when the same stations asked again
		if i+stations < len(rounds) {
			next = rounds[i+stations].Time
		}
		for kind := byte(0); kind <= kinds; kind++ {
			look.add(kind, answers[asker{kind, byte(round.seq % stations)}], next)
		}
		look.Owners, look.Speakers, look.Alone = sortedMACs(look.Owners), sortedMACs(look.Speakers), sortedMACs(look.Alone)
		out[i] = look
	}
	return out
}

// add counts those of the answers to a station that came in the look's time.
func (l *Look) add(kind byte, answers Record, next time.Time) {
	from, _ := slices.BinarySearchFunc(answers, l.Time, func(s Sighting, t time.Time) int { return s.Time.Compare(t) })
	for _, s := range answers[from:] {
		if !next.IsZero() && !s.Time.Before(next) {
			return
		}
		if kind == 0 && !l.Answered {
			l.Answered, l.Delay = true, s.Time.Sub(l.Time)
		}
		owner := s.Payload
		if owner == (MAC{}) {
			owner = s.Src // RFC 4861 §4.4: an NA to a unicast solicitation may leave the option out
		}
		if kind > 0 && owner == s.Src {
			l.Alone = append(l.Alone, owner)
		}
		l.Owners, l.Speakers = append(l.Owners, owner), append(l.Speakers, s.Src)
	}
}

// speak opens a socket that sends and hears nothing.
func speak(p Place, iface string) (*socket, error) {
	var s *socket
	err := p.Do(func() error {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", iface, err)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("opening a packet socket (this needs root): %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
			return errors.Join(fmt.Errorf("binding the packet socket: %w", err), unix.Close(fd))
		}
		s = &socket{file: os.NewFile(uintptr(fd), "packet socket on "+iface)}
		return nil
	})
	return s, err
}

package simnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// site is a segment and a network with hosts n1, n2, … on both and one client.
type site struct {
	lan    *Switch
	net    *Network
	hosts  []*Host
	client *Client
	heard  []neighbor.Sighting
}

// wait lets time pass, and then all come to rest.
func wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func mac(last byte) lb.MAC         { return lb.MAC{2, 0, 0, 0, 0, last} }
func (s *site) nic(i int) *NIC     { return s.hosts[i].NICs()[0] }
func (s *site) replies() []neighbor.Sighting {
	var out []neighbor.Sighting
	for _, h := range s.heard {
		if h.Kind == neighbor.SawReply {
			out = append(out, h)
		}
	}
	s.heard = nil
	return out
}

// inBubble runs a test on a site with n hosts, 192.0.2.1 and 2001:db8::1 and so on.
func inBubble(t *testing.T, n int, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{lan: NewSwitch(1), net: NewNetwork(1)}
		for i := range n {
			name := string([]byte{'n', '1' + byte(i)})
			h := NewHost(name)
			last := byte(1 + i)
			h.Attach(s.lan, "eth0", mac(last), netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 24),
				netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: last}), 64))
			s.net.Attach(h, netip.AddrFrom4([4]byte{10, 0, 0, last}))
			s.hosts = append(s.hosts, h)
		}
		s.client = NewClient(s.lan, "client", mac(200), func(h neighbor.Sighting) { s.heard = append(s.heard, h) },
			prefix("192.0.2.200/24"), prefix("2001:db8::200/64"))
		defer func() {
			s.client.Unplug()
			for i := range s.hosts {
				s.nic(i).Port().Unplug()
			}
		}()
		test(t, s)
	})
}

func TestAKernelAnswersForItsOwnAddressesOnly(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *site) {
		for _, row := range []struct {
			ask  string
			to   lb.MAC
			want []lb.MAC
		}{
			{"192.0.2.1", lb.MAC{}, []lb.MAC{mac(1)}},
			{"192.0.2.2", mac(2), []lb.MAC{mac(2)}},
			{"192.0.2.2", mac(1), nil},
			{"192.0.2.9", lb.MAC{}, nil},
			{"2001:db8::1", lb.MAC{}, []lb.MAC{mac(1)}},
			{"2001:db8::2", mac(2), []lb.MAC{mac(2)}},
			{"2001:db8::9", lb.MAC{}, nil},
		} {
			s.client.Ask(addr(row.ask), row.to)
			wait(time.Millisecond)
			var got []lb.MAC
			for _, r := range s.replies() {
				got = append(got, r.MAC)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("%s asked of %v: answered by %v, want %v", row.ask, row.to, got, row.want)
			}
		}
	})
}

func TestWhatASegmentLoses(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault func(s *site)
		want  int // answers of n1 to n1's address
	}{
		{"nothing", func(*site) {}, 1},
		{"power", func(s *site) { s.hosts[0].SetPower(false) }, 0},
		{"link", func(s *site) { s.nic(0).SetLink(false) }, 0},
		{"link, for a moment", func(s *site) { s.nic(0).SetLink(false); s.nic(0).SetLink(true) }, 1},
		{"questions", func(s *site) { s.lan.Cut("client", "n1") }, 0},
		{"answers", func(s *site) { s.lan.Cut("n1", "client") }, 0},
		{"another's", func(s *site) { s.lan.Cut("n2", "client") }, 1},
		{"what comes in", func(s *site) { s.lan.Block("n1", In) }, 0},
		{"what goes out", func(s *site) { s.lan.Block("n1", Out) }, 0},
		{"a partition", func(s *site) { s.lan.Partition([]string{"n1", "n2"}, []string{"client"}) }, 0},
		{"a partition on the same side", func(s *site) { s.lan.Partition([]string{"n2"}) }, 1},
		{"healed", func(s *site) { s.lan.Partition([]string{"n1"}); s.lan.Heal() }, 1},
		{"isolated from an open port", func(s *site) { s.nic(0).Port().SetIsolated(true) }, 1},
		{"isolated from an isolated port", func(s *site) { s.nic(0).Port().SetIsolated(true); s.client.nic.Port().SetIsolated(true) }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, s *site) {
				row.fault(s)
				s.client.Ask(addr("192.0.2.1"), lb.MAC{})
				wait(time.Millisecond)
				if got := s.replies(); len(got) != row.want {
					t.Errorf("%d answers, want %d", len(got), row.want)
				}
			})
		})
	}
}

// A frame with the owner's address as its source moves the owner's traffic to another port: why nobody may send one.
func TestASwitchLearnsFromSources(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *site) {
		s.client.Ask(addr("192.0.2.1"), lb.MAC{})
		wait(time.Millisecond)
		s.nic(1).port.Send(ethernetFrame(mac(200), mac(1), typeData, nil)) // n2 pretends
		wait(time.Millisecond)
		s.replies()
		s.client.Ask(addr("192.0.2.1"), mac(1))
		wait(time.Millisecond)
		if got := s.replies(); len(got) != 0 {
			t.Errorf("n1 is still reached: %v", got)
		}
	})
}

func TestAStoppedProcessWakesToOldFrames(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *site) {
		p := NewProcess()
		socket := s.nic(0).Listen(p, typeARP)
		beats := p.Beats(50 * time.Millisecond)
		p.Stop()
		asked := time.Now()
		s.client.Ask(addr("192.0.2.1"), lb.MAC{})
		wait(time.Second)
		if len(beats) > 0 {
			t.Error("beats while stopped")
		}
		if got := s.replies(); len(got) != 1 {
			t.Errorf("the kernel gave %d answers meanwhile, want 1", len(got))
		}
		if err := socket.WriteFrame(question(mac(1), addr("192.0.2.1"), lb.MAC{}, addr("192.0.2.200"))); err != nil {
			t.Fatal(err)
		}
		p.Continue()
		buf := make([]byte, 100)
		n, at, err := socket.ReadFrame(buf)
		if err != nil || n != 42 || time.Since(at) < 900*time.Millisecond || at.Before(asked) {
			t.Errorf("read %d bytes of %v, error %v", n, at, err)
		}
		wait(100 * time.Millisecond)
		if len(beats) == 0 {
			t.Error("no beat after waking")
		}
		if len(s.heard) != 0 {
			t.Errorf("heard of a stopped process: %v", s.heard)
		}
		p.Kill()
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := socket.ReadFrame(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestASocketHearsTheGroupsThatWereJoined(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *site) {
		socket := s.nic(0).Listen(NewProcess(), typeIPv6)
		vip := addr("2001:db8::ab:cdef")
		groups := s.nic(0).Groups()
		ask := func() int {
			s.client.Ask(vip, lb.MAC{})
			wait(time.Millisecond)
			n := len(socket.queue)
			socket.queue = nil
			return n
		}
		if n := ask(); n != 0 {
			t.Errorf("heard %d without the group", n)
		}
		if err := groups.Reconcile(map[netip.Addr]bool{neighbor.SolicitedNode(vip): true}); err != nil || ask() != 1 {
			t.Error("not heard though joined", err)
		}
		groups.Close()
		if n := ask(); n != 0 {
			t.Errorf("heard %d after leaving", n)
		}
	})
}

func TestDatagramsAndStreams(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, s *site) {
		a, b := netip.MustParseAddrPort("10.0.0.1:7946"), netip.MustParseAddrPort("10.0.0.2:7946")
		pa, pb := NewProcess(), NewProcess()
		var got []Datagram
		ea := s.net.Listen(s.hosts[0], pa, a, func(Datagram) {})
		eb := s.net.Listen(s.hosts[1], pb, b, func(d Datagram) { got = append(got, d) })
		defer ea.Close()
		defer eb.Close()
		ea.Send([]byte("one"), b)
		wait(time.Millisecond)
		pb.Stop()
		ea.Send([]byte("two"), b)
		wait(time.Second)
		if len(got) != 1 || string(got[0].Data) != "one" || got[0].From != a {
			t.Fatalf("got %v", got)
		}
		pb.Continue()
		s.net.Cut("n1", "n2")
		ea.Send([]byte("three"), b)
		wait(time.Second)
		if len(got) != 2 || string(got[1].Data) != "two" || time.Since(got[1].At) < time.Second {
			t.Fatalf("got %v", got)
		}
		if _, err := ea.Dial(b, 500*time.Millisecond); !errors.Is(err, errTimeout) {
			t.Errorf("dialling into a cut: %v", err)
		}
		s.net.Heal()
		if _, err := ea.Dial(netip.MustParseAddrPort("10.0.0.2:1"), time.Second); !errors.Is(err, errRefused) {
			t.Errorf("dialling where nobody listens: %v", err)
		}
		out, err := ea.Dial(b, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in := <-eb.Accept()
		s.net.Cut("n1", "n2")
		if _, err := out.Write([]byte("held")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		_ = in.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := in.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read through a cut: %v", err)
		}
		s.net.Heal()
		_ = in.SetReadDeadline(time.Time{})
		if n, err := in.Read(buf); err != nil || string(buf[:n]) != "held" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
		if _, err := in.Read(buf); !errors.Is(err, io.EOF) {
			t.Errorf("read after the end: %v", err)
		}
	})
}

func TestWatchersLearnOfFlaps(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, s *site) {
		ctx, cancel := context.WithCancel(t.Context())
		var notes []Notice
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.hosts[0].Watch(ctx, NewProcess(), func(n Notice) { notes = append(notes, n) })
		}()
		synctest.Wait()
		s.nic(0).SetLink(false)
		s.nic(0).SetLink(true)
		synctest.Wait()
		cancel()
		<-done
		index := s.nic(0).Index
		if want := []Notice{{}, {Index: index, LostLink: true}, {Index: index}}; !slices.Equal(notes, want) {
			t.Errorf("notes %v, want %v", notes, want)
		}
	})
}

// The cache of a client acts as Linux's does: what a stopped owner leaves unanswered by unicast is asked of all, and no packet is lost.

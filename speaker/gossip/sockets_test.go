package gossip

import (
	"bytes"
	"io"
	"log"
	"net/netip"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func openPair(t testing.TB) (a, b *sockets) {
	t.Helper()
	out := [2]*sockets{}
	for i, ip := range []string{"127.0.0.2", "::1"} {
		s, err := openSockets(netip.AddrPortFrom(netip.MustParseAddr(ip), 0), log.New(io.Discard, "", 0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
		})
		out[i] = s
	}
	return out[0], out[1]
}

// own is where a Transport listens.
func (s *sockets) own() string { return s.udp.LocalAddr().String() }

func TestADatagramIsNotOverwrittenByTheNext(t *testing.T) {
	four, six := openPair(t)
	for _, s := range []*sockets{four, six} {
		var sent [][]byte
		for i, n := range []int{1, 60, 1400, 65000, 2} {
			sent = append(sent, bytes.Repeat([]byte{byte('a' + i)}, n))
			if _, err := s.WriteTo(sent[i], s.own()); err != nil {
				t.Fatal(err)
			}
		}
		var got []*Packet
		for range sent {
			got = append(got, <-s.PacketCh())
		}
		for i, p := range got {
			if !bytes.Equal(p.Buf, sent[i]) || p.From.String() != s.own() || time.Since(p.Timestamp) > patience {
				t.Errorf("%s: datagram %d has %d bytes, of %d, from %v", s.own(), i, len(p.Buf), len(sent[i]), p.From)
			}
			if cap(p.Buf) > 2*len(sent[i])+64 {
				t.Errorf("a datagram of %d bytes takes %d", len(sent[i]), cap(p.Buf))
			}
		}
	}
}

func TestSocketsCarryStreams(t *testing.T) {
	four, six := openPair(t)
	for _, s := range []*sockets{four, six} {
		out, err := s.DialTimeout(s.own(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in := <-s.StreamCh()
		if _, err := out.Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		_ = out.Close()
		if got, err := io.ReadAll(in); err != nil || string(got) != "hello" {
			t.Errorf("%s: read %q, %v", s.own(), got, err)
		}
		_ = in.Close()
	}
}

func TestSocketsCloseWhileNobodyReads(t *testing.T) {
	four, six := openPair(t)
	for _, s := range []*sockets{four, six} {
		if _, err := s.WriteTo([]byte("unread"), s.own()); err != nil {
			t.Fatal(err)
		}
		conn, err := s.DialTimeout(s.own(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		if _, err := s.WriteTo([]byte("late"), s.own()); err == nil {
			t.Error("a closed socket sends")
		}
	}
}

func TestSocketsRefuseAnAddressInUse(t *testing.T) {
	four, _ := openPair(t)
	if s, err := openSockets(netip.MustParseAddrPort(four.own()), log.New(io.Discard, "", 0)); err == nil {
		_ = s.Shutdown()
		t.Errorf("%s is opened twice", four.own())
	}
}

// BenchmarkDatagram compares what a datagram of the length of a beat takes, there and received, with the transport of memberlist.
func BenchmarkDatagram(b *testing.B) {
	discard := log.New(io.Discard, "", 0)
	ours, _ := openPair(b)
	theirs, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.3"}, Logger: discard})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = theirs.Shutdown() })
	for _, c := range []struct {
		name string
		t    Transport
		addr netip.AddrPort
	}{
		{"ours", ours, netip.MustParseAddrPort(ours.own())},
		{"memberlist's", theirs, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), uint16(theirs.GetAutoBindPort()))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			beat, addr := make([]byte, 66), c.addr.String()
			for b.Loop() {
				if _, err := c.t.WriteTo(beat, addr); err != nil {
					b.Fatal(err)
				}
				<-c.t.PacketCh()
			}
		})
	}
}

package witness

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

func TestACaptureHasTheQuestionAndTheAnswerWithTheirTimes(t *testing.T) {
	c := newCable(t)
	var file bytes.Buffer
	capture, err := NewCapture(c.here, "eth0", &file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- capture.Run(ctx) }()
	asker, err := NewAsker(c.here, "eth0", c.station)
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	before := time.Now()
	if heard, err := asker.Ask(t.Context(), c.theirs4, Broadcast, time.Second); err != nil || len(heard) == 0 {
		t.Fatalf("%v; heard:\n%s", err, heard)
	}
	after := time.Now()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	sources := arpSources(t, &file, before, after)
	if want := []MAC{c.hereMAC, c.thereMAC}; !slices.Equal(sources, want) {
		t.Errorf("the capture has ARP from %v, want the question and the answer: %v", sources, want)
	}
}

// arpSources are the Ethernet sources of the ARP frames in a capture, each of which must be from between the two times.
func arpSources(t *testing.T, file *bytes.Buffer, from, to time.Time) (sources []MAC) {
	t.Helper()
	in, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, info, err := in.ReadPacketData()
		if err != nil {
			return sources // io.EOF, or what the caller will miss
		}
		if binary.BigEndian.Uint16(frame[12:]) != etherTypeARP {
			continue
		}
		if info.Timestamp.Before(from) || info.Timestamp.After(to) {
			t.Errorf("an ARP frame of %v, not of the time from %v to %v", info.Timestamp, from, to)
		}
		sources = append(sources, MAC(frame[6:12]))
	}
}

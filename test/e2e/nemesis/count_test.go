package nemesis

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// here is a place without a namespace of its own.
type here struct{ net.Dialer }

func (*here) Do(f func() error) error { return f() }

func TestConnectionsThatFailAndThoseThatBreakAreCounted(t *testing.T) {
	whole := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer whole.Close()
	breaking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	defer breaking.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r := &run{}
	at := func(server *httptest.Server) netip.AddrPort {
		return netip.MustParseAddrPort(server.Listener.Addr().String())
	}
	nobody := httptest.NewServer(nil)
	nobody.Close()
	for _, server := range []*httptest.Server{whole, whole, nobody} {
		c := witness.NewConnector(&here{}, at(server), 1, time.Minute)
		c.Run(ended) // one attempt
		r.connectors = append(r.connectors, c)
	}
	for _, server := range []*httptest.Server{whole, whole, breaking} {
		s, err := witness.OpenStream(t.Context(), &here{}, at(server), time.Millisecond, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		until := t.Context()
		if server == whole {
			until = ended
		}
		s.Run(until)
		r.streams = append(r.streams, s)
	}
	var got row
	r.count(&got)
	if got.connections != 3 || got.failed != 1 || got.streams != 3 || got.broken != 1 {
		t.Errorf("%d of %d new connections failed, want 1 of 3, and %d of %d long-lived ones broke, want 1 of 3", got.failed, got.connections, got.broken, got.streams)
	}
}

func TestLimitsAreThoseOfThePromises(t *testing.T) {
	second := limits{silence: time.Second, doubt: time.Second, meanwhile: time.Second, failed: unlimited, broken: unlimited, stoodIn: unlimited}
	one, none, nobody := second, second, second
	one.moves = [2]int{1, 1}
	none.failed, none.broken, none.meanwhile = 0, 0, 100*time.Millisecond
	nobody.failed, nobody.broken, nobody.meanwhile, nobody.stoodIn = 0, 0, 100*time.Millisecond, 0
	for _, c := range []struct {
		name      string
		got, want limits
	}{{"usual", usual, second}, {"moving", moving(1, 1), one}, {"lossless", lossless(), none}, {"untouched", untouched(), nobody}} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, c.got, c.want)
		}
	}
}

func TestARowThatDidNotFinishOrHadAnotherErrorFails(t *testing.T) {
	fine := row{want: usual, times: 1, asked: 1, connections: 1, streams: 1}
	unfinished, bad := row{want: usual}, fine
	bad.bad = true
	for _, c := range []struct {
		name   string
		row    row
		failed bool
	}{{"fine", fine, false}, {"unfinished", unfinished, true}, {"with another error", bad, true}} {
		if failed := strings.Contains(table{c.row}.String(), "FAILED"); failed != c.failed {
			t.Errorf("%s: failed = %v, want %v", c.name, failed, c.failed)
		}
	}
}

func TestTheMedianIsTheMiddleOne(t *testing.T) {
	r := row{announced: []time.Duration{9, 1, 2}}
	if got := r.median(); got != 2 {
		t.Errorf("the median is %v, want 2", got)
	}
}

package witness

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// answered is an answer for vip4 to a patrol's station.
func answered(ms, kind, seq int, src, payload MAC) Sighting {
	return Sighting{Time: at(ms), Addr: vip4, Kind: Reply, Src: src, Payload: payload, Dst: stationMAC(kind, seq)}
}

func TestOnlyAnswersToThePatrolInTheirTimeCount(t *testing.T) {
	later := stations * 100 // when the first station asks again
	rounds := make([]Round, stations+1)
	for i := range rounds {
		rounds[i] = Round{Time: at(i * 100), Addr: vip4, seq: i}
	}
	elsewhere := answered(1, 0, 0, node1, node1)
	elsewhere.Dst[0] = 0x06 // somebody else's station, whose address ends alike
	announcement := answered(1, 0, 0, node1, node1)
	announcement.Kind = AnnounceReply
	for _, c := range []struct {
		name  string
		heard Sighting
		first bool // whether it answers the first round
	}{
		{"an answer", answered(1, 0, 0, node1, node1), true},
		{"one just before the next question", answered(later-1, 0, 0, node1, node1), true},
		{"one to the next question", answered(later, 0, 0, node1, node1), false},
		{"one to another station", elsewhere, false},
		{"an announcement", announcement, false},
	} {
		look := Record{c.heard}.Looks(vip4, rounds)[0]
		if look.Answered != c.first || (len(look.Owners) == 1) != c.first {
			t.Errorf("%s: the first round is %+v, want it answered: %v", c.name, look, c.first)
		}
	}
}

func TestAnAnswerNamesItsSenderUnlessItSaysOtherwise(t *testing.T) {
	rounds := []Round{{Time: at(0), Addr: vip4}}
	for _, c := range []struct {
		name         string
		payload      MAC
		owner        MAC
		alone, stood bool
	}{
		{"its own address", node2, node2, true, false},
		{"no address, as an advertisement may", MAC{}, node2, true, false},
		{"another's address", node1, node1, false, true},
	} {
		look := Record{answered(1, 1, 0, node2, c.payload)}.Looks(vip4, rounds)[0]
		if len(look.Owners) != 1 || look.Owners[0] != c.owner || look.Speakers[0] != node2 || (len(look.Alone) == 1) != c.alone {
			t.Errorf("%s: %+v", c.name, look)
		}
		if v := Judge([]Look{look}, names, at(0), at(100)); (v.StoodIn == 1) != c.stood {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

func TestTwoAddressesOfOneHostAreOneOwner(t *testing.T) {
	record := Record{answered(1, 0, 0, node1, node1), answered(2, 1, 0, node2, node2)}
	one := func(MAC) string { return "a bond" }
	v := Judge(record.Looks(vip4, []Round{{Time: at(0), Addr: vip4}}), one, at(0), at(100))
	if len(v.Owners) != 1 || v.Moves() != 0 || v.StoodIn != 0 {
		t.Errorf("%+v, want one owner", v)
	}
	if got := (Verdict{Owners: []string{"n1", "n2", "n1"}}).Moves(); got != 2 {
		t.Errorf("%d moves there and back, want 2", got)
	}
}

func TestTheLongestPauseIsThePace(t *testing.T) {
	looks := []Look{{Time: at(0)}, {Time: at(300)}, {Time: at(400)}}
	if v := Judge(looks, names, at(0), at(500)); v.Pace != 300*time.Millisecond {
		t.Errorf("the pace is %v, want 300ms", v.Pace)
	}
}

func TestTheFirstAnnouncementByAnotherIsNotTheOwners(t *testing.T) {
	r := Record{saw(0, AnnounceRequest, node1), saw(10, AnnounceReply, node2)}
	if s, ok := r.FirstAnnouncementByOther(vip4, node1, at(0)); !ok || !s.Time.Equal(at(10)) {
		t.Errorf("%v, %v; want the one at 10 ms", s, ok)
	}
}

// loopback is a Place: this machine.
type loopback struct{ net.Dialer }

func (loopback) Do(f func() error) error { return f() }

func TestAnErrorOfTheServerIsAFailedConnection(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		target := netip.MustParseAddrPort(server.Listener.Addr().String())
		if a := Fetch(t.Context(), &loopback{}, target, time.Minute); a.OK() != (status == http.StatusOK) {
			t.Errorf("status %d: %v", status, a.Err)
		}
		server.Close()
	}
}

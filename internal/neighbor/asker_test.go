package neighbor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// question is who asks for an address of testWant, and how. The numbers are the last octets of MACs 02:..
type question struct {
	host       string // the last group of the address
	by, source byte   // hardware address in the payload, Ethernet source
	to         string // Ethernet destination: "all", "us" or "member"; "us at all" is a frame to us with a packet to the group
	inUse      bool   // from no address; such a solicitation goes to all and tells no MAC but its source
}

// The table is told of a frame who asks, whether all were asked, and whether it is about an address in use: whoever put his MAC in
// front of the asker's, and to whichever of our MACs it went.
func TestFramesAskWhatTheTableAnswers(t *testing.T) {
	const us, owner, next, relay = 0x01, 0x02, 0x03, 0x77
	for _, c := range []struct {
		name string
		question
		want Verdict
		mac  byte // told; 0 is nothing
	}{
		{"the node before asks all", question{"40", next, next, "all", false}, Withheld, 0},
		{"the node before asks all, through a wireless bridge", question{"40", next, relay, "all", false}, Withheld, 0},
		{"a client asks all, through the node before", question{"40", 0x99, next, "all", false}, Answered, us},
		{"the node before asks us", question{"40", next, next, "us", false}, Answered, us},
		{"the node before asks us, by a packet to all", question{"40", next, next, "us at all", false}, Answered, us},
		{"the node before asks a member of our bond", question{"40", next, next, "member", false}, Answered, us},
		{"the node before asks whether it is in use", question{"40", next, next, "all", true}, Answered, us},
		{"the new owner asks", question{"30", next, next, "all", false}, Trailed, us},
		{"the new owner asks through a wireless bridge", question{"30", next, relay, "all", false}, Trailed, us},
		{"another asks through the new owner", question{"30", 0x99, next, "all", false}, Withheld, 0},
		{"the new owner asks whether it is in use", question{"30", next, next, "all", true}, Withheld, 0},
		{"one that is stood in for", question{"20", 0x99, 0x99, "all", false}, StoodIn, owner},
		{"one that is stood in for, by one node", question{"20", 0x99, 0x99, "us", false}, StoodIn, owner},
		{"whether one that is stood in for is in use", question{"20", 0x99, 0x99, "all", true}, StoodIn, owner},
		{"the owner asks its stand-in", question{"20", owner, owner, "all", false}, Withheld, 0},
		{"the owner asks its stand-in whether it is in use", question{"20", owner, owner, "all", true}, Withheld, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if o := AnswerARP(testTable(), testLink(), c.arp()); o.Verdict != c.want || toldByARP(o.Reply) != c.mac {
				t.Errorf("ARP: %v, %x; want %v with the MAC %x", o.Verdict, o.Reply, c.want, c.mac)
			}
			if o := AnswerNDP(testTable(), testLink(), c.ndp(t)); o.Verdict != c.want || toldByNDP(o.Reply) != c.mac {
				t.Errorf("NDP: %v, %x; want %v with the MAC %x", o.Verdict, o.Reply, c.want, c.mac)
			}
		})
	}
}

func (q question) dst() MAC {
	switch q.to {
	case "us", "us at all":
		return testLink().MAC
	case "member":
		return testLink().Members[0]
	}
	return broadcastMAC()
}

func (q question) arp() []byte {
	asker := netip.MustParseAddr("192.0.2.99")
	if q.inUse {
		asker = netip.IPv4Unspecified()
	}
	from := Link{MAC: MAC{2, 5: q.source}}
	return sealARP(from, q.dst(), arp.OperationRequest, MAC{2, 5: q.by}, asker, MAC{}, netip.MustParseAddr("192.0.2."+q.host))
}

func (q question) ndp(t *testing.T) []byte {
	t.Helper()
	target := netip.MustParseAddr("2001:db8::" + q.host)
	to, dst, src := q.dst(), target, netip.MustParseAddr("2001:db8::99")
	if strings.HasSuffix(q.to, "all") {
		dst = SolicitedNode(target)
	}
	if q.to == "all" {
		to = groupMAC(dst)
	}
	ns := &ndp.NeighborSolicitation{TargetAddress: target}
	if q.inUse {
		src = netip.IPv6Unspecified()
	} else {
		mac := MAC{2, 5: q.by}
		ns.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]}}
	}
	return sealND(Link{MAC: MAC{2, 5: q.source}}, to, src, dst, ns)
}

// toldByARP returns the last octet of the MAC that a reply tells; 0 without a reply.
func toldByARP(reply []byte) byte {
	if reply == nil {
		return 0
	}
	return reply[headerLen+13]
}

func toldByNDP(reply []byte) byte {
	if reply == nil {
		return 0
	}
	return reply[headerLen+ipv6HeaderLen+ndLen+7]
}

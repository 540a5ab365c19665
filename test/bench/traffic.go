package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// traffic is what a node sent on the LAN, in frames.
type traffic struct {
	requests, replies int // ARP, neither of them an announcement
	announcements     int // ARP with SPA = TPA, and unasked NAs
	solicitations     int // NS
	advertisements    int // NA that answer
	udp, tcp          int // TCP as segments, see segments
	others            int // router solicitations, MLD reports and whatever else
}

func (t *traffic) add(o traffic) {
	t.requests += o.requests
	t.replies += o.replies
	t.announcements += o.announcements
	t.solicitations += o.solicitations
	t.advertisements += o.advertisements
	t.udp += o.udp
	t.tcp += o.tcp
	t.others += o.others
}

// probing is how many were questions and answers between hosts.
func (t traffic) probing() int { return t.requests + t.replies + t.solicitations + t.advertisements }

// count adds one frame.
func (t *traffic) count(frame []byte) {
	s, claims := witness.Decode(frame)
	var etherType uint16
	if len(frame) >= 14 {
		etherType = binary.BigEndian.Uint16(frame[12:])
	}
	switch {
	case claims && s.Kind.Announcement():
		t.announcements++
	case etherType == unix.ETH_P_ARP && claims && s.Kind == witness.Reply:
		t.replies++
	case etherType == unix.ETH_P_ARP:
		t.requests++
	case claims && s.Kind == witness.NASolicited:
		t.advertisements++
	default:
		t.countIP(etherType, frame)
	}
}

// countIP adds a frame that is no ARP and no neighbour advertisement. Fragments and extension headers count as others.
func (t *traffic) countIP(etherType uint16, frame []byte) {
	const icmp6, solicitation = 58, 135
	protocol := -1
	switch {
	case etherType == unix.ETH_P_IP && len(frame) >= 14+20:
		protocol = int(frame[14+9])
	case etherType == unix.ETH_P_IPV6 && len(frame) > 14+40:
		protocol = int(frame[14+6])
		if protocol == icmp6 && frame[14+40] == solicitation {
			t.solicitations++
			return
		}
	}
	switch protocol {
	case unix.IPPROTO_UDP:
		t.udp++
	case unix.IPPROTO_TCP:
		t.tcp += segments(etherType, frame)
	default:
		t.others++
	}
}

// segments returns how many Ethernet frames a TCP segment becomes. The interfaces of the lab are given up to 64 KiB at once and pass
// that on as it is, where a card would cut it to fit (TCP segmentation offload).
func segments(etherType uint16, frame []byte) int {
	const ethernet, mtu = 14, 1500 // bytes: the header, and what may follow it (IEEE 802.3 §3.2.7)
	ip := 40
	if etherType == unix.ETH_P_IP {
		ip = int(frame[ethernet]&0x0f) * 4
	}
	if len(frame) <= ethernet+ip+12 {
		return 1
	}
	headers := ip + int(frame[ethernet+ip+12]>>4)*4
	payload, room := len(frame)-ethernet-headers, mtu-headers
	return max(1, (payload+room-1)/room)
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// traffic is what a node sent on the LAN, in frames.
type traffic struct {
	requests, replies int // ARP, neither of them an announcement
	announcements     int // ARP with SPA = TPA, and unasked NAs
	solicitations     int // NS
	advertisements    int // NA that answer
	udp, tcp          int
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
		t.tcp++
	default:
		t.others++
	}
}

// listenTo counts what a host sends on the LAN until stop is called, which returns the count.
func listenTo(h lab.Host) (stop func() (traffic, error), err error) {
	var conn *packet.Conn
	err = h.Do(func() error {
		ifi, err := net.InterfaceByName(h.Interface)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.Name, err)
	}
	var sent traffic
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<16)
		own := witness.MACOf(h.MAC)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				ended <- err
				return
			}
			if n >= 14 && witness.MAC(buf[6:12]) == own {
				sent.count(buf[:n])
			}
		}
	}()
	return func() (traffic, error) {
		failed := conn.SetReadDeadline(time.Now())
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			failed = errors.Join(failed, err)
		}
		stats, err := conn.Stats()
		if err == nil && stats.Drops > 0 {
			err = fmt.Errorf("the kernel dropped %d frames before they were counted", stats.Drops)
		}
		if err := errors.Join(failed, err, conn.Close()); err != nil {
			return sent, fmt.Errorf("listening on %s: %w", h.Name, err)
		}
		return sent, nil
	}, nil
}

// trafficOf counts what all nodes of a lab send while f runs.
func trafficOf(ctx context.Context, l *lab.Lab, f func() error) (all traffic, err error) {
	var stops []func() (traffic, error)
	for _, n := range l.Nodes() {
		stop, err := listenTo(n)
		if err != nil {
			return all, err
		}
		stops = append(stops, stop)
	}
	err = f()
	for _, stop := range stops {
		one, failed := stop()
		all.add(one)
		err = errors.Join(err, failed)
	}
	return all, errors.Join(err, ctx.Err())
}

package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// groupsPerSocket bounds the memberships of one socket. The kernel charges them to the socket's option memory
// (net.core.optmem_max, 20 KiB on many systems), so many groups need many sockets.
const groupsPerSocket = 256

// groups are the multicast groups that we have joined on one interface. Joining is more than telling our own network card:
// the kernel reports the group (MLD), and a switch with MLD snooping delivers a group only to ports that reported it.
// The sockets are never bound to a port, so nothing can be sent to them.
type groups struct {
	log     logr.Logger
	ifindex int
	sockets []*groupSocket
	joined  map[netip.Addr]*groupSocket
}

type groupSocket struct {
	fd    int
	count int
	full  bool // the kernel refused one more
}

// Groups implements Host.
func (k kernel) Groups(ifindex int) Groups { return &groups{log: k.log, ifindex: ifindex} }

// Reconcile implements Groups. First it finds out whether the kernel still holds what was joined.
func (g *groups) Reconcile(want map[netip.Addr]bool) error {
	if len(g.joined) > 0 {
		held, err := heldGroups()
		if err != nil { // then what we joined is what we believe
			g.log.V(1).Info("the groups cannot be verified", "reason", err.Error())
		} else if g.lost(held[g.ifindex]) {
			g.Close()
		}
	}
	var errs []error
	for _, group := range slices.SortedFunc(maps.Keys(g.joined), netip.Addr.Compare) {
		if !want[group] {
			errs = append(errs, g.leave(group))
		}
	}
	for _, group := range slices.SortedFunc(maps.Keys(want), netip.Addr.Compare) {
		if g.joined[group] != nil {
			continue
		}
		if err := g.join(group); err != nil {
			errs = append(errs, err)
			break // the next would fail alike
		}
	}
	return errors.Join(errs...)
}

// join joins one group on the first socket with room, or on a new one.
func (g *groups) join(group netip.Addr) error {
	mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.ifindex)}
	for {
		s, err := g.roomy()
		if err != nil {
			return err
		}
		err = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, mreq)
		switch {
		case err == nil:
			if g.joined == nil {
				g.joined = map[netip.Addr]*groupSocket{}
			}
			g.joined[group] = s
			s.count++
			return nil
		case (errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS)) && s.count > 0:
			s.full = true
		default:
			g.drop(s)
			return fmt.Errorf("joining %v: %w", group, err)
		}
	}
}

// roomy returns a socket that can take a group.
func (g *groups) roomy() (*groupSocket, error) {
	for _, s := range g.sockets {
		if !s.full && s.count < groupsPerSocket {
			return s, nil
		}
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for multicast groups: %w", err)
	}
	s := &groupSocket{fd: fd}
	g.sockets = append(g.sockets, s)
	return s, nil
}

func (g *groups) leave(group netip.Addr) error {
	s := g.joined[group]
	delete(g.joined, group)
	mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.ifindex)}
	err := unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, mreq)
	s.count--
	s.full = false
	g.drop(s)
	// EADDRNOTAVAIL: the kernel took the membership away with the interface's IPv6 configuration.
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("leaving %v: %w", group, err)
	}
	return nil
}

// drop closes s when it holds no group.
func (g *groups) drop(s *groupSocket) {
	if s.count > 0 {
		return
	}
	_ = unix.Close(s.fd) // nothing was written to it
	g.sockets = slices.DeleteFunc(g.sockets, func(o *groupSocket) bool { return o == s })
}

// Close implements Groups.
func (g *groups) Close() {
	for _, s := range g.sockets {
		_ = unix.Close(s.fd) // nothing was written to it
	}
	g.sockets, g.joined = nil, nil
}

// lost says whether the kernel no longer holds one of the joined groups. That happens when the interface's IPv6 is turned
// off and on again: the memberships are gone, while our sockets believe that they have them.
func (g *groups) lost(held map[netip.Addr]bool) bool {
	for group := range g.joined {
		if !held[group] {
			return true
		}
	}
	return false
}

// solicitedNodes returns the groups for the IPv6 addresses that the interface answers for, in whatever way: a question is sent
// to the group whoever has the address.
func solicitedNodes(want map[neighbor.Target]neighbor.Entry, name string) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for t := range want {
		if t.Interface == name && t.Addr.Is6() && !t.Addr.Is4In6() {
			all[neighbor.SolicitedNode(t.Addr)] = true
		}
	}
	return all
}

// heldGroups reads from the kernel which IPv6 groups each interface, by its index, is in. It asks for the thread's namespace,
// which is the one of the sockets; /proc/self would ask for that of the process's first thread.
func heldGroups() (map[int]map[netip.Addr]bool, error) {
	b, err := os.ReadFile("/proc/thread-self/net/igmp6")
	if err != nil {
		return nil, fmt.Errorf("reading the multicast groups: %w", err)
	}
	return parseGroups(b), nil
}

// parseGroups reads lines of the form "2    eth0            ff0200000000000000000001ff000010     1 00000004 0".
func parseGroups(b []byte) map[int]map[netip.Addr]bool {
	held := map[int]map[netip.Addr]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 3 {
			continue
		}
		index, err := strconv.Atoi(string(fields[0]))
		group, ok := parseHexAddr(fields[2])
		if err != nil || !ok {
			continue
		}
		if held[index] == nil {
			held[index] = map[netip.Addr]bool{}
		}
		held[index][group] = true
	}
	return held
}

// parseHexAddr reads an IPv6 address written as 32 hexadecimal digits.
func parseHexAddr(digits []byte) (netip.Addr, bool) {
	var a [16]byte
	if n, err := hex.Decode(a[:], digits[:min(len(digits), 32)]); err != nil || n != len(a) {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16(a), true
}

package witness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netspace is a network namespace that lives as long as the test.
type netspace struct{ ns netns.NsHandle }

// Do runs fn on a thread of its own, which ends with it: a thread that was in another namespace is never reused.
func (n netspace) Do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(n.ns); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

func (n netspace) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = n.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// newNetspace makes a namespace that nothing else is connected to.
func newNetspace(t *testing.T) netspace {
	t.Helper()
	made := make(chan netns.NsHandle)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("making a network namespace (this needs root): %v", err)
			close(made)
			return
		}
		ns, err := netns.Get()
		if err != nil {
			t.Errorf("opening the new namespace: %v", err)
			close(made)
			return
		}
		made <- ns
	}()
	ns, ok := <-made
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() { _ = ns.Close() })
	return netspace{ns}
}

// cable is two namespaces, "here" and "there", on one wire.
type cable struct {
	here, there       netspace
	hereMAC, thereMAC MAC
	theirs4, theirs6  netip.Addr // addresses that the kernel over there answers for
	station           Station
}

func newCable(t *testing.T) cable {
	t.Helper()
	c := cable{here: newNetspace(t), there: newNetspace(t), hereMAC: client, thereMAC: node1, theirs4: vip4, theirs6: vip6, station: self}
	must := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("making the wire", c.here.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: c.hereMAC[:]},
			PeerName:  "eth0", PeerHardwareAddr: c.thereMAC[:], PeerNamespace: netlink.NsFd(c.there.ns),
		})
	}))
	must("setting up here", c.here.Do(func() error { return configure("192.168.1.100/24", "fd00:1::100/64") }))
	must("setting up there", c.there.Do(func() error { return configure("192.168.1.200/24", "fd00:1::200/64") }))
	must("waiting for the carrier here", c.here.Do(awaitCarrier))
	must("waiting for the carrier there", c.there.Do(awaitCarrier))
	return c
}

// awaitCarrier returns when the kernel has noticed that the cable is in at both ends, which takes it up to a second: until
// then it drops what is sent.
func awaitCarrier() error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
	}
	return errors.New("eth0 has no carrier after 10 s")
}

func configure(addresses ...string) error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_dad", []byte("0"), 0o644); err != nil {
		return fmt.Errorf("turning duplicate address detection off: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
	}
	return nil
}

func TestTheKernelOverThereIsTheOnlyAnswerer(t *testing.T) {
	c := newCable(t)
	asker, err := NewAsker(c.here, "eth0", c.station)
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	for _, addr := range []netip.Addr{c.theirs4, c.theirs6} {
		got, err := asker.AskAll(t.Context(), addr, []MAC{c.thereMAC, node2}, 200*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if owner, err := got.Only(); err != nil || owner != c.thereMAC {
			t.Errorf("%s is answered by %s, %v; want %s", addr, owner, err, c.thereMAC)
		}
		nobody := addr.Next()
		got, err = asker.AskAll(t.Context(), nobody, []MAC{c.thereMAC}, 50*time.Millisecond)
		if err != nil || !got.Silent() {
			t.Errorf("%s, which nobody has: %v, %v; want silence", nobody, got, err)
		}
	}
}

func TestTheWitnessHearsAnswersAndAnnouncements(t *testing.T) {
	c := newCable(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w, err := New(c.here, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	running, done := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- w.Run(running) }()
	defer func() {
		done()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()

	other, err := NewAsker(c.there, "eth0", Station{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	announced := netip.MustParseAddr("192.168.1.201")
	before := time.Now()
	frames := [][]byte{
		arpFrame(Broadcast, node1, 1, node1, announced, MAC{}, announced),
		naFrame(MAC{0x33, 0x33, 0, 0, 0, 1}, node1, 0x20, netip.MustParseAddr("fd00:1::201"), node1),
		arpFrame(Broadcast, node1, 1, node1, announced, MAC{}, announced)[:30], // cut short
	}
	for _, f := range frames {
		if err := other.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	if a := Fetch(ctx, c.here, netip.AddrPortFrom(vip4, 9), time.Second); a.OK() { // makes our kernel ask theirs
		t.Errorf("a port that nobody listens on answered %q", a.Body)
	}
	got, err := w.Await(ctx, before, func(r Record) bool {
		return len(r.Announcements()) >= 2 && len(r.Of(vip4)) > 0
	})
	if err != nil {
		t.Fatalf("%v; heard:\n%s", err, got)
	}
	for _, addr := range []netip.Addr{announced, netip.MustParseAddr("fd00:1::201")} {
		if _, ok := got.FirstAnnouncementBy(addr, node1, before); !ok {
			t.Errorf("no announcement of %s in:\n%s", addr, got)
		}
	}
	if macs := got.MACs(vip4, before, time.Time{}); len(macs) != 1 || macs[0] != c.thereMAC {
		t.Errorf("%s is claimed by %v, want %s only", vip4, macs, c.thereMAC)
	}
	if lost, err := w.Lost(); lost != 0 || err != nil {
		t.Errorf("lost %d frames, %v", lost, err)
	}
}

func TestTheConnectorCountsAnswersAndSilence(t *testing.T) {
	c := newCable(t)
	var listener net.Listener
	if err := c.there.Do(func() (err error) { listener, err = net.Listen("tcp", "192.168.1.200:80"); return err }); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "pod=web-1 node=node1") })}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	connector := NewConnector(c.here, netip.AddrPortFrom(vip4, 80), 50, 500*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); connector.Run(ctx) }()
	awaitAttempts(t, connector, "an answer", func(as Attempts) bool { return slices.ContainsFunc(as, Attempt.OK) })
	stopped := time.Now()
	server.Close()
	<-served
	awaitAttempts(t, connector, "a failure", func(as Attempts) bool { return !as[len(as)-1].OK() })
	cancel()
	<-ended

	all := connector.Attempts()
	if first, ok := all.FirstSuccess(time.Time{}); !ok || first.Field("pod") != "web-1" {
		t.Errorf("first answer is %+v, want one of web-1", first)
	}
	if a, ok := all.FirstSuccess(stopped.Add(time.Second)); ok {
		t.Errorf("an answer after the server had stopped: %+v", a)
	}
	if r := all.SuccessRatio(); r <= 0 || r >= 1 {
		t.Errorf("success ratio %v, want something between none and all", r)
	}
}

func awaitAttempts(t *testing.T, c *Connector, what string, ok func(Attempts) bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if as := c.Attempts(); len(as) > 0 && ok(as) {
			return
		}
	}
	t.Fatalf("no attempt brought %s: %+v", what, c.Attempts())
}

func TestAMissingInterfaceIsNamed(t *testing.T) {
	if _, err := New(newNetspace(t), "eth7"); err == nil {
		t.Error("a witness on an interface that does not exist opened")
	} else if want := "opening the witness: interface eth7"; len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("error = %q, want it to begin with %q", err, want)
	}
}

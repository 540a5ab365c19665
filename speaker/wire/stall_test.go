package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

func TestGuard(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		name          string
		beats         []int // when the guard was ticked, in ms
		received, now int
		want          bool
	}{
		{"a fresh frame", []int{0, 50, 100}, 110, 111, false},
		{"200 ms old", []int{0, 200, 300}, 100, 300, false},
		{"over 200 ms old", []int{0, 200, 300}, 99, 300, true},
		{"after a stall, the beat wakes first: what waited is stale", []int{0, 1000}, 990, 1001, true},
		{"after a stall, the reader wakes first: what waited is stale", []int{0}, 990, 1000, true},
		{"after a stall, what comes later is fresh", []int{0, 1000}, 1005, 1006, false},
		{"a gap of 300 ms is no stall", []int{0, 300}, 290, 301, false},
		{"received after now, since the clock was set back", []int{0, 50}, 90, 60, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuard(start)
			for _, ms := range c.beats {
				g.tick(at(ms))
			}
			if got := g.stale(at(c.received), at(c.now)); got != c.want {
				t.Errorf("stale = %v, want %v", got, c.want)
			}
		})
	}
}

func TestGuardOutlivesAClockThatIsSetBack(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuard(start)
	g.tick(start.Add(time.Second)) // a stall: all before is stale
	// The clock is set back by an hour. Here the monotonic reading goes with it, which no real one does; it only matters
	// that it is not a stall.
	now := start.Add(time.Second - time.Hour)
	if g.stale(now, now) {
		t.Error("a frame is stale because the clock was set back")
	}
}

func TestGuardTakesAFrameWithoutAStampForFresh(t *testing.T) {
	now := time.Now()
	g := newGuard(now)
	if g.stale(time.Time{}, now) {
		t.Error("stale")
	}
}

// script is a Conn that delivers what it was given, then waits for Close.
type script struct {
	reads  chan result
	closed chan struct{}
	read   atomic.Int64
	wrote  atomic.Int64
	stop   time.Duration // how long the process is stopped in a write
}

type result struct {
	frame    []byte
	received time.Time
	err      error
}

func (s *script) ReadFrame(buf []byte) (int, time.Time, error) {
	s.read.Add(1)
	select {
	case r := <-s.reads:
		return copy(buf, r.frame), r.received, r.err
	case <-s.closed:
		return 0, time.Time{}, net.ErrClosed
	}
}

func (s *script) WriteFrame([]byte) error {
	s.wrote.Add(1)
	time.Sleep(s.stop)
	return nil
}

func (s *script) Close() error { close(s.closed); return nil }

// serveScript runs the reader of an ARP socket that answers for vip4 on a scripted Conn, and returns how to stop it.
func serveScript(t *testing.T, s *script) (stop func()) {
	t.Helper()
	w := New(Options{Log: testLog(t)})
	w.table.Store(neighbor.NewTable(wantOn("lan0", vip4)))
	w.guard.tick(time.Now())
	p := &port{done: make(chan struct{})}
	p.link.Store(&neighbor.Link{Name: "lan0", MAC: neighbor.MAC{2, 0, 0, 0, 0, 1}})
	f := &family{counters: w.metrics.of("lan0", lb.IPv4), conn: s, answer: neighbor.AnswerARP}
	p.readers.Go(func() { w.serve(p, f) })
	return func() {
		close(p.done)
		check(t, s.Close())
		p.readers.Wait()
	}
}

func TestStaleFramesAreNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{reads: make(chan result, 2), closed: make(chan struct{})}
		stop := serveScript(t, s)
		question := request(t, neighbor.MAC{2, 0, 0, 0, 0, 9}, broadcast(), vip4)
		s.reads <- result{frame: question, received: time.Now().Add(-staleAfter - time.Millisecond)}
		synctest.Wait()
		if n := s.wrote.Load(); n != 0 {
			t.Errorf("%d answers to a stale request", n)
		}
		s.reads <- result{frame: question, received: time.Now()}
		synctest.Wait()
		if n := s.wrote.Load(); n != 1 {
			t.Errorf("%d answers to a fresh request, want 1", n)
		}
		stop()
	})
}

func TestAProcessThatIsStoppedBetweenTwoAnnouncementsKeepsTheSecondBack(t *testing.T) {
	for stop, want := range map[time.Duration]int64{stallAfter: 2, stallAfter + time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{stop: stop}
			w := New(Options{Log: testLog(t)}) // not running: it has no beat
			p := &port{facts: Link{Name: "lan0", Up: true}, families: [2]*family{{counters: w.metrics.of("lan0", lb.IPv4), conn: s}}}
			p.link.Store(&neighbor.Link{Name: "lan0", MAC: neighbor.MAC{2, 0, 0, 0, 0, 1}})
			w.ports["lan0"] = p
			w.Answer(wantOn("lan0", vip4))
			w.announceDue()
			if n := s.wrote.Load(); n != want {
				t.Errorf("stopped for %v in the first frame: %d were sent, want %d", stop, n, want)
			}
		})
	}
}

func TestWhoeverNoticesAStallFirstMutes(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	woke := start.Add(2 * time.Second)
	for name, notice := range map[string]func(*guard){
		"the beat":      func(g *guard) { g.tick(woke) },
		"a reader":      func(g *guard) { g.stale(woke, woke) },
		"who announces": func(g *guard) { g.silent(woke) },
	} {
		g := newGuard(start)
		g.begin(start)
		notice(g)
		if !g.silent(woke) {
			t.Errorf("%s: not mute", name)
		}
		select {
		case gap := <-g.stalled:
			if gap != 2*time.Second {
				t.Errorf("%s: stopped for %v, want 2 s", name, gap)
			}
		default:
			t.Errorf("%s: not told", name)
		}
		g.muted.Store(false)
		if g.stale(woke, woke); g.silent(woke.Add(time.Millisecond)) {
			t.Errorf("%s: mute again because of the same stall", name)
		}
	}
}

func TestStartingLateIsNoStall(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuard(start)
	g.begin(start.Add(time.Minute))
	if g.tick(start.Add(time.Minute + beatEvery)); g.silent(start.Add(time.Minute + 2*beatEvery)) {
		t.Error("mute")
	}
}

func TestABrokenSocketCostsNoCPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{reads: make(chan result), closed: make(chan struct{})}
		go func() {
			for {
				select {
				case s.reads <- result{err: errors.New("broken")}:
				case <-s.closed:
					return
				}
			}
		}()
		stop := serveScript(t, s)
		time.Sleep(10 * time.Second)
		if n := s.read.Load(); n < 2 || n > 102 {
			t.Errorf("%d reads in 10 s, want one in %v", n, readWait)
		}
		stop()
	})
}

// startDaemon runs a speaker in a process of its own until the test ends, and waits until it answers.
func (l *lan) startDaemon() *os.Process {
	t := l.t
	t.Helper()
	runtime.LockOSThread() // Pdeathsig is about the thread that starts the process
	t.Cleanup(runtime.UnlockOSThread)
	daemon := exec.Command("/proc/self/exe")
	daemon.Env = append(os.Environ(), envDaemon+"=1")
	daemon.Stderr = os.Stderr
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGCONT)
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Errorf("the speaker ended with %v", err)
		}
	})
	if got := l.resolve(netip.MustParseAddr(vip4), patience); got != l.mac() {
		t.Fatalf("%s is at %v, want %v", vip4, got, l.mac())
	}
	return daemon.Process
}

// The whole process is stopped while requests come, as by SIGSTOP or a paused virtual machine. When it wakes, another has
// answered them long since, and may have the address: until somebody who knows says so, it says nothing. Its announcements are
// due by then too: it has just started, and repeats them every 1.1 s.
func TestAStoppedSpeakerIsMuteUntilItMaySpeak(t *testing.T) {
	l := newLAN(t)
	arps := l.tap("eth0", unix.ETH_P_ARP)
	daemon := l.startDaemon()
	check(t, daemon.Signal(syscall.SIGSTOP))
	eventually(t, "all its threads have stopped", func() bool { return stopped(t, daemon.Pid) })
	asker := neighbor.MAC{2, 0, 0, 0, 0, 9} // not the client: its kernel asks on its own account
	for range 25 {
		arps.send(request(t, asker, broadcast(), vip4))
		time.Sleep(50 * time.Millisecond)
	}
	for arps.next(time.Millisecond, about(vip4)) != nil {
		continue // said before it was stopped
	}
	check(t, daemon.Signal(syscall.SIGCONT))
	for range 5 {
		arps.send(request(t, asker, broadcast(), vip4))
		if frame := arps.next(soon, about(vip4)); frame != nil {
			s, _ := hear(frame)
			t.Fatalf("said after it woke: %+v", s)
		}
	}
	check(t, daemon.Signal(syscall.SIGUSR1))
	eventually(t, "it answers when it may", func() bool {
		arps.send(request(t, asker, broadcast(), vip4))
		return arps.next(soon, answerFor(vip4, asker)) != nil
	})
}

// stopped says whether every thread of a process has stopped: the third field of its stat, after the name in brackets, is T.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	check(t, err)
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		check(t, err)
		if _, state, ok := strings.Cut(string(b), ") "); !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(threads) > 0
}

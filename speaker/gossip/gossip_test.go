package gossip

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// patience is how long a test waits for what should take well under two seconds: the machine may be busy.
const patience = 30 * time.Second

// peerList is a directory of peers, as the Pods are in a cluster.
type peerList struct {
	mu    sync.Mutex
	addrs []netip.AddrPort
}

func (p *peerList) add(a netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addrs = append(p.addrs, a)
}

func (p *peerList) list() []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.addrs)
}

// running is a Ring whose Run is going.
type running struct {
	*Ring
	cancel context.CancelFunc
	done   chan error
}

// stop ends it as a power cut would: without a word to the others.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("Run of %s: %v", r.cfg.Node, err)
	}
}

// start runs a Ring on a free port of ip and enters it into peers once it listens.
func start(t *testing.T, node, ip string, secret string, peers *peerList, log logr.Logger) *running {
	t.Helper()
	cfg := Config{Node: node, Bind: netip.AddrPortFrom(netip.MustParseAddr(ip), 0), Secret: []byte(secret), Peers: peers.list, Log: log}
	if secret == "" {
		cfg.Secret = nil
	}
	return startConfig(t, cfg, peers)
}

func startConfig(t *testing.T, cfg Config, peers *peerList) *running {
	t.Helper()
	ring, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Ring: ring, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- ring.Run(ctx); close(r.done) }()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	await(t, cfg.Node+" listens", func() bool { return ring.Addr().Port() != 0 })
	peers.add(ring.Addr())
	return r
}

func await(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > patience {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

// members returns the names of those that a ring counts as alive, itself included.
func members(r *Ring) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.members()
}

func names(r *Ring) string { return strings.Join(members(r), " ") }

func sees(r *running, want string) func() bool { return func() bool { return names(r.Ring) == want } }

func three(t *testing.T) (a, b, c *running, peers *peerList) {
	t.Helper()
	peers = &peerList{}
	a = start(t, "a", "127.0.0.2", "secret", peers, logr.Discard())
	b = start(t, "b", "127.0.0.3", "secret", peers, logr.Discard())
	c = start(t, "c", "127.0.0.4", "secret", peers, logr.Discard())
	for _, r := range []*running{a, b, c} {
		await(t, r.cfg.Node+" sees all", sees(r, "a b c"))
	}
	return a, b, c, peers
}

func TestThreeSpeakersSeeEachOther(t *testing.T) {
	a, b, c, _ := three(t)
	for _, r := range []*running{a, b, c} {
		if got := r.Missing(); len(got) != 0 {
			t.Errorf("%s misses %v", r.cfg.Node, got)
		}
	}
	if got := testutil.ToFloat64(a.metrics.members); got != 3 {
		t.Errorf("members metric = %v, want 3", got)
	}
}

func TestADeadSpeakerDisappears(t *testing.T) {
	a, b, c, _ := three(t)
	drain(a.Changed())
	c.stop(t)
	await(t, "a misses c", sees(a, "a b"))
	await(t, "b misses c", sees(b, "a b"))
	select {
	case <-a.Changed():
	default:
		t.Error("a was not woken")
	}
	if got := a.Missing(); len(got) != 1 || got[0] != c.Addr() {
		t.Errorf("a says that %v is missing, want %v", got, c.Addr())
	}
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func TestALeavingSpeakerIsMissedAtOnce(t *testing.T) {
	a, b, c, _ := three(t)
	begin := time.Now()
	c.Leave()
	await(t, "a misses c", sees(a, "a b"))
	await(t, "b misses c", sees(b, "a b"))
	least, _ := Fast().Detection(3)
	if took := time.Since(begin); took >= least+leaveTimeout {
		t.Errorf("a leave took %v, no faster than a death", took)
	}
	c.Leave() // a second time is harmless
	c.stop(t)
	c.Leave() // and so is one after the end
}

func TestASpeakerComesBackUnderItsName(t *testing.T) {
	for _, how := range []string{"after a death", "after a leave"} {
		t.Run(how, func(t *testing.T) {
			a, b, c, peers := three(t)
			if how == "after a leave" {
				c.Leave()
			}
			c.stop(t)
			await(t, "a misses c", sees(a, "a b"))
			start(t, "c", "127.0.0.5", "secret", peers, logr.Discard()) // with another address
			await(t, "a sees c again", sees(a, "a b c"))
			await(t, "b sees c again", sees(b, "a b c"))
		})
	}
}

func TestARestartTooQuickToBeNoticedKeepsTheName(t *testing.T) {
	a, b, c, peers := three(t)
	addr := c.Addr()
	c.stop(t)
	cfg := c.cfg
	cfg.Bind = addr
	again := startConfig(t, cfg, peers)
	again.Publish(claiming(7))
	for _, r := range []*running{a, b, again} {
		await(t, r.cfg.Node+" sees the new c", func() bool {
			said := r.Speakers()
			return names(r.Ring) == "a b c" && len(said) == 1 && said[0].Node == "c" && len(said[0].Claims) == 7
		})
	}
}

func TestAnotherKeyNeverJoinsAndIsCounted(t *testing.T) {
	for _, c := range []struct{ name, secret string }{{"another secret", "other"}, {"no secret", ""}} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var lines []string
			log := funcr.New(func(_, args string) { mu.Lock(); lines = append(lines, args); mu.Unlock() }, funcr.Options{})
			peers := &peerList{}
			a := start(t, "a", "127.0.0.2", "secret", peers, log)
			b := start(t, "b", "127.0.0.3", "secret", peers, logr.Discard())
			await(t, "a sees b", sees(a, "a b"))
			stranger := start(t, "stranger", "127.0.0.9", c.secret, peers, logr.Discard())
			await(t, "a has rejected five times", func() bool { return testutil.ToFloat64(a.metrics.rejected) >= 5 })
			for r, want := range map[*running]string{a: "a b", b: "a b", stranger: "stranger"} {
				if got := names(r.Ring); got != want {
					t.Errorf("%s sees %s, want %s", r.cfg.Node, got, want)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			said := 0
			for _, l := range lines {
				if strings.Contains(l, "rejected gossip") {
					said++
				}
			}
			if said != 1 {
				t.Errorf("the log says it %d times, want once a minute for each peer:\n%s", said, strings.Join(lines, "\n"))
			}
		})
	}
}

func TestGarbageDoesNotHarm(t *testing.T) {
	a, b, _, _ := three(t)
	conn, err := net.Dial("udp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 200 {
		if _, err := conn.Write(bytes.Repeat([]byte{byte(i)}, 1+i*7)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "garbage is counted", func() bool { return testutil.ToFloat64(a.metrics.rejected) > 0 })
	if !sees(a, "a b c")() || !sees(b, "a b c")() {
		t.Errorf("a sees %s, b sees %s", names(a.Ring), names(b.Ring))
	}
}

func TestASpeakerOfAnotherVersionIsAMemberAndTold(t *testing.T) {
	for _, c := range []struct {
		name string
		meta []byte
		told bool
	}{{"ours", []byte{messageVersion}, false}, {"ours with more", []byte{messageVersion, 1}, false},
		{"the next", []byte{messageVersion + 1}, true}, {"none", nil, true}} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			ring, err := New(Config{Node: "a", Bind: netip.MustParseAddrPort("127.0.0.2:7946"),
				Log: funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{})})
			if err != nil {
				t.Fatal(err)
			}
			delegate{ring}.NotifyJoin(&memberlist.Node{Name: "b", Addr: net.IPv4(127, 0, 0, 3), Port: 7946, Meta: c.meta})
			if got := names(ring); got != "a b" {
				t.Errorf("members: %s", got)
			}
			if got := strings.Contains(log.String(), "another version"); got != c.told {
				t.Errorf("told = %v, want %v: %s", got, c.told, log.String())
			}
		})
	}
}

func TestOneNameFromTwoAddresses(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	log := funcr.New(func(_, args string) { mu.Lock(); lines = append(lines, args); mu.Unlock() }, funcr.Options{})
	peers := &peerList{}
	start(t, "a", "127.0.0.2", "secret", peers, log)
	b := start(t, "b", "127.0.0.3", "secret", peers, logr.Discard())
	await(t, "b sees a", sees(b, "a b"))
	start(t, "b", "127.0.0.4", "secret", peers, logr.Discard())
	await(t, "a says that two speakers use one name", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(lines, "\n"), "two speakers use one node name")
	})
}

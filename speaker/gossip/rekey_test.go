package gossip

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// secrets are what one step of a change of keys gives every speaker; the first sends.
type secrets []string

func (s secrets) rekey(t *testing.T, r *Ring) {
	t.Helper()
	var accept [][]byte
	for _, a := range s[1:] {
		accept = append(accept, []byte(a))
	}
	if err := r.Rekey([]byte(s[0]), accept...); err != nil {
		t.Fatal(err)
	}
}

// The change of keys as the documentation has it. The nodes take each step one by one, a second apart, as kubelets do that look at a
// Secret when they come to it.
func TestAChangeOfKeysLosesNobody(t *testing.T) {
	inBubble(t, 4, func(t *testing.T, c *cluster) {
		for i, r := range c.rings {
			r.Publish(claiming(i + 1))
		}
		time.Sleep(time.Second)
		for _, step := range []secrets{{"secret", "new"}, {"new", "secret"}, {"new"}} {
			for _, r := range c.rings {
				step.rekey(t, r.Ring)
				c.steady(time.Second, step)
			}
		}
		for i, r := range c.rings {
			if got := testutil.ToFloat64(r.metrics.rejected); got != 0 {
				t.Errorf("%s has rejected %v packets", nameOf(i), got)
			}
		}
		c.strangerStaysOut([]byte("secret"))
	})
}

func TestAKeyThatNobodyTookBeforeCutsTheSpeakerOff(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		secrets{"new", "secret"}.rekey(t, c.rings[0].Ring) // takes what the others send, and they do not take its own
		c.within(10*time.Second, "has lost the first", func(i int) bool { return c.peer(i, 0).Gossip == lb.Dead }, 0)
		if got := testutil.ToFloat64(c.rings[1].metrics.rejected); got == 0 {
			t.Error("nothing was rejected")
		}
		for _, r := range c.rings[1:] {
			secrets{"secret", "new"}.rekey(t, r.Ring)
		}
		c.within(10*time.Second, "sees all again", func(i int) bool { return len(members(c.rings[i].Ring)) == 3 })
	})
}

// steady fails when anybody misses anybody, or forgets what it said, at any time of a while.
func (c *cluster) steady(during time.Duration, step secrets) {
	c.t.Helper()
	for range during / (10 * time.Millisecond) {
		time.Sleep(10 * time.Millisecond)
		for i := range c.rings {
			for j := range c.rings {
				if i != j && (c.peer(i, j).Gossip != lb.Alive || len(c.said(i, j).Claims) != j+1) {
					c.t.Fatalf("%v: %s says that %s is %v and has %d claims", step, nameOf(i), nameOf(j), c.peer(i, j).Gossip, len(c.said(i, j).Claims))
				}
			}
		}
	}
}

// strangerStaysOut starts one more speaker, with a key that nobody takes.
func (c *cluster) strangerStaysOut(secret []byte) {
	c.t.Helper()
	n := len(c.rings)
	c.rings = append(c.rings, c.launch(n, secret))
	time.Sleep(5 * time.Second)
	for i := range n {
		if got := len(members(c.rings[i].Ring)); got != n {
			c.t.Errorf("with a stranger %s sees %d of %d", nameOf(i), got, n)
		}
		if testutil.ToFloat64(c.rings[i].metrics.rejected) == 0 {
			c.t.Errorf("%s has not rejected the stranger", nameOf(i))
		}
	}
}

// Receivers walk through the slice that GetKeys returned without a lock: what they hold must stay as it was.
func TestReplacingKeysLeavesReceiversTheirList(t *testing.T) {
	key := func(name string) []byte { return []byte(fmt.Sprintf("%-32s", name)) }
	for _, row := range []struct{ before, after string }{
		{"a", "a b"}, {"a b", "b a"}, {"b a", "b"}, {"a", "b"}, {"a b c", "a c"}, {"a b c", "c"}, {"a b c", "c a"}, {"a b c", "d e"}, {"a b c d", "c a x"},
	} {
		t.Run(row.before+" to "+row.after, func(t *testing.T) {
			var before, after [][]byte
			for _, n := range strings.Fields(row.before) {
				before = append(before, key(n))
			}
			for _, n := range strings.Fields(row.after) {
				after = append(after, key(n))
			}
			ring, err := memberlist.NewKeyring(before, before[0])
			if err != nil {
				t.Fatal(err)
			}
			held := ring.GetKeys()
			copied := slices.Clone(held)
			if err := replace(ring, after); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(copied, held); d != "" {
				t.Errorf("a receiver's list changed (-want +got):\n%s", d)
			}
			if d := cmp.Diff(after[0], ring.GetPrimaryKey()); d != "" {
				t.Errorf("sends with another key (-want +got):\n%s", d)
			}
			got := ring.GetKeys()
			slices.SortFunc(got, slices.Compare)
			slices.SortFunc(after, slices.Compare)
			if d := cmp.Diff(after, got); d != "" {
				t.Errorf("keys (-want +got):\n%s", d)
			}
		})
	}
}

func TestKeysAreShownByAnIDThatIsTheSameEverywhere(t *testing.T) {
	var line []string
	for _, node := range []string{"a", "b"} {
		ring, err := New(Config{Node: node, Bind: addrOf(0), Secret: []byte("one"), Accept: [][]byte{[]byte("two"), []byte("one")}, Log: logr.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		line = append(line, strings.Join(ring.keyring.ids, " "))
		if got := testutil.CollectAndCount(ring.metrics.key); got != 2 {
			t.Errorf("%d keys are shown, want 2: a secret that is there twice is one key", got)
		}
		if got := testutil.ToFloat64(ring.metrics.key.WithLabelValues(ring.keyring.ids[0], "send")); got != 1 {
			t.Errorf("the key that sends is not shown as such")
		}
		if err := ring.Rekey([]byte("two")); err != nil {
			t.Fatal(err)
		}
		if got := testutil.CollectAndCount(ring.metrics.key); got != 1 {
			t.Errorf("after the change %d keys are shown, want 1", got)
		}
	}
	if line[0] != line[1] {
		t.Errorf("one node calls the keys %s, the other %s", line[0], line[1])
	}
}

func TestWhatRekeyRefuses(t *testing.T) {
	for _, c := range []struct {
		name        string
		before, now []byte
		accept      [][]byte
		want        string
	}{
		{"encryption turned on", nil, []byte("new"), nil, "restart the speakers"},
		{"encryption turned off", []byte("secret"), nil, nil, "restart the speakers"},
		{"an empty secret", []byte("secret"), []byte(" \n"), nil, "empty"},
		{"an empty secret to accept", []byte("secret"), []byte("secret"), [][]byte{{}}, "empty"},
		{"secrets to accept alone", []byte("secret"), nil, [][]byte{[]byte("secret")}, "none to send"},
		{"nothing new in the clear", nil, nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring, err := New(Config{Node: "a", Bind: addrOf(0), Secret: c.before, Log: logr.Discard()})
			if err != nil {
				t.Fatal(err)
			}
			before := slices.Clone(ring.keyring.ids)
			err = ring.Rekey(c.now, c.accept...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
			if d := cmp.Diff(before, ring.keyring.ids); d != "" {
				t.Errorf("the keys changed (-before +after):\n%s", d)
			}
		})
	}
}

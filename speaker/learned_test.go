package speaker

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestHardwareAddressesAreLearnedFromStatusObjects(t *testing.T) {
	first, second := lb.MAC{2, 0, 0, 0, 0, 1}, lb.MAC{2, 0, 0, 0, 0, 2}
	object := func(node string, macs ...lb.MAC) v1beta1.ServiceL2Status {
		return statusObject("default.web", node, "web", func(o *v1beta1.ServiceL2Status) {
			for _, m := range macs {
				o.Status.MACs = append(o.Status.MACs, m.String())
			}
		})
	}
	l, now := learned{}, instant
	step := func(what string, news bool, want map[lb.MAC]string, objects ...v1beta1.ServiceL2Status) {
		t.Helper()
		now = now.Add(learnedFor / 2)
		if got := l.learn(objects, "node1", now); got != news {
			t.Errorf("%s: news = %v, want %v", what, got, news)
		}
		if diff := cmp.Diff(want, l.byMAC()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	both := map[lb.MAC]string{first: "node2", second: "node2"}
	step("two objects of one node", true, both, object("node2", second), object("node2", first, second), object("node1", lb.MAC{2, 9}))
	step("nothing new", false, both, object("node2", first, second))
	step("written over by us", false, both, object("node1"))
	step("an address that came to another node", true, map[lb.MAC]string{first: "node3", second: "node2"}, object("node3", first))
	step("forgotten in time", true, map[lb.MAC]string{first: "node3"}, object("node1"))
}

func TestWhatOthersPublishedIsKnownBeforeTheFirstDecision(t *testing.T) {
	o := statusObject("default.web", "node2", "web")
	o.Status.MACs = []string{"02:00:00:00:00:02"}
	s := newSpeaker(t, fakeAPI(t, &o).Build())
	if err := s.status.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.status.macs()[lb.MAC{2, 0, 0, 0, 0, 2}]; got != "node2" {
		t.Errorf("the address of node2 is known as that of %q", got)
	}
}

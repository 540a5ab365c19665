package speaker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// learnedFor is how long the hardware addresses of a node are remembered that no status object names any more.
const learnedFor = time.Hour

// learned are the hardware addresses that nodes have published in status objects. They are remembered for a while because two
// speakers that never met write over each other's objects: each must still know the other's addresses when the other's word
// is gone, or it takes it for a stranger.
type learned map[string]published

// published are the addresses of one node, sorted, and when an object last named them.
type published struct {
	macs []lb.MAC
	at   time.Time
}

// learn takes in what the objects of other nodes say now. It says whether anything is new.
func (l learned) learn(objects []v1beta1.ServiceL2Status, self string, now time.Time) bool {
	said := map[string][]lb.MAC{}
	for i := range objects {
		if node := objects[i].Status.Node; node != "" && node != self {
			said[node] = append(said[node], kube.MACs(&objects[i])...)
		}
	}
	news := false
	for node, macs := range said {
		slices.SortFunc(macs, compareMACs)
		macs = slices.Compact(macs)
		news = news || !slices.Equal(macs, l[node].macs)
		l[node] = published{macs: macs, at: now}
	}
	for node, p := range l {
		if now.Sub(p.at) > learnedFor {
			delete(l, node)
			news = true
		}
	}
	return news
}

// byMAC returns the node of each address: of two that name it, the one that was heard of last, then the one of the smaller name.
func (l learned) byMAC() map[lb.MAC]string {
	nodes := slices.SortedFunc(maps.Keys(l), func(a, b string) int {
		return cmp.Or(l[a].at.Compare(l[b].at), cmp.Compare(b, a))
	})
	out := map[lb.MAC]string{}
	for _, node := range nodes {
		for _, m := range l[node].macs {
			out[m] = node
		}
	}
	return out
}

func compareMACs(a, b lb.MAC) int { return slices.Compare(a[:], b[:]) }

// look takes in what the objects say now. The writer does it as it goes along; at the start it must be known before the first
// decision, or a speaker that gossip does not reach is taken for a stranger.
func (w *statusWriter) look(ctx context.Context) error {
	have, err := w.list(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learned.learn(have, w.node, time.Now())
	return nil
}

// macs returns the hardware addresses that other nodes have published in status objects, each with its node: what there is to
// know of speakers that gossip does not reach. It may be called from any goroutine.
func (w *statusWriter) macs() map[lb.MAC]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.learned.byMAC()
}

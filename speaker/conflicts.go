package speaker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	// conflictLife is how long a conflict counts after the stranger was last heard.
	conflictLife = 10 * time.Minute
	// conflictRenewal is when one that is still heard is written again: when less than this is left of it.
	conflictRenewal = conflictLife / 2
	// maxConflicts is the number of entries of status.conflicts.
	maxConflicts = 64
	// conflictRetry is when to look again at a pool that somebody else has written to, or that the controller has not yet.
	conflictRetry = time.Second
)

// stranger is a station that answers for an address of ours and is no speaker.
type stranger struct {
	addr netip.Addr
	mac  lb.MAC
}

// conflictWriter reports strangers in the status of the pools that their addresses belong to, where the allocator avoids them.
// Its goroutine does the writing; seen only stores. Several speakers and the controller write the same status, each with the
// resourceVersion that it has read, so none undoes what another wrote: who comes second looks again.
type conflictWriter struct {
	client    client.Client // reads from the cache
	node      string
	namespace string
	log       logr.Logger
	errors    prometheus.Counter
	wake      chan struct{} // one slot

	mu   sync.Mutex
	last map[stranger]time.Time // when each was last heard
}

func newConflictWriter(c client.Client, o Options, errs prometheus.Counter) *conflictWriter {
	return &conflictWriter{client: c, node: o.Node, namespace: o.Namespace, log: o.Log.WithName("conflicts"), errors: errs,
		wake: make(chan struct{}, 1), last: map[stranger]time.Time{}}
}

// seen takes note that a stranger with this hardware address was heard at a time. It says whether that is news: whether it was
// not heard before, or so long ago that the conflict had ended.
func (w *conflictWriter) seen(addr netip.Addr, mac lb.MAC, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := stranger{addr, mac}
	was := w.last[s]
	if at.After(was) {
		w.last[s] = at
		poke(w.wake)
	}
	return at.Sub(was) >= conflictLife
}

// Run writes until ctx ends.
func (w *conflictWriter) Run(ctx context.Context) error {
	keepWriting(ctx, w.wake, w.reconcile, func(err error, retry time.Duration) {
		w.errors.Inc()
		w.log.V(1).Info("writing conflicts again later", "reason", err.Error(), "duration", retry)
	})
	return nil
}

// reconcile writes what the pools do not say yet. It returns when to look again without being woken.
func (w *conflictWriter) reconcile(ctx context.Context) (time.Duration, error) {
	heard := w.heard(time.Now())
	if len(heard) == 0 {
		return 0, nil
	}
	var pools v1beta1.IPAddressPoolList
	if err := w.client.List(ctx, &pools, client.InNamespace(w.namespace)); err != nil {
		return 0, fmt.Errorf("listing pools: %w", err)
	}
	var wait time.Duration
	var failed []error
	for pool, conflicts := range byPool(pools.Items, heard) {
		again, err := w.write(ctx, pool, conflicts)
		wait = max(wait, again)
		if err != nil {
			failed = append(failed, err)
		}
	}
	return wait, errors.Join(failed...)
}

// heard returns the conflicts that have not ended, sorted by address and hardware address, and forgets the others.
func (w *conflictWriter) heard(now time.Time) []lb.Conflict {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.last, func(_ stranger, at time.Time) bool { return now.Sub(at) >= conflictLife })
	var out []lb.Conflict
	for s, at := range w.last {
		out = append(out, lb.Conflict{Address: s.addr, MAC: s.mac.String(), Node: w.node, Until: at.Add(conflictLife)})
	}
	slices.SortFunc(out, func(a, b lb.Conflict) int { return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.MAC, b.MAC)) })
	return out
}

// byPool deals the conflicts out to the pools of their addresses; where pools overlap, to the oldest. An address that no pool has
// any more is nobody's business.
func byPool(pools []v1beta1.IPAddressPool, conflicts []lb.Conflict) map[*v1beta1.IPAddressPool][]lb.Conflict {
	byAge := make([]*v1beta1.IPAddressPool, len(pools))
	for i := range pools {
		byAge[i] = &pools[i]
	}
	slices.SortFunc(byAge, func(a, b *v1beta1.IPAddressPool) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	out := map[*v1beta1.IPAddressPool][]lb.Conflict{}
	left := slices.Clone(conflicts)
	for _, p := range byAge {
		ranges := kube.Pool(p).Ranges
		left = slices.DeleteFunc(left, func(c lb.Conflict) bool {
			for _, r := range ranges {
				if r.Contains(c.Address) {
					out[p] = append(out[p], c)
					return true
				}
			}
			return false
		})
	}
	return out
}

// write adds conflicts to the status of a pool. It returns when to look again, should that not be possible now.
func (w *conflictWriter) write(ctx context.Context, p *v1beta1.IPAddressPool, add []lb.Conflict) (time.Duration, error) {
	list, changed := mergeConflicts(p.Status.Conflicts, kube.ConflictStatus(add), time.Now())
	switch {
	case !changed:
		return 0, nil
	case len(p.Status.Conditions) == 0: // the counts must be there, and only the controller knows them
		return conflictRetry, nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": p.ResourceVersion},
		"status":   map[string]any{"conflicts": list},
	})
	if err != nil {
		return 0, fmt.Errorf("encoding the conflicts of pool %s: %w", p.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	target := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
	err = w.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, patch))
	switch {
	case apierrors.IsConflict(err):
		return conflictRetry, nil // the cache shows soon what the other wrote
	case client.IgnoreNotFound(err) != nil:
		return 0, fmt.Errorf("writing the conflicts of pool %s: %w", p.Name, err)
	}
	return 0, nil
}

// mergeConflicts puts add into have, and says whether that changes anything worth a write. An address and a hardware address make
// one entry, whoever saw it: all nodes of a LAN hear the same stranger, and who comes first speaks for all until the entry is due
// for renewal. What has ended goes along the way. When there is no room, what is there stays.
func mergeConflicts(have, add []v1beta1.AddressConflict, now time.Time) (out []v1beta1.AddressConflict, changed bool) {
	for _, c := range have {
		if c.Until.After(now) {
			out = append(out, c)
		}
	}
	for _, c := range add {
		i := slices.IndexFunc(out, func(o v1beta1.AddressConflict) bool { return o.Address == c.Address && o.MAC == c.MAC })
		switch {
		case i < 0 && len(out) < maxConflicts:
			out, changed = append(out, c), true
		case i >= 0 && out[i].Until.Sub(now) < conflictRenewal && c.Until.After(out[i].Until.Add(time.Second)):
			out[i], changed = c, true
		}
	}
	return out, changed
}

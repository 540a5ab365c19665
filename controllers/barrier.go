package controllers

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	barrierPause = 20 * time.Millisecond // between two looks at the cache
	barrierRenew = time.Second           // after which the API server is asked again
)

// barrier holds back the first plan of a new leader until no write of the leader before can be applied any more, and then
// until the cache has caught up with the API server. The last of those writes may be missing in it, and their addresses
// would look free; or a pool may be missing, and the addresses that Services have from it would look like nobody's.
type barrier struct {
	live      client.Reader // asks the API server
	namespace string        // of the pools
	class     string
	unsettled func() time.Duration // see Fence
	now       func() time.Time

	want  map[objectKey]uint64 // the versions that the cache must reach
	asked time.Time
	open  bool
}

// objectKey names a Service or a pool.
type objectKey struct {
	pool bool
	name lb.Name
}

// passed returns 0 when the snapshot has everything that the API server had when it was asked, or how long to wait before
// looking again. An object that the cache lacks may be new or deleted since: asking again tells.
func (b *barrier) passed(ctx context.Context, s snapshot) (time.Duration, error) {
	if b.open {
		return 0, nil
	}
	if wait := b.unsettled(); wait > 0 {
		return wait, nil
	}
	if b.now().Sub(b.asked) > barrierRenew {
		if err := b.ask(ctx); err != nil {
			return 0, err
		}
	}
	for key, version := range b.want {
		obj := s.object(key)
		if obj == nil {
			return barrierPause, nil
		}
		have, err := versionOf(obj)
		if err != nil {
			return 0, err
		}
		if have < version {
			return barrierPause, nil
		}
	}
	b.open, b.want = true, nil
	return 0, nil
}

// object returns the one that the snapshot has under the key, or nil.
func (s snapshot) object(key objectKey) client.Object {
	if key.pool {
		if p := s.pools[key.name.Name]; p != nil {
			return p
		}
		return nil
	}
	if svc := s.services[key.name]; svc != nil {
		return svc
	}
	return nil
}

// ask notes the version of every pool and of every Service that concerns us.
func (b *barrier) ask(ctx context.Context) error {
	now, err := (&lister{reader: b.live, namespace: b.namespace, class: b.class}).list(ctx)
	if err != nil {
		return fmt.Errorf("asking the API server: %w", err)
	}
	b.want, b.asked = map[objectKey]uint64{}, b.now()
	for name, svc := range now.services {
		if b.want[objectKey{name: name}], err = versionOf(svc); err != nil {
			return err
		}
	}
	for name, p := range now.pools {
		if b.want[objectKey{pool: true, name: lb.Name{Name: name}}], err = versionOf(p); err != nil {
			return err
		}
	}
	return nil
}

// versionOf reads a resource version as a number: those of one kind are ordered (KEP-5504).
func versionOf(obj client.Object) (uint64, error) {
	v, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("resourceVersion of %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	return v, nil
}

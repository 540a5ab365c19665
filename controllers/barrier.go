package controllers

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

const (
	barrierPause = 20 * time.Millisecond // between two looks at the cache
	barrierRenew = time.Second           // after which the API server is asked again
)

// barrier holds back the first plan of a new leader until the cache has caught up with the API server: the last writes of
// the leader before may be missing in it, and their addresses would look free.
type barrier struct {
	live  client.Reader // asks the API server
	class string
	now   func() time.Time

	want  map[lb.Name]uint64 // the versions that the cache must reach
	asked time.Time
	open  bool
}

// passed returns 0 when the snapshot has everything that the API server had when it was asked, or how long to wait before
// looking again. A Service that the cache lacks may be new or deleted since: asking again tells.
func (b *barrier) passed(ctx context.Context, s snapshot) (time.Duration, error) {
	if b.open {
		return 0, nil
	}
	if b.now().Sub(b.asked) > barrierRenew {
		if err := b.ask(ctx); err != nil {
			return 0, fmt.Errorf("listing services from the API server: %w", err)
		}
	}
	for name, version := range b.want {
		svc := s.services[name]
		if svc == nil {
			return barrierPause, nil
		}
		if have, err := versionOf(svc); err != nil || have < version {
			return barrierPause, err
		}
	}
	b.open, b.want = true, nil
	return 0, nil
}

// ask notes the version of every Service that concerns us.
func (b *barrier) ask(ctx context.Context) error {
	var list corev1.ServiceList
	if err := b.live.List(ctx, &list); err != nil {
		return err
	}
	b.want, b.asked = map[lb.Name]uint64{}, b.now()
	for i := range list.Items {
		svc := &list.Items[i]
		if !concerns(svc, b.class) {
			continue
		}
		version, err := versionOf(svc)
		if err != nil {
			return err
		}
		b.want[nameOf(svc)] = version
	}
	return nil
}

// versionOf reads a resource version as a number: those of one kind are ordered (KEP-5504).
func versionOf(svc *corev1.Service) (uint64, error) {
	v, err := strconv.ParseUint(svc.ResourceVersion, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("resourceVersion of service %v: %w", nameOf(svc), err)
	}
	return v, nil
}

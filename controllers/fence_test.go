package controllers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// opened is a fence that lets writes through for so long.
func opened(d time.Duration) *Fence { return &Fence{until: time.Now().Add(d)} }

func TestAWriteHasTheTimeThatTheLeaseIsOurs(t *testing.T) {
	for _, c := range []struct {
		name string
		left time.Duration // of the lease
		want time.Duration // for the write; 0: it is not sent
	}{
		{"not ours", 0, 0},
		{"ended", -time.Second, 0},
		{"ends before the write's own limit", 500 * time.Millisecond, 500 * time.Millisecond},
		{"ends after it", LeaseDuration, writeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, sent := time.Now(), false
				err := opened(c.left).send(t.Context(), func(ctx context.Context) error {
					sent = true
					<-ctx.Done()
					return ctx.Err()
				})
				if took := time.Since(start); took != c.want {
					t.Errorf("the write was cut off after %v, want %v", took, c.want)
				}
				if fenced := errors.Is(err, errFenced); fenced != (c.want == 0) || sent == fenced {
					t.Errorf("sent = %v, err = %v", sent, err)
				}
			})
		})
	}
}

func TestAWriteUnderWayIsFinishedWhenTheProcessStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		err := opened(LeaseDuration).send(ctx, func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(1500 * time.Millisecond):
			}
			return ctx.Err()
		})
		if err != nil || ctx.Err() == nil {
			t.Errorf("the write ended with %v", err)
		}
	})
}

func TestTheFenceIsClosedWhenNothingCanBeAppliedAnyMore(t *testing.T) {
	answer := func(err error, after time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(after):
				return err
			}
		}
	}
	for _, c := range []struct {
		name  string
		write func(context.Context) error // begins 100 ms before the fence is closed; nil: none
		want  time.Duration               // until it is; 0 with gaveUp
		fails bool                        // the 3 s that the elector gives are not enough
	}{
		{"nothing was written", nil, 0, false},
		{"written long enough ago", answer(nil, 0), 0, false},
		{"refused", answer(apierrors.NewForbidden(services, "s", errors.New("no")), 0), 0, false},
		{"under way", answer(nil, time.Second), 900 * time.Millisecond, false},
		{"an internal error may hide a write", answer(apierrors.NewInternalError(errors.New("etcd")), 0), lateWrite - 100*time.Millisecond, false},
		{"under way, and then its connection breaks", answer(errors.New("reset"), 500*time.Millisecond), lateWrite + 400*time.Millisecond, false},
		{"under way, and never answered", answer(nil, time.Hour), RenewDeadline, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := opened(LeaseDuration)
				if c.write != nil {
					go func() { _ = f.send(t.Context(), c.write) }()
				}
				time.Sleep(100 * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), RenewDeadline)
				defer cancel()
				start := time.Now()
				err := f.close(ctx)
				if took := time.Since(start); took != c.want || (err != nil) != c.fails {
					t.Errorf("closed after %v with %v, want %v", took, err, c.want)
				}
				if err := f.send(t.Context(), answer(nil, 0)); !errors.Is(err, errFenced) {
					t.Errorf("a write after that: %v", err)
				}
			})
		})
	}
}

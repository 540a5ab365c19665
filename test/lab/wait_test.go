package lab

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAwaitSaysWhatItWaitedForAndWhyInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lab{state: state{Name: "no-such-lab"}}
		last := errors.New("connection refused")
		err := l.await(t.Context(), waiting{what: "the API server", limit: 3 * time.Second}, func(context.Context) error { return last })
		if !errors.Is(err, last) || !strings.Contains(err.Error(), "waited 3s for the API server") {
			t.Error(err)
		}
	})
}

func TestAwaitEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lab{state: state{Name: "no-such-lab"}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := l.await(ctx, waiting{what: "nothing", limit: time.Hour}, func(context.Context) error { return errors.New("no") }); err == nil {
			t.Error("no error")
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAwaitTriesUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lab{state: state{Name: "no-such-lab"}}
		tries := 0
		err := l.await(t.Context(), waiting{what: "the third try", limit: time.Minute}, func(context.Context) error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("%v after %d tries", err, tries)
		}
	})
}

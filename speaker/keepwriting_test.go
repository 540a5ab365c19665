package speaker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writing runs keepWriting for a time, with a token in every 10 ms, and returns when it wrote and what failed was told.
func writing(t *testing.T, length time.Duration, tokens int, write func(n int) (time.Duration, error)) (at, told []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		wake, begin := make(chan struct{}, 1), time.Now()
		go func() {
			for range tokens {
				poke(wake)
				time.Sleep(10 * time.Millisecond)
			}
		}()
		keepWriting(ctx, wake, func(context.Context) (time.Duration, error) {
			at = append(at, time.Since(begin))
			return write(len(at))
		}, func(_ error, after time.Duration) { told = append(told, after) })
		if got := time.Since(begin); got != length {
			t.Errorf("it ended after %v, want %v", got, length)
		}
	})
	return at, told
}

const ms = time.Millisecond

func TestABurstIsWrittenFiveTimesASecond(t *testing.T) {
	at, told := writing(t, 2*time.Second, 100, func(int) (time.Duration, error) { return 0, nil })
	want := []time.Duration{0, 200 * ms, 400 * ms, 600 * ms, 800 * ms, 1000 * ms}
	if diff := cmp.Diff(want, at); diff != "" || told != nil {
		t.Errorf("failures %v, written at (-want +got):\n%s", told, diff)
	}
}

func TestFailuresAreTriedAgainAfterDoublingWaitsWhateverTheTokens(t *testing.T) {
	at, told := writing(t, 36*time.Second, 3600, func(n int) (time.Duration, error) {
		if n == 8 {
			return 0, nil
		}
		return 0, errors.New("no")
	})
	want := []time.Duration{0, 500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 15500 * ms, 25500 * ms, 35500 * ms, 35700 * ms}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("tried at (-want +got):\n%s", diff)
	}
	again := []time.Duration{500 * ms, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second, 500 * ms}
	if diff := cmp.Diff(again, told); diff != "" {
		t.Errorf("told to be tried again after (-want +got):\n%s", diff)
	}
}

func TestAFailureAndWhatIsDueLaterNeedNoToken(t *testing.T) {
	at, _ := writing(t, 9*time.Second, 1, func(n int) (time.Duration, error) {
		switch n {
		case 1:
			return 0, errors.New("no")
		case 2, 3:
			return 3 * time.Second, nil
		}
		return 0, nil
	})
	if diff := cmp.Diff([]time.Duration{0, 500 * ms, 3500 * ms, 6500 * ms}, at); diff != "" {
		t.Errorf("written at (-want +got):\n%s", diff)
	}
}

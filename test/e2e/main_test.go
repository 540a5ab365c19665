// Package e2e runs the scenarios that users live through against a real cluster: Steelyard installed by its Helm chart in the
// lab, judged from a client machine on the LAN.
//
// Contract: a test asserts what the client hears on the wire, gets over HTTP, or what kubectl shows a user, never Steelyard's
// own metrics (but in the scenario about them) or logs. It leaves the lab as it found it. Every wait is bounded, and a test that fails prints the pods, their
// logs, the Services and Events. The lab comes up once, for the first test that asks for it; it needs root and the binaries
// of `make build`.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// attachVariable names a running lab with Steelyard in it (see make demo KEEP=1), to run one test again and again against it.
const attachVariable = "STEELYARD_E2E_LAB"

// labName keeps our lab apart from one that make demo KEEP=1 left.
const labName = "steelyard-e2e"

// root is the project's root, seen from this package's directory, in which go test runs.
const root = "../.."

// up brings the lab up at the first call and returns it at each.
var up = sync.OnceValues(bringUp)

// wasUp says whether the lab must be taken down: it is closed by bringUp.
var wasUp = make(chan struct{})

func bringUp() (*rig.Rig, error) {
	close(wasUp)
	if os.Geteuid() != 0 {
		return nil, errors.New("the end-to-end tests make network namespaces and must run as root")
	}
	for _, name := range []string{"steelyard-controller", "steelyard-speaker", "kubectl-steelyard"} {
		if _, err := os.Stat(filepath.Join(root, "bin", name)); err != nil {
			return nil, fmt.Errorf("%w: run make build first", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the very first run builds Kubernetes
	defer cancel()
	l, err := openLab(ctx)
	if err != nil {
		return nil, err
	}
	r, err := prepare(ctx, l)
	if err != nil {
		return nil, errors.Join(err, takeDown(l))
	}
	return r, nil
}

func prepare(ctx context.Context, l *lab.Lab) (*rig.Rig, error) {
	r, err := rig.New(l)
	if err != nil {
		return nil, err
	}
	if err := apply(ctx, l, webYAML); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the web servers: %w", err), r.Close())
	}
	return r, nil
}

func openLab(ctx context.Context) (*lab.Lab, error) {
	if name := os.Getenv(attachVariable); name != "" {
		return lab.Attach(name)
	}
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Full, Name: labName, Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := l.InstallSteelyard(ctx, lab.InstallOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, diagnose(l)), l.Down())
	}
	return l, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := tearDown(); err != nil {
		fmt.Fprintln(os.Stderr, "taking the lab down:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func tearDown() error {
	select {
	case <-wasUp:
	default:
		return nil // no test asked for it
	}
	r, err := up()
	if err != nil {
		return nil // it did not come up, and the tests said why
	}
	return errors.Join(r.Close(), takeDown(r.Lab))
}

// takeDown takes the lab down, or our workload out of one that is somebody's.
func takeDown(l *lab.Lab) error {
	if os.Getenv(attachVariable) == "" {
		return l.Down()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := l.Kubectl(ctx, webYAML, "delete", "--ignore-not-found", "-f", "-")
	return err
}

func apply(ctx context.Context, l *lab.Lab, yaml string) error {
	_, err := l.Kubectl(ctx, yaml, "apply", "-f", "-")
	return err
}

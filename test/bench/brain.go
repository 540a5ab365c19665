package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// brain is the controller of a subject, run as a process beside an API server that has no nodes.
type brain struct {
	title      string
	manifests  []string // its CRDs, at least
	executable string   // the last element of its path
	// command is how it is started, with the kubeconfig and the port on which it shall serve /readyz.
	command func(kubeconfig string, port int) ([]string, error)
	// probed says that it serves /readyz there.
	probed bool
	// elects says that several replicas elect a leader.
	elects bool
}

// brains are the controllers to be measured, ours first.
func brains(o options, p *peer) (all []brain) {
	if o.Own {
		all = append(all, ownBrain())
	}
	if p != nil {
		all = append(all, p.brain())
	}
	return all
}

func ownBrain() brain {
	return brain{
		title: "Steelyard", manifests: []string{filepath.Join("config", "crd", "bases")}, executable: "steelyard-controller",
		command: func(kubeconfig string, port int) ([]string, error) {
			bin, err := filepath.Abs(filepath.Join("bin", "steelyard-controller"))
			return []string{bin, "--kubeconfig", kubeconfig, "--namespace", rig.Namespace, "--metrics-bind-address", "0",
				"--health-probe-bind-address", fmt.Sprintf("127.0.0.1:%d", port)}, err
		},
		probed: true, elects: true,
	}
}

// brain runs the peer's controller only, and one of it: what its replicas do is not known here.
func (p *peer) brain() brain {
	c := brain{title: p.Name, executable: filepath.Base(p.Controller.Command[0])}
	for _, m := range p.Manifests {
		if !filepath.IsAbs(m) {
			m = filepath.Join(p.dir, m)
		}
		c.manifests = append(c.manifests, m)
	}
	c.command = func(kubeconfig string, _ int) ([]string, error) {
		return p.fill(p.Controller, map[string]string{"kubeconfig": kubeconfig})
	}
	return c
}

func processName(i int) string { return fmt.Sprintf("%s-%d", peerController, i) }

// begin starts replica i. Each process has a port of its own: one that was killed may have its for a moment yet.
func (s *stage) begin(i int) error {
	s.begun++
	s.ports[i] = 18000 + s.begun
	command, err := s.brain.command(s.Lab.Kubeconfig(), s.ports[i])
	if err != nil {
		return err
	}
	return s.Lab.Start(s.Lab.ControlPlane(), processName(i), command...)
}

// end ends replica i by a signal and returns when it has ended.
func (s *stage) end(i int, sig syscall.Signal) error {
	if sig == syscall.SIGTERM {
		return s.Lab.Stop(processName(i))
	}
	if err := s.Lab.Signal(processName(i), sig); err != nil {
		return err
	}
	for slices.Contains(s.Lab.Processes(), processName(i)) {
		time.Sleep(readyPoll)
	}
	if !s.brain.probed {
		time.Sleep(burial)
	}
	return nil
}

// burial is how long a killed process may have its ports yet, of one whose ports are always the same.
const burial = 50 * time.Millisecond

// readyPoll is how exact the time of being ready is.
const readyPoll = 2 * time.Millisecond

// ready waits until replica i says that its caches are filled.
func (s *stage) ready(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	asking := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.Lab.ControlPlane().DialContext(ctx, network, addr)
		},
	}}
	defer asking.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", s.ports[i]), nil)
		if err != nil {
			return fmt.Errorf("asking a controller: %w", err)
		}
		if answer, err := asking.Do(req); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := sleep(ctx, readyPoll); err != nil {
			return errors.Join(errors.New("a controller does not become ready"), err)
		}
	}
}

// uses returns what the controllers use: the largest resident memory, and all CPU time since they began.
func (s *stage) uses(ctx context.Context) (rss int64, cpu time.Duration, err error) {
	list, err := inspect(func(script string, args ...string) ([]byte, error) {
		return s.Lab.ControlPlane().Command(ctx, "sh", append([]string{"-c", script, "sh"}, args...)...).Output()
	}, s.brain.executable, true)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s is not running", s.brain.executable)
	}
	return largestRSS(list), totalCPU(list), err
}

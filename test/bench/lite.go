package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// crowdFigures is what was measured of one subject on three nodes with thousands of advertised Services.
type crowdFigures struct {
	few, many, chorus idleFigure // without Services, with them, and with a hundred nodes in gossip
	asked             samples    // ARP, by everybody's question, for one of the addresses
	takeovers         []takeover
}

// hall is a lite lab with one subject and a crowd of advertised Services in it.
type hall struct {
	*bench
	subject subject
	own     bool // Steelyard
}

// crowded measures each subject in a lab of its own.
func (b *bench) crowded(ctx context.Context, p *peer, t *table) error {
	for i := range t.results {
		r := &t.results[i]
		var err error
		if r.crowd, err = b.crowdOf(ctx, r.name, r.own, p); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

func (b *bench) crowdOf(ctx context.Context, name string, own bool, p *peer) (f crowdFigures, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	b.progress("%s: three nodes come up", name)
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Lite, Name: b.LabName, Log: os.Stderr})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	r, err := rig.New(l)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h := &hall{bench: &bench{Rig: r, options: b.options, start: b.start}, own: own}
	if own {
		dir, err := os.MkdirTemp("", "steelyard-bench-")
		if err != nil {
			return f, fmt.Errorf("making a directory for the gossip keys: %w", err)
		}
		defer os.RemoveAll(dir)
		h.subject = &started{Rig: r, dir: dir}
	} else {
		h.subject = processes{Rig: r, peer: p, lite: true}
	}
	if err := h.measure(ctx, &f); err != nil {
		return f, errors.Join(err, l.SaveLogs(filepath.Join(filepath.Dir(b.Out), "logs")))
	}
	return f, nil
}

// measure begins with what is quiet, and has the simulated speakers last: that they leave is an event of its own.
func (h *hall) measure(ctx context.Context, f *crowdFigures) (err error) {
	if err := h.subject.install(ctx); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	if h.has("idle") {
		if f.few, err = h.idle(ctx, 3, 0); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := h.fill(ctx); err != nil {
		return err
	}
	if h.has("idle") {
		if f.many, err = h.idle(ctx, 3, h.Scale); err != nil {
			return err
		}
		if f.asked, err = h.ask(); err != nil {
			return err
		}
	}
	if h.has("takeover") {
		for range h.Tries {
			one, err := h.takeOver(ctx, began)
			if err != nil {
				return err
			}
			f.takeovers = append(f.takeovers, one)
		}
	}
	if h.has("idle") && h.own {
		f.chorus, err = h.withChorus(ctx)
	}
	return err
}

// fill makes the Services and returns when all is announced and quiet. Our own speakers rest meanwhile: what is measured is a cluster
// that has the Services, and thousands that come one by one keep three speakers on one machine busy for minutes.
func (h *hall) fill(ctx context.Context) error {
	own, resting := h.subject.(*started)
	if resting {
		if err := own.rest(); err != nil {
			return err
		}
	}
	if err := h.makeCrowd(ctx); err != nil {
		return err
	}
	if resting {
		if err := own.wake(ctx); err != nil {
			return err
		}
	}
	return h.calm(ctx)
}

// makeCrowd makes the Services and returns when each has its address.
func (h *hall) makeCrowd(ctx context.Context) error {
	if _, err := h.Lab.Kubectl(ctx, crowdNamespaces+"---"+crowdPoolObject+crowdAdvertisement, "apply", "-f", "-"); err != nil {
		return fmt.Errorf("making the pool: %w", err)
	}
	w, stop, err := watchAll(ctx, h.Lab)
	if err != nil {
		return err
	}
	defer stop()
	h.progress("%s: making %d Services with endpoints", h.subject.name(), h.Scale)
	err = inParallel(h.Scale, func(i int) error {
		svc := crowdService(i)
		return errors.Join(h.API.Create(ctx, svc), h.API.Create(ctx, crowdEndpoints(svc)))
	})
	if err != nil {
		return fmt.Errorf("creating Services: %w", err)
	}
	_, err = w.await(ctx, h.Scale)
	return err
}

const crowdAdvertisement = `
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: bench-crowd, namespace: metallb-system}
spec: {ipAddressPools: [bench-crowd]}
`

// crowdEndpoints is one ready endpoint, which kube-proxy passes over. Nobody connects to it.
func crowdEndpoints(svc *corev1.Service) *discoveryv1.EndpointSlice {
	port, protocol, ready := int32(rig.BackendPort), corev1.ProtocolTCP, true
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: svc.Name, Namespace: svc.Namespace,
			Labels: map[string]string{discoveryv1.LabelServiceName: svc.Name, "service.kubernetes.io/service-proxy-name": "none"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.1.10"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Port: &port, Protocol: &protocol}},
	}
}

const (
	calmFor  = 10 * time.Second
	restless = 30 * time.Second // after all is announced: statuses are still being written
)

// calm waits until every address has been announced and no more is announced than what repeats, and then for a while.
func (h *hall) calm(ctx context.Context) error {
	h.progress("%s: until all is announced", h.subject.name())
	err := rig.Poll(ctx, func() error {
		if err := sleep(ctx, calmFor); err != nil {
			return err
		}
		lately := h.Witness.Since(time.Now().Add(-calmFor)).Announcements()
		if most := int(calmFor.Seconds()) * (h.Scale/20 + 20); len(lately) > most {
			return fmt.Errorf("%d announcements in %v, want at most %d", len(lately), calmFor, most)
		}
		if owners := owners(h.Witness.Since(time.Time{})); len(owners) < h.Scale {
			return fmt.Errorf("%d of %d addresses were announced", len(owners), h.Scale)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return sleep(ctx, restless)
}

// ask asks for the first address of the crowd and returns how long each answer took.
func (h *hall) ask() (took samples, err error) {
	c := h.Lab.Client()
	self := witness.Station{MAC: witness.MACOf(c.MAC), IPv4: c.IPv4, IPv6: c.IPv6}
	a, err := newAsker(c, c.Interface, self, question{addr: crowdAddr(0), to: witness.Broadcast})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.conn.Close()) }()
	h.progress("%s: asking for one of the addresses", h.subject.name())
	for range answerRounds * questionsPerRound {
		one, err := a.ask()
		if err != nil {
			return took, err
		}
		took = append(took, one)
	}
	return took, nil
}

// started is Steelyard as processes on a lite lab.
type started struct {
	*rig.Rig
	dir  string
	bare *rig.Bare
}

func (*started) name() string { return "Steelyard" }

func (s *started) install(ctx context.Context) error {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return fmt.Errorf("looking for the binaries: %w", err)
	}
	s.bare, err = rig.InstallBare(ctx, s.Rig, bin, s.dir)
	return err
}

// rest stops the speakers, and wake starts them again.
func (s *started) rest() error {
	var errs []error
	for _, n := range s.Lab.Nodes() {
		errs = append(errs, s.bare.StopSpeaker(n.Name))
	}
	return errors.Join(errs...)
}

func (s *started) wake(ctx context.Context) error { return s.bare.ReviveAll(ctx) }

func (*started) died(string) error { return nil } // processes end with their node

func (s *started) revived(ctx context.Context, node string) error { return s.bare.Revive(ctx, node) }

func (*started) remove(context.Context) error { return nil } // the lab goes down

func (s *started) usage(ctx context.Context) (usage, error) {
	return usageOnHosts(ctx, s.Lab, "steelyard-controller", "steelyard-speaker")
}

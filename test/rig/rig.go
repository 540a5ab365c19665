// Package rig puts the measuring side on a running lab: the witness and the asker in the client, a Kubernetes client, and the
// waits that the end-to-end tests, the demo and the benchmark have in common.
//
// Contract: who answers for an address is always asked on the LAN, from the client; the Kubernetes client reads what a user
// would see and is never taken as proof of an answer. Every wait ends with its context and its error says what was seen last.
package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// Namespace is where Steelyard and its pools live in the lab.
const Namespace = "metallb-system"

// answerTime is how long an answer is waited for after each question. Answers take well under a millisecond on an idle
// machine; the rest is for one on which every CPU is busy.
const answerTime = 150 * time.Millisecond

// Rig is a lab with ears. It is safe for concurrent use.
type Rig struct {
	Lab     *lab.Lab
	API     client.WithWatch
	Witness *witness.Witness

	stop  context.CancelFunc
	ended chan error

	mu    sync.Mutex // one question at a time
	asker *witness.Asker
}

// New attaches the measuring side to a lab. Close takes it off and leaves the lab.
func New(l *lab.Lab) (*Rig, error) {
	api, err := Client(l)
	if err != nil {
		return nil, err
	}
	c := l.Client()
	w, err := witness.New(c, c.Interface)
	if err != nil {
		return nil, err
	}
	r := &Rig{Lab: l, API: api, Witness: w, ended: make(chan error, 1)}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.ended <- w.Run(ctx) }()
	r.asker, err = witness.NewAsker(c, c.Interface, witness.Station{MAC: witness.MACOf(c.MAC), IPv4: c.IPv4, IPv6: c.IPv6})
	if err != nil {
		return nil, errors.Join(err, r.stopWitness())
	}
	return r, nil
}

// Client is a client of the lab's API server that knows the types of Steelyard's API.
func Client(l *lab.Lab) (client.WithWatch, error) {
	log.SetLogger(logr.Discard()) // else controller-runtime complains at length that nobody set one
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the API types: %w", err)
	}
	cfg := l.RESTConfig()
	cfg.QPS = -1 // no limit of our own: the benchmark measures Steelyard, not this client
	api, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making the API client: %w", err)
	}
	return api, nil
}

// Close ends the witness and the asker.
func (r *Rig) Close() error { return errors.Join(r.stopWitness(), r.asker.Close()) }

func (r *Rig) stopWitness() error {
	r.stop()
	return <-r.ended
}

// MACs returns the nodes' hardware addresses on the LAN, in the order of the nodes.
func (r *Rig) MACs() []witness.MAC {
	var out []witness.MAC
	for _, n := range r.Lab.Nodes() {
		out = append(out, witness.MACOf(n.MAC))
	}
	return out
}

// NodeOf returns the name of the node with a hardware address; empty when it is no node's.
func (r *Rig) NodeOf(mac witness.MAC) string {
	for _, n := range r.Lab.Nodes() {
		if witness.MACOf(n.MAC) == mac {
			return n.Name
		}
	}
	return ""
}

// MACOf returns the hardware address of a node on the LAN.
func (r *Rig) MACOf(node string) witness.MAC { return witness.MACOf(r.Lab.Node(node).MAC) }

// Ask asks once for addr, by broadcast and each node alone.
func (r *Rig) Ask(ctx context.Context, addr netip.Addr) (witness.Answers, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asker.AskAll(ctx, addr, r.MACs(), answerTime)
}

// Send puts a frame of the client's on the LAN as it is, however malformed.
func (r *Rig) Send(frame []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asker.Send(frame)
}

// Question returns the frame with which the client asks for addr; dst is a node's MAC or witness.Broadcast.
func (r *Rig) Question(addr netip.Addr, dst witness.MAC) []byte { return r.asker.Question(addr, dst) }

// Owner waits until exactly one node answers for addr, by broadcast and by unicast to each, and returns its name.
func (r *Rig) Owner(ctx context.Context, addr netip.Addr) (string, error) {
	var node string
	err := Poll(ctx, func() error {
		answers, err := r.Ask(ctx, addr)
		if err != nil {
			return err
		}
		mac, err := answers.Only()
		if err != nil {
			return err
		}
		if node = r.NodeOf(mac); node == "" {
			return fmt.Errorf("%s is answered by %s, which is no node", addr, mac)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("waiting for one answerer: %w", err)
	}
	return node, nil
}

// Silent waits until nobody answers for addr.
func (r *Rig) Silent(ctx context.Context, addr netip.Addr) error {
	return Poll(ctx, func() error {
		answers, err := r.Ask(ctx, addr)
		if err == nil && !answers.Silent() {
			err = fmt.Errorf("an address that should be silent is answered for: %s", answers)
		}
		return err
	})
}

// Addresses waits until a Service shows n addresses and returns them in the order of its status.
func (r *Rig) Addresses(ctx context.Context, key client.ObjectKey, n int) ([]netip.Addr, error) {
	var out []netip.Addr
	err := Poll(ctx, func() error {
		var svc corev1.Service
		if err := r.API.Get(ctx, key, &svc); err != nil {
			return err
		}
		var err error
		if out, err = ExternalIPs(&svc); err != nil {
			return err
		}
		if len(out) != n {
			return fmt.Errorf("the Service %s has the addresses %v, want %d", key, out, n)
		}
		return nil
	})
	return out, err
}

// ExternalIPs returns the addresses in a Service's status, in its order.
func ExternalIPs(svc *corev1.Service) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, err := netip.ParseAddr(in.IP)
		if err != nil {
			return nil, fmt.Errorf("status of Service %s/%s: %w", svc.Namespace, svc.Name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Web waits until a new HTTP connection from the client to addr and port is answered, and returns the answer.
func (r *Rig) Web(ctx context.Context, addr netip.Addr, port uint16) (witness.Attempt, error) {
	var a witness.Attempt
	err := Poll(ctx, func() error {
		a = witness.Fetch(ctx, r.Lab.Client(), netip.AddrPortFrom(addr, port), time.Second)
		return a.Err
	})
	return a, err
}

// Settled waits until the nodes that are not in except are Ready and every pod of Steelyard on them is.
func (r *Rig) Settled(ctx context.Context, except ...string) error {
	return Poll(ctx, func() error {
		var nodes corev1.NodeList
		if err := r.API.List(ctx, &nodes); err != nil {
			return fmt.Errorf("listing nodes: %w", err)
		}
		for _, n := range nodes.Items {
			if !slices.Contains(except, n.Name) && !nodeReady(&n) {
				return fmt.Errorf("node %s is not ready", n.Name)
			}
		}
		return r.podsReady(ctx, len(nodes.Items)-len(except), except)
	})
}

func (r *Rig) podsReady(ctx context.Context, speakers int, except []string) error {
	var pods corev1.PodList
	if err := r.API.List(ctx, &pods, client.InNamespace(Namespace), client.MatchingLabels{"app.kubernetes.io/name": "steelyard"}); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	ready := map[string]int{}
	for _, p := range pods.Items {
		if slices.Contains(except, p.Spec.NodeName) {
			continue
		}
		if p.DeletionTimestamp != nil || !PodReady(&p) {
			return fmt.Errorf("pod %s on %s is not ready (phase %s)", p.Name, p.Spec.NodeName, p.Status.Phase)
		}
		ready[p.Labels["app.kubernetes.io/component"]]++
	}
	if ready["speaker"] != speakers || ready["controller"] == 0 {
		return fmt.Errorf("%d speakers and %d controllers are ready, want %d and at least 1", ready["speaker"], ready["controller"], speakers)
	}
	return nil
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// PodReady says whether the pod's Ready condition is true.
func PodReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

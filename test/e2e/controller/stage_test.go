// Package controller tests the controller binary against a real API server: what users and other controllers see in the
// Services, pools and Events, also when a Service cannot be written, a leader is stopped or killed, or the API server goes
// away.
//
// Contract: a test judges by the objects that the API server shows, never by the controller's logs or metrics. Each test has
// a namespace for its pools, one for its Services, and a loadBalancerClass of its own, so no test sees another's. The lab has
// an API server only; it comes up once (environment LAB: under another name, so that two runs do not meet). It needs root and the binary of `make build`.
package controller

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/lab"
)

const (
	root    = "../../.."       // of the project, from where go test runs this package
	patient = 15 * time.Second // for what takes milliseconds on an idle machine, and a lease at most
)

// up brings the lab up at the first call and returns it at each.
var up = sync.OnceValues(func() (*lab.Lab, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the very first run builds Kubernetes
	defer cancel()
	l, err := lab.Up(ctx, lab.Options{Tier: lab.APIOnly, Name: cmp.Or(os.Getenv("LAB"), "steelyard-ctl"), Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	if _, err := l.Kubectl(ctx, "", "apply", "-f", filepath.Join(root, "config/crd/bases")); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	_, err = l.Kubectl(ctx, "", "wait", "--for=condition=Established", "crd/ipaddresspools.metallb.io")
	return l, err
})

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // of the client that the tests use
	code := m.Run()
	if l, err := up(); err == nil {
		if err := l.Down(); err != nil {
			fmt.Fprintln(os.Stderr, "taking the lab down:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// stage is one test's part of the cluster.
type stage struct {
	client.WithWatch
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc // ends ctx
	lab    *lab.Lab
	name   string // the Services' namespace; the pools' is name-pools
	class  string
}

func newStage(t *testing.T, name string) *stage {
	t.Helper()
	return newStageFor(t, name, 3*time.Minute)
}

// newStageFor is newStage for a test that takes up to limit.
func newStageFor(t *testing.T, name string, limit time.Duration) *stage {
	t.Helper()
	l, err := up()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(l.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	s := &stage{WithWatch: c, t: t, ctx: ctx, cancel: cancel, lab: l, name: name, class: "test.example/" + name}
	for _, ns := range []string{name, s.poolNamespace()} {
		s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	}
	return s
}

func (s *stage) poolNamespace() string { return s.name + "-pools" }

func (s *stage) create(obj client.Object) {
	s.t.Helper()
	if err := s.Create(s.ctx, obj); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) pool(name string, addresses ...string) *v1beta1.IPAddressPool {
	s.t.Helper()
	p := &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.poolNamespace(), Name: name},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses},
	}
	s.create(p)
	return p
}

// newService is a Service of type LoadBalancer with the stage's class, not created yet.
func (s *stage) newService(name string) *corev1.Service {
	noNodePorts := false // their range is small, and nobody connects
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: &s.class, AllocateLoadBalancerNodePorts: &noNodePorts,
			Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
}

func (s *stage) service(name string) *corev1.Service {
	s.t.Helper()
	svc := s.newService(name)
	s.create(svc)
	return svc
}

func (s *stage) get(name string) *corev1.Service {
	s.t.Helper()
	var svc corev1.Service
	if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.name, Name: name}, &svc); err != nil {
		s.t.Fatal(err)
	}
	return &svc
}

// addresses are those in the Service's status, separated by commas.
func addresses(svc *corev1.Service) string {
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, in.IP)
	}
	return strings.Join(out, ",")
}

// allocated is our condition, or an empty one.
func allocated(svc *corev1.Service) metav1.Condition {
	for _, c := range svc.Status.Conditions {
		if c.Type == v1beta1.ConditionAllocated {
			return c
		}
	}
	return metav1.Condition{}
}

// eventually waits until wrong returns "".
func (s *stage) eventually(wrong func() string) {
	s.t.Helper()
	var why string
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if why = wrong(); why == "" {
			return
		}
	}
	s.t.Fatalf("after %v: %s", patient, why)
}

// hasAddress waits until the Service has exactly these addresses.
func (s *stage) hasAddress(name, want string) {
	s.t.Helper()
	s.eventually(func() string {
		svc := s.get(name)
		if got := addresses(svc); got != want {
			return fmt.Sprintf("%s has %q, want %q (%s: %s)", name, got, want, allocated(svc).Reason, allocated(svc).Message)
		}
		return ""
	})
}

// waits until the Service has no address and its condition gives the reason.
func (s *stage) waits(name, reason string) {
	s.t.Helper()
	s.eventually(func() string {
		svc := s.get(name)
		if c := allocated(svc); addresses(svc) != "" || c.Status != metav1.ConditionFalse || c.Reason != reason {
			return fmt.Sprintf("%s has %q, condition %+v; want none and reason %s", name, addresses(svc), c, reason)
		}
		return ""
	})
}

// versions are the resource versions of the Services, by name.
func (s *stage) versions() map[string]string {
	s.t.Helper()
	var list corev1.ServiceList
	if err := s.List(s.ctx, &list, client.InNamespace(s.name)); err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, svc := range list.Items {
		out[svc.Name] = svc.ResourceVersion + " " + addresses(&svc)
	}
	return out
}

// replica is one running controller.
type replica struct {
	cmd *exec.Cmd
	log *bytes.Buffer
	end sync.Once
}

// start runs the controller; the end of the test ends it.
func (s *stage) start() *replica {
	s.t.Helper()
	bin, err := filepath.Abs(filepath.Join(root, "bin", "steelyard-controller"))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		s.t.Fatalf("%v: run make build first", err)
	}
	r := &replica{log: &bytes.Buffer{}}
	r.cmd = s.lab.ControlPlane().Command(context.Background(), bin, "--kubeconfig", s.lab.Kubeconfig(), "--namespace", s.poolNamespace(),
		"--lb-class", s.class, "--metrics-bind-address", "0", "--health-probe-bind-address", "0")
	r.cmd.Stderr = r.log
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		r.stop(syscall.SIGKILL)
		if s.t.Failed() {
			s.t.Logf("log of a controller:\n%s", r.log)
		}
	})
	return r
}

// stop sends a signal that ends the process, and waits for that.
func (r *replica) stop(sig syscall.Signal) {
	r.end.Do(func() {
		_ = r.cmd.Process.Signal(sig) // it may have ended by itself
		_ = r.cmd.Wait()              // says that it was killed
	})
}

// signal sends a signal that does not end the process.
func (r *replica) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

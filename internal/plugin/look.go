package plugin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/doctor"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
)

// sight is all that a command looks at, read at one moment: the objects, the plan that the controller makes of them, and what the
// speakers say. What commands tell is computed from a sight and nothing else.
type sight struct {
	now     time.Time
	system  string // the namespace of Steelyard
	class   string // the load balancer class that is served
	objects cluster.Objects
	world   allocate.World
	plan    allocate.Result
	replies fetch.Replies
	// The speakers were asked after asked, and had answered or been given up before answered.
	asked, answered time.Time
	// unasked is why no speaker could be asked at all.
	unasked error
}

// look connects to the API server and sees what is there. The client is for what a command reads or writes besides.
func (g *globals) look(ctx context.Context) (client.Client, sight, error) {
	cl, err := g.connect()
	if err != nil {
		return nil, sight{}, err
	}
	s, err := g.see(ctx, cl)
	return cl, s, err
}

// see reads the objects. The speakers are not asked.
func (g *globals) see(ctx context.Context, cl client.Client) (sight, error) {
	objects, err := cluster.Read(ctx, cl, g.system)
	if err != nil {
		return sight{}, remedy(err)
	}
	s := sight{now: g.now(), system: g.system, class: g.servedClass(ctx, cl), objects: objects}
	s.world = objects.World(s.class, s.now)
	s.plan = allocate.Plan(s.world)
	return s, nil
}

// remedy adds to an error of the API server what its reader can do.
func remedy(err error) error {
	switch {
	case err == nil:
		return nil
	case apimeta.IsNoMatchError(err):
		return fmt.Errorf("%w: is Steelyard installed in this cluster? --context chooses another", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: docs/kubectl.md of Steelyard has a ClusterRole with the rights that are needed", err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: log in to the cluster again", err)
	case utilnet.IsConnectionRefused(err), utilnet.IsTimeout(err):
		return fmt.Errorf("%w: is the API server there? kubectl get nodes asks it too; --context and --kubeconfig choose another", err)
	}
	return err
}

// hear asks the speakers too. why are the addresses of which their candidates are wanted.
func (g *globals) hear(ctx context.Context, s *sight, why ...netip.Addr) {
	s.asked = g.now()
	s.replies, s.unasked = g.views(ctx, why)
	s.answered = g.now()
}

// fetchViews asks the speakers of the cluster that the flags name.
func (g *globals) fetchViews(ctx context.Context, why []netip.Addr) (fetch.Replies, error) {
	cfg, err := g.config()
	if err != nil {
		return fetch.Replies{}, err
	}
	return fetch.Views(ctx, cfg, g.system, why...)
}

// servedClass returns --lb-class of the plugin, or else that of the controller, as its Deployment says; "" when that cannot be read.
func (g *globals) servedClass(ctx context.Context, cl client.Client) string {
	if g.class != "" {
		return g.class
	}
	var list appsv1.DeploymentList
	if cl.List(ctx, &list, client.InNamespace(g.system), client.MatchingLabels{"app.kubernetes.io/component": "controller"}) != nil {
		return ""
	}
	var parts []doctor.Workload
	for i := range list.Items {
		parts = append(parts, workload("Deployment", &list.Items[i].ObjectMeta, list.Items[i].Spec.Template.Spec))
	}
	return classOf(parts)
}

// classOf is the class that a load balancer serves, by the flag of its controller or speakers, which MetalLB and Steelyard spell alike;
// "" without the flag.
func classOf(parts []doctor.Workload) string {
	for _, w := range parts {
		for _, arg := range w.Args {
			if class, ok := strings.CutPrefix(arg, "--lb-class="); ok {
				return class
			}
		}
	}
	return ""
}

// service finds a Service; the error says where to look else.
func (s sight) service(name lb.Name) (*corev1.Service, error) {
	at := slices.IndexFunc(s.objects.Services, func(o corev1.Service) bool { return o.Namespace == name.Namespace && o.Name == name.Name })
	if at >= 0 {
		return &s.objects.Services[at], nil
	}
	var elsewhere []string
	for _, o := range s.objects.Services {
		if o.Name == name.Name {
			elsewhere = append(elsewhere, o.Namespace)
		}
	}
	if len(elsewhere) > 0 {
		return nil, fmt.Errorf("there is no Service %s in namespace %s; one of that name is in %s (use -n)", name.Name, name.Namespace, strings.Join(elsewhere, ", "))
	}
	return nil, fmt.Errorf("there is no Service %s in namespace %s (kubectl get services -A lists all)", name.Name, name.Namespace)
}

// assignment returns what the plan gives a Service; the zero one when the Service is not the controller's business.
func (s sight) assignment(name lb.Name) (allocate.Assignment, bool) {
	at, ok := slices.BinarySearchFunc(s.plan.Services, name, func(a allocate.Assignment, n lb.Name) int { return a.Service.Compare(n) })
	if !ok {
		return allocate.Assignment{}, false
	}
	return s.plan.Services[at], true
}

// views returns what the speakers said, sorted by node.
func (s sight) views() []live.View {
	out := make([]live.View, 0, len(s.replies.Views))
	for _, v := range s.replies.Views {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b live.View) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// in returns what a speaker says of an address.
func in(v live.View, addr netip.Addr) (live.Address, bool) {
	at, ok := slices.BinarySearchFunc(v.Addresses, addr, func(a live.Address, addr netip.Addr) int { return a.Address.Compare(addr) })
	if !ok {
		return live.Address{}, false
	}
	return v.Addresses[at], true
}

// self returns what a speaker says of itself.
func self(v live.View) live.Speaker {
	for _, s := range v.Speakers {
		if s.Node == v.Node {
			return s
		}
	}
	return live.Speaker{Node: v.Node}
}

package doctor

import (
	"net/netip"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live"
)

// Facts are all that the rules look at. Lists are sorted by name. What could not be read is empty, and Unread says why.
type Facts struct {
	// System is the namespace of Steelyard, Class the load balancer class that it serves; empty for Services without one.
	System, Class string
	// Now is when the objects were read. The speakers were asked after Asked and had answered before Answered.
	Now, Asked, Answered time.Time
	Nodes                []Node
	// Speakers are the nodes that have a speaker's Pod.
	Speakers []Speaker
	// Unasked is why no speaker could be asked at all, and so which there are is not known; empty when they were.
	Unasked string
	// GossipPort is the TCP and UDP port of the speakers; 0 when not known.
	GossipPort int
	// ServiceCIDRs are the ranges of cluster IPs (KEP-1880).
	ServiceCIDRs   []netip.Prefix
	Pools          []lb.Pool
	Advertisements []lb.Advertisement
	Proxy          Proxy
	Workloads      []Workload
	Services       []Service
	Waiting        []Waiting
	Unread         []Unread
}

// Node is a Node of Kubernetes.
type Node struct {
	Name     string
	Labels   map[string]string
	Addrs    []netip.Addr   // status.addresses, of type InternalIP and ExternalIP
	PodCIDRs []netip.Prefix // spec.podCIDRs
	// Runs says that a speaker shall run there: the DaemonSet's node selector and affinity admit it, and its system is Linux.
	Runs bool
}

// Speaker is a node with a speaker's Pod: what the speaker told, or why it could not be asked.
type Speaker struct {
	Node   string
	View   live.View
	Silent string // empty when View is there
}

// Proxy is kube-proxy's configuration, as its ConfigMap in kube-system has it.
type Proxy struct {
	Found     bool
	Mode      string
	StrictARP bool
}

// Workload is a Deployment, a StatefulSet or a DaemonSet of the cluster that wants to run one Pod at least, or a static Pod.
type Workload struct {
	Kind, Namespace, Name string
	Labels                map[string]string
	// Images, Args and Env, as NAME=VALUE where the value is written in the Pod, are those of all its containers.
	Images, Args, Env []string
}

// Service is a Service of type LoadBalancer and of Steelyard's class.
type Service struct {
	Name lb.Name
	// Writers are who wrote status.loadBalancer (metadata.managedFields), and when last.
	Writers []Writer
}

// Writer is a field manager.
type Writer struct {
	Manager string
	At      time.Time
}

// Waiting is a Service that lacks an address, and why.
type Waiting struct {
	Service lb.Name
	Problem lb.Problem
}

// Unread is something that could not be read, and why.
type Unread struct{ What, Why string }

// told returns the Views of the speakers that could be asked, by node.
func (f Facts) told() []live.View {
	var out []live.View
	for _, s := range f.Speakers {
		if s.Silent == "" {
			out = append(out, s.View)
		}
	}
	return out
}

// interfaces are what a speaker says of its own.
func interfaces(v live.View) []live.Interface {
	for _, s := range v.Speakers {
		if s.Node == v.Node {
			return s.Interfaces
		}
	}
	return nil
}

// matching returns the advertisements that are about the pool.
func (f Facts) matching(p *lb.Pool) []lb.Advertisement {
	var out []lb.Advertisement
	for _, ad := range f.Advertisements {
		if ad.About(p) {
			out = append(out, ad)
		}
	}
	return out
}

package whatif

import (
	"slices"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// WithNode returns the world with a node, instead of the one of that name if there is one.
func (w World) WithNode(n lb.Node) World {
	w = w.WithoutNode(n.Name)
	w.Nodes = append(w.Nodes, n)
	return w
}

// Drain returns the world in which a node is drained, or is not any more.
func (w World) Drain(node string, drained bool) World {
	w.Nodes = slices.Clone(w.Nodes)
	for i := range w.Nodes {
		if w.Nodes[i].Name == node {
			w.Nodes[i].Drained = drained
		}
	}
	return w
}

// WithoutNode returns the world without a Node. Its speaker is there still: it ends when its Pod is deleted, and hands its addresses
// over before.
func (w World) WithoutNode(name string) World {
	w.Nodes = slices.DeleteFunc(slices.Clone(w.Nodes), func(n lb.Node) bool { return n.Name == name })
	return w
}

// Prefer returns the world in which a Service asks for a node; for none when node is empty.
func (w World) Prefer(service lb.Name, node string) World {
	w.Allocation.Services = slices.Clone(w.Allocation.Services)
	for i := range w.Allocation.Services {
		if w.Allocation.Services[i].Name == service {
			w.Allocation.Services[i].WantedNode = node
		}
	}
	return w
}

// WithPool returns the world with a pool, instead of the one of that name if there is one.
func (w World) WithPool(p lb.Pool) World {
	w = w.WithoutPool(p.Name)
	w.Allocation.Pools = append(w.Allocation.Pools, p)
	return w
}

// WithoutPool returns the world without a pool.
func (w World) WithoutPool(name string) World {
	w.Allocation.Pools = slices.DeleteFunc(slices.Clone(w.Allocation.Pools), func(p lb.Pool) bool { return p.Name == name })
	return w
}

// WithAdvertisement returns the world with an advertisement, instead of the one of that name if there is one.
func (w World) WithAdvertisement(a lb.Advertisement) World {
	w.Advertisements = slices.DeleteFunc(slices.Clone(w.Advertisements), func(o lb.Advertisement) bool { return o.Name == a.Name })
	w.Advertisements = append(w.Advertisements, a)
	return w
}

package fetch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/steelyard-lb/steelyard/internal/live"
)

const (
	// selector finds speaker Pods. MetalLB's chart gives the same component to its own, which are there too during a migration.
	selector = "app.kubernetes.io/component=speaker,app.kubernetes.io/name!=metallb"
	// defaultPort is that of the probes of a speaker whose Pod has none.
	defaultPort = 17948
	// abreast is how many speakers are asked at a time: each is a connection to the API server.
	abreast = 32
)

// pod is where a speaker can be asked, or why it cannot be.
type pod struct {
	node, namespace, name string
	port                  int
	problem               error
}

// speakers lists the Pods, one for each node: the one that runs, else any.
func speakers(ctx context.Context, cfg *rest.Config, namespace string) ([]pod, error) {
	cl, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	list, err := cl.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the speakers' Pods: %w", err)
	}
	return onePerNode(list.Items), nil
}

func onePerNode(items []corev1.Pod) []pod {
	byNode := map[string]pod{}
	for i := range items {
		p := podOf(&items[i])
		if have, ok := byNode[p.node]; p.node != "" && (!ok || have.problem != nil) {
			byNode[p.node] = p
		}
	}
	out := make([]pod, 0, len(byNode))
	for _, p := range byNode {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b pod) int { return cmp.Compare(a.node, b.node) })
	return out
}

func podOf(p *corev1.Pod) pod {
	out := pod{node: p.Spec.NodeName, namespace: p.Namespace, name: p.Name, port: probePort(p)}
	switch {
	case p.DeletionTimestamp != nil:
		out.problem = fmt.Errorf("its Pod %s is being deleted", p.Name)
	case p.Status.Phase != corev1.PodRunning:
		out.problem = fmt.Errorf("its Pod %s is %s", p.Name, p.Status.Phase)
	}
	return out
}

// probePort returns the port at which the Pod says that it is ready.
func probePort(p *corev1.Pod) int {
	for _, c := range p.Spec.Containers {
		if r := c.ReadinessProbe; r != nil && r.HTTPGet != nil && r.HTTPGet.Port.IntValue() > 0 {
			return r.HTTPGet.Port.IntValue()
		}
	}
	return defaultPort
}

// askAll asks each Pod that can be asked.
func askAll(ctx context.Context, pods []pod, ask func(context.Context, pod) (live.View, error)) Replies {
	r := Replies{Views: map[string]live.View{}, Silent: map[string]error{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	slots := make(chan struct{}, abreast)
	for _, p := range pods {
		all.Go(func() {
			v, err := live.View{}, p.problem
			if err == nil {
				slots <- struct{}{}
				one, cancel := context.WithTimeout(ctx, timeout)
				v, err = ask(one, p)
				cancel()
				<-slots
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Silent[p.node] = err
				return
			}
			r.Views[p.node] = v
		})
	}
	all.Wait()
	return r
}

package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
)

// newRandomService is a new Service with random wishes.
func (c *chaos) newRandomService() *corev1.Service {
	svc := c.newService(fmt.Sprintf("s%04d", c.made))
	c.made++
	c.alive = append(c.alive, svc.Name)
	c.touched[svc.Name] = true
	policy := pick(c.Rand, corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack)
	svc.Spec.IPFamilyPolicy = &policy
	if c.IntN(3) == 0 {
		svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
		if policy == corev1.IPFamilyPolicyRequireDualStack {
			svc.Spec.IPFamilies = append(svc.Spec.IPFamilies, corev1.IPv4Protocol)
		}
	}
	svc.Labels = map[string]string{"tier": pick(c.Rand, "gold", "silver")}
	for _, change := range c.wishes() {
		change(svc)
	}
	return svc
}

// wishes are random changes of everything that a Service can ask for and change while it lives.
func (c *chaos) wishes() []func(*corev1.Service) {
	annotate := func(key, value string) func(*corev1.Service) {
		return func(svc *corev1.Service) {
			if svc.Annotations == nil {
				svc.Annotations = map[string]string{}
			}
			if delete(svc.Annotations, key); value != "" {
				svc.Annotations[key] = value
			}
		}
	}
	port := pick[int32](c.Rand, 80, 443, 8080)
	protocol := pick(c.Rand, corev1.ProtocolTCP, corev1.ProtocolUDP)
	local := pick(c.Rand, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)
	app := pick(c.Rand, "a", "b")
	return []func(*corev1.Service){
		annotate(v1beta1.AnnotationAllowSharedIP, pick(c.Rand, "", "", "red", "blue")),
		annotate(v1beta1.AnnotationAddressPool, pick(c.Rand, "", "", "", "", "", c.poolName())),
		annotate(v1beta1.AnnotationLoadBalancerIPs, pick(c.Rand, "", "", "", c.address(), c.address()+","+c.address(), "none")),
		func(svc *corev1.Service) { svc.Spec.Ports = []corev1.ServicePort{{Protocol: protocol, Port: port}} },
		func(svc *corev1.Service) { svc.Spec.ExternalTrafficPolicy = local },
		func(svc *corev1.Service) { svc.Spec.Selector = map[string]string{"app": app} },
	}
}

func (c *chaos) poolName() string { return fmt.Sprintf("p%d", c.IntN(6)) }

func (c *chaos) address() string { return pick(c.Rand, universe()...).String() }

func (c *chaos) createService() {
	svc := c.newRandomService()
	c.note("create %s", wishOf(svc))
	c.create(svc)
}

// flood makes many Services at once, so that one plan does not see them all and the next is made while statuses are on
// their way.
func (c *chaos) flood() {
	var all sync.WaitGroup
	errs := make([]error, 10+c.IntN(30))
	for i := range errs {
		svc := c.newRandomService()
		c.note("create %s", wishOf(svc))
		all.Go(func() { errs[i] = c.Create(c.ctx, svc) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaos) deleteService() {
	if len(c.alive) == 0 {
		return
	}
	i := c.IntN(len(c.alive))
	name := c.alive[i]
	c.alive = slices.Delete(c.alive, i, i+1)
	c.touched[name] = true
	c.note("delete %s", name)
	svc := c.newService(name)
	if err := c.Delete(c.ctx, svc); err != nil {
		c.t.Fatal(err)
	}
}

// editService changes one wish, the type or the family policy of a Service.
func (c *chaos) editService() {
	if len(c.alive) == 0 {
		return
	}
	name := pick(c.Rand, c.alive...)
	c.touched[name] = true
	change := pick(c.Rand, append(c.wishes(), c.changeType, changePolicy, c.changeType, changePolicy)...)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		svc := c.get(name)
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			c.changeType(svc) // the other wishes mean nothing for it
		} else {
			change(svc)
		}
		if err := c.Update(c.ctx, svc); err != nil {
			return err
		}
		c.note("edit %s", wishOf(svc))
		return nil
	})
	if err != nil {
		c.t.Fatalf("editing %s: %v", name, err)
	}
}

// changeType makes a Service one of type ClusterIP, or back.
func (c *chaos) changeType(svc *corev1.Service) {
	spec := &svc.Spec
	if spec.Type == corev1.ServiceTypeLoadBalancer {
		spec.Type, spec.LoadBalancerClass, spec.AllocateLoadBalancerNodePorts, spec.ExternalTrafficPolicy, spec.HealthCheckNodePort =
			corev1.ServiceTypeClusterIP, nil, nil, "", 0
		return
	}
	no := false
	spec.Type, spec.LoadBalancerClass, spec.AllocateLoadBalancerNodePorts, spec.ExternalTrafficPolicy =
		corev1.ServiceTypeLoadBalancer, &c.class, &no, corev1.ServiceExternalTrafficPolicyCluster
}

// changePolicy takes the second family from a Service, or lets it have one.
func changePolicy(svc *corev1.Service) {
	policy := corev1.IPFamilyPolicyPreferDualStack
	if len(svc.Spec.ClusterIPs) > 1 {
		policy = corev1.IPFamilyPolicySingleStack
		svc.Spec.ClusterIPs, svc.Spec.IPFamilies = svc.Spec.ClusterIPs[:1], svc.Spec.IPFamilies[:1]
	}
	svc.Spec.IPFamilyPolicy = &policy
}

// changePool makes, deletes, renames, resizes or otherwise edits a pool.
func (c *chaos) changePool() {
	name := c.poolName()
	p, there := c.pools[name]
	switch n := c.IntN(10); {
	case !there:
		c.putPool(c.randomPool(name))
	case n < 2:
		c.dropPool(p)
	case n < 5:
		c.renamePool(p)
	default:
		c.putPool(c.randomPool(name))
	}
}

func (c *chaos) randomPool(name string) *v1beta1.IPAddressPool {
	p := &v1beta1.IPAddressPool{}
	p.Namespace, p.Name = c.poolNamespace(), name
	auto := c.IntN(8) > 0
	p.Spec.AutoAssign = &auto
	for range 1 + c.IntN(4) {
		p.Spec.Addresses = append(p.Spec.Addresses, block(c.IntN(16)))
	}
	if c.IntN(5) == 0 {
		p.Spec.AllocateTo = &v1beta1.ServiceAllocation{Priority: c.IntN(3)}
		if c.IntN(2) == 0 {
			p.Spec.AllocateTo.ServiceSelectors = []v1beta1.LabelSelector{{MatchLabels: map[string]string{"tier": "gold"}}}
		}
	}
	return p
}

// putPool creates a pool or replaces its spec.
func (c *chaos) putPool(p *v1beta1.IPAddressPool) {
	if _, there := c.pools[p.Name]; !there {
		c.create(p)
	} else {
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			var now v1beta1.IPAddressPool
			if err := c.Get(c.ctx, client.ObjectKeyFromObject(p), &now); err != nil {
				return err
			}
			now.Spec = p.Spec
			return c.Update(c.ctx, &now)
		})
		if err != nil {
			c.t.Fatalf("editing pool %s: %v", p.Name, err)
		}
	}
	c.pools[p.Name] = p
	c.poolsChanged("pool %s is %s autoAssign %v %+v", p.Name, strings.Join(p.Spec.Addresses, " "), *p.Spec.AutoAssign, p.Spec.AllocateTo)
}

func (c *chaos) dropPool(p *v1beta1.IPAddressPool) {
	if err := c.Delete(c.ctx, p); err != nil {
		c.t.Fatal(err)
	}
	delete(c.pools, p.Name)
	c.poolsChanged("pool %s is gone", p.Name)
}

// renamePool gives the addresses of a pool to one of another name, which is there before the old one goes.
func (c *chaos) renamePool(p *v1beta1.IPAddressPool) {
	name := c.poolName()
	if _, there := c.pools[name]; there {
		return
	}
	renamed := &v1beta1.IPAddressPool{Spec: *p.Spec.DeepCopy()}
	renamed.Namespace, renamed.Name = p.Namespace, name
	c.putPool(renamed)
	c.dropPool(p)
}

func (c *chaos) poolsChanged(format string, args ...any) {
	c.note(format, args...)
	c.steps = append(c.steps, maps.Clone(c.pools))
}

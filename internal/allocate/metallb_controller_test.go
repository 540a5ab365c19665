package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func withoutClusterIP(s *lb.Service) { s.Families = nil }

func notOurs(s *lb.Service) { s.Managed = false }

func prefersDualWithOneClusterIP(s *lb.Service) {
	s.Families, s.Policy = []lb.Family{lb.IPv4}, lb.PreferDualStack
}

// TestMetalLBControllerMutation: what the controller makes of one Service and what it holds, in one pass. That a second pass changes
// nothing, which is where PreferDualStack went wrong there, is checked for every row. For a deleted balancer see
// TestMetalLBDeleteRecyclesIP; an ingress that is no address is nothing held, see internal/kube.
func TestMetalLBControllerMutation(t *testing.T) {
	pools := []lb.Pool{aPool("pool1", "1.2.3.0/31"), aPool("pool2", "1.2.4.0/31"), aPool("pool3", "1000::/127")}
	one := func(opts ...option) []lb.Service { return []lb.Service{aService("s", opts...)} }
	runPlans(t, []planTest{
		{"simple non-LoadBalancer", pools, one(notOurs), "s=-"},
		{"simple LoadBalancer", pools, one(), "s=1.2.3.0"},
		{"simple LoadBalancer, IPv6", pools, one(ipv6), "s=1000::"},
		{"request specific IP", pools, one(asks("1.2.3.1")), "s=1.2.3.1"},
		{"request invalid IP, or by annotation and by field", pools, one(broken), "s=-:InvalidRequest"},
		{"request for incompatible IP and pool", pools, one(asks("1.2.3.0"), fromPool("pool2")), "s=-:PoolMismatch"},
		{"request infeasible IP", pools, one(asks("9.9.9.9")), "s=-:NotInPool"},
		// Differs: there, the address that it has is taken away. A typing mistake must not cut traffic.
		{"request infeasible IP while it has one", pools, one(asks("9.9.9.9"), holds("1.2.3.0")), "s=1.2.3.0:NotInPool"},
		{"request IP from specific pool", pools, one(fromPool("pool2")), "s=1.2.4.0"},
		{"switch to a different specific pool", pools, one(fromPool("pool2"), holds("1.2.3.0")), "s=1.2.4.0"},
		{"unknown pool requested", pools, one(fromPool("nope")), "s=-:UnknownPool"},
		// Differs likewise.
		{"unknown pool requested while it has an address", pools, one(fromPool("nope"), holds("1.2.3.0")), "s=1.2.3.0:UnknownPool"},
		{"invalid IP assigned", pools, one(holds("2.3.4.5")), "s=1.2.3.0"},
		{"former LoadBalancer, now NodePort", pools, one(holds("1.2.3.0"), notOurs), "s=-"},
		{"layer2 with local policy", pools, one(local("app=a")), "s=1.2.3.0"},
		{"No ClusterIP", pools, one(withoutClusterIP), "s=-:NoClusterIP"},
		{"IPs are assigned already, but the family can't be determined", pools, one(withoutClusterIP, holds("1.2.3.0")), "s=-:NoClusterIP"},
		{"wrong family v4 requested", pools, one(ipv6, asks("1.2.3.0")), "s=-:WrongFamily"},
		{"wrong family v6 requested", pools, one(asks("1000::")), "s=-:WrongFamily"},
		{"wrong family v4 assigned", pools, one(ipv6, holds("1.2.3.0")), "s=1000::"},
		{"wrong family v6 assigned", pools, one(holds("1000::")), "s=1.2.3.0"},
	})
}

func TestMetalLBControllerMutationOfDualStack(t *testing.T) {
	dual, four, six := aPool("dual", "1.2.3.0/31", "1000::/127"), aPool("a-four", "1.2.4.0/31"), aPool("a-six", "2000::/127")
	apart, all := []lb.Pool{four, six}, []lb.Pool{four, six, dual}
	one := func(opts ...option) []lb.Service { return []lb.Service{aService("s", opts...)} }
	oneClusterIP := func(s *lb.Service) { s.Families = []lb.Family{lb.IPv4} }
	runPlans(t, []planTest{
		{"simple dual-stack LoadBalancer", []lb.Pool{dual}, one(requiresDual), "s=1.2.3.0,1000::"},
		{"request IPs from specific dual-stack pool", all, one(requiresDual, fromPool("dual")), "s=1.2.3.0,1000::"},
		{"dual-stack with PreferDualStack: the first pool that has both", all, one(prefersDual), "s=1.2.3.0,1000::"},
		{"PreferDualStack, IPv6 first", all, one(prefersDual, ipv6First), "s=1000::,1.2.3.0"},
		{"PreferDualStack, only an IPv4 pool", []lb.Pool{four}, one(prefersDual), "s=1.2.4.0"},
		{"PreferDualStack, IPv6 first, only an IPv4 pool", []lb.Pool{four}, one(prefersDual, ipv6First), "s=1.2.4.0"},
		{"PreferDualStack, only an IPv6 pool", []lb.Pool{six}, one(prefersDual), "s=2000::"},
		// Differs: there, one address. Two pools for two families are as good as one.
		{"PreferDualStack, no pool that has both", apart, one(prefersDual), "s=1.2.4.0,2000::"},
		// Differs likewise: there, none.
		{"RequireDualStack, no pool that has both", apart, one(requiresDual), "s=1.2.4.0,2000::"},
		{"RequireDualStack, only an IPv4 pool", []lb.Pool{four}, one(requiresDual), "s=-:NoUsablePool"},
		{"RequireDualStack, a specific IPv4 pool", all, one(requiresDual, fromPool("a-four")), "s=-:NoUsablePool"},
		{"RequireDualStack with one cluster IP", []lb.Pool{dual}, one(requiresDual, oneClusterIP), "s=-:NotDualStack"},
		// Differs: there, the address that it has is cleared.
		{"RequireDualStack with one cluster IP and an address", []lb.Pool{dual}, one(requiresDual, oneClusterIP, holds("1.2.3.1")), "s=1.2.3.1:NotDualStack"},
		{"single-stack LoadBalancer with PreferDualStack", []lb.Pool{four}, one(prefersDualWithOneClusterIP), "s=1.2.4.0"},
		{"dualstack pool with PreferDualStack policy but single stack clusterip", []lb.Pool{dual}, one(prefersDualWithOneClusterIP), "s=1.2.3.0"},
		{"PreferDualStack: the second family is added from the same pool", all, one(prefersDual, holds("1.2.3.1")), "s=1.2.3.1,1000::"},
		// Differs: there, the second family comes from the same pool only.
		{"PreferDualStack: or from another pool", apart, one(prefersDual, holds("1.2.4.1")), "s=1.2.4.1,2000::"},
		{"request specific dual-stack IPs", all, one(requiresDual, asks("1.2.3.1", "1000::1")), "s=1.2.3.1,1000::1"},
		// Differs: there, a dual-stack Service must ask for both or for none.
		{"request one IP on a dual-stack Service", all, one(requiresDual, asks("1.2.3.1")), "s=1.2.3.1,1000::"},
		{"request dual-stack IPs on a single-stack Service", all, one(asks("1.2.3.1", "1000::1")), "s=-:WrongFamily"},
	})
}

func TestMetalLBControllerMutationOfPinnedPools(t *testing.T) {
	open := aPool("a-open", "1.2.9.0/31")
	namespace := func(name string, priority int, r string) lb.Pool {
		return pinnedPool(name, lb.PoolAllocation{Priority: priority, Namespaces: []string{"default"}}, r)
	}
	label := pinnedPool("label", lb.PoolAllocation{Priority: 3, ServiceSelectors: selects("tier", "gold")}, "1.2.5.0/31")
	plain, gold := []lb.Service{aService("s")}, []lb.Service{aService("s", labelled("tier", "gold"))}
	runPlans(t, []planTest{
		{"namespace pool", []lb.Pool{open, namespace("z", 0, "1.2.3.0/31")}, plain, "s=1.2.3.0"},
		{"namespace pools, with priority", []lb.Pool{open, namespace("y", 20, "1.2.3.0/31"), namespace("z", 10, "1.2.4.0/31")}, plain, "s=1.2.4.0"},
		{"namespace pools, with priority and without", []lb.Pool{open, namespace("y", 0, "1.2.3.0/31"), namespace("z", 10, "1.2.4.0/31")}, plain, "s=1.2.4.0"},
		// Differs: there, either. The same world must give the same address.
		{"namespace pools of equal priority", []lb.Pool{open, namespace("z", 10, "1.2.3.0/31"), namespace("y", 10, "1.2.4.0/31")}, plain, "s=1.2.4.0"},
		{"service label pool", []lb.Pool{open, label}, gold, "s=1.2.5.0"},
		{"service label pool, another label", []lb.Pool{open, label}, plain, "s=1.2.9.0"},
		{"namespace and service label pools: the label's is better", []lb.Pool{open, label, namespace("z", 10, "1.2.4.0/31")}, gold, "s=1.2.5.0"},
		{"namespace and service label pools: the namespace's is better", []lb.Pool{open, label, namespace("z", 1, "1.2.4.0/31")}, gold, "s=1.2.4.0"},
	})
}

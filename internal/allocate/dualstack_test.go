package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestDualStack(t *testing.T) {
	dual := []lb.Pool{aPool("dual", "1.2.3.0/31", "1000::/127")}
	four := []lb.Pool{aPool("four", "1.2.3.0/31")}
	runPlans(t, []planTest{
		{"the second family is added later, at the end", dual, []lb.Service{aService("s", prefersDual, ipv6First, holds("1.2.3.1"))}, "s=1.2.3.1,1000::"},
		{"of two that it may not keep the order is forgotten", dual, []lb.Service{aService("s", prefersDual, holds("2000::9", "9.9.9.9"))}, "s=1.2.3.0,1000::"},
		{"one replaced by request keeps its position", dual, []lb.Service{aService("s", prefersDual, asks("1000::", "1.2.3.1"), holds("1000::1", "1.2.3.1"))}, "s=1000::,1.2.3.1"},
		// Differs from MetalLB, where both are cleared and one is given again.
		{"a requested pool that lacks a family moves the other alone", append(dual, with(four[0], named("a"), func(p *lb.Pool) { p.Ranges = aPool("", "1.2.4.0/31").Ranges })),
			[]lb.Service{aService("s", prefersDual, holds("1.2.3.1", "1000::1"), fromPool("a"))}, "s=1.2.4.0,1000::1:NoUsablePool"},
		{"Require keeps the one that it has", four, []lb.Service{aService("s", requiresDual, holds("1.2.3.1"))}, "s=1.2.3.1:NoUsablePool"},
		{"Prefer is not without when its second family is taken", dual, []lb.Service{aService("a", created(-2), ipv6, holds("1000::")), aService("b", created(-1), ipv6, holds("1000::1")), aService("s", prefersDual)}, "a=1000:: b=1000::1 s=1.2.3.0"},
		{"Require waits for the family that is full", dual, []lb.Service{aService("a", created(-2), ipv6, holds("1000::")), aService("b", created(-1), ipv6, holds("1000::1")), aService("s", requiresDual)}, "a=1000:: b=1000::1 s=-:Exhausted"},
	})
}

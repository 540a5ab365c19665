package allocate

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestOrderOfService(t *testing.T) {
	one := []lb.Pool{aPool("p", "1.2.3.1/32")}
	runPlans(t, []planTest{
		{"by creation time", one, []lb.Service{aService("a", created(2)), aService("z", created(1))}, "a=-:Exhausted z=1.2.3.1"},
		{"then by name", one, []lb.Service{aService("b"), aService("a")}, "a=1.2.3.1 b=-:Exhausted"},
		{"the namespace before the name", one, []lb.Service{aService("a", inNamespace("other")), aService("z")}, "z=1.2.3.1 a=-:Exhausted"},
		{"whoever holds before the older one", one, []lb.Service{aService("a", created(1)), aService("z", created(9), holds("1.2.3.1"))}, "a=-:Exhausted z=1.2.3.1"},
		{"whoever holds before one who asks by number", one, []lb.Service{aService("a", created(1), asks("1.2.3.1")), aService("z", created(9), holds("1.2.3.1"))}, "a=-:AddressInUse z=1.2.3.1"},
		{"a number before a pool, a pool before none", []lb.Pool{aPool("p", "1.2.3.1-1.2.3.2")}, []lb.Service{aService("a", created(1)), aService("b", created(2), fromPool("p")), aService("c", created(3), asks("1.2.3.1"))}, "a=-:Exhausted b=1.2.3.2 c=1.2.3.1"},
		{"pools without rank by name", []lb.Pool{aPool("z", "1.2.3.0/30"), aPool("a", "1.2.4.0/30")}, []lb.Service{aService("s")}, "s=1.2.4.0"},
	})
}

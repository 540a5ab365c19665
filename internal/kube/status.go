package kube

import (
	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// MACs returns the hardware addresses that a ServiceL2Status names, in its order. What is no EUI-48 address is left out.
func MACs(o *v1beta1.ServiceL2Status) []lb.MAC {
	var out []lb.MAC
	for _, text := range o.Status.MACs {
		if m, ok := lb.ParseMAC(text); ok {
			out = append(out, m)
		}
	}
	return out
}

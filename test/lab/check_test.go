package lab

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissingCapabilities(t *testing.T) {
	for _, tc := range []struct {
		name, status string
		want         []string
	}{
		{"root", "Name:\tlab\nCapEff:\t000001ffffffffff\n", nil},
		{"root of a container", "CapEff:\t00000000a80425fb\n", []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"}},
		{"a user", "CapEff:\t0000000000000000\n", []string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"}},
		{"no such line says nothing", "CapEff:\tgarbage\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, missingCapabilities(tc.status)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

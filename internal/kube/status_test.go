package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestMACsGoThereAndBack(t *testing.T) {
	mac := lb.MAC{2, 0, 0x5e, 0x10, 0, 1}
	o := &v1beta1.ServiceL2Status{Status: v1beta1.ServiceL2StatusStatus{MACs: []string{"eth0", mac.String(), "02:00:5e:10:00:01:02:03", ""}}}
	if diff := cmp.Diff([]lb.MAC{mac}, MACs(o)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

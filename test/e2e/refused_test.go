package e2e

import (
	"context"
	"strings"
	"testing"
)

func TestWrongYAMLIsRefusedWithAMessageThatHelps(t *testing.T) {
	s := begin(t)
	for _, c := range []struct {
		name, kind, spec string
		words            []string // in the message
	}{
		{"a prefix that is too long", "IPAddressPool", `addresses: [192.168.1.0/33]`, []string{"spec.addresses[0]", "prefix length"}},
		{"an address without its length", "IPAddressPool", `addresses: [192.168.1.200]`, []string{"spec.addresses[0]", "192.168.1.200/32"}},
		{"no address at all", "IPAddressPool", `addresses: [lan]`, []string{"spec.addresses"}},
		{"an octet that is too large", "IPAddressPool", `addresses: [192.168.1.200-192.168.1.256]`, []string{"spec.addresses"}},
		{"a range that starts after its end", "IPAddressPool", `addresses: [192.168.1.210-192.168.1.200]`, []string{"spec.addresses"}},
		{"a range of two families", "IPAddressPool", `addresses: ["192.168.1.200-fd00:1::1"]`, []string{"spec.addresses", "famil"}},
		{"an empty list", "IPAddressPool", `addresses: []`, []string{"spec.addresses", "at least 1"}},
		{"no list", "IPAddressPool", `autoAssign: true`, []string{"spec.addresses", "Required"}},
		{"a word where a boolean is due", "IPAddressPool", `{addresses: [192.168.1.200/32], autoAssign: "maybe"}`, []string{"autoAssign", "boolean"}},
		{"an unknown field", "IPAddressPool", `{addresses: [192.168.1.200/32], autoAsign: false}`, []string{"autoAsign"}},
		{"a negative priority", "IPAddressPool", `{addresses: [192.168.1.200/32], serviceAllocation: {priority: -1}}`, []string{"priority"}},
		{"a weight that is too large", "L2Advertisement", `preferredNodeSelectors: [{weight: 101, preference: {}}]`, []string{"weight", "100"}},
		{"a weight of nothing", "L2Advertisement", `preferredNodeSelectors: [{weight: 0, preference: {}}]`, []string{"weight", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml := "apiVersion: metallb.io/v1beta1\nkind: " + c.kind + "\nmetadata: {name: wrong, namespace: metallb-system}\nspec:\n"
			if strings.HasPrefix(c.spec, "{") {
				yaml = strings.TrimSuffix(yaml, "\n") + " " + c.spec + "\n"
			} else {
				yaml += "  " + c.spec + "\n"
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			out, err := s.Lab.Kubectl(ctx, yaml, "apply", "-f", "-")
			if err == nil {
				s.kubectl(yaml, "delete", "-f", "-")
				t.Fatalf("it was accepted: %s", out)
			}
			said := out + err.Error()
			if !containsAll(said, c.words) {
				t.Errorf("the message does not have the words %q:\n%s", c.words, said)
			}
		})
	}
}

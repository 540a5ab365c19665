package v1beta1

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// judgement is one row: an object, and what the API server answers to its creation. No line means that it is accepted.
type judgement struct {
	name string
	yaml string
	want []string
}

func judge(t *testing.T, c *crd, rows []judgement) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c.t = t
			if diff := cmp.Diff(row.want, c.errors("", row.yaml)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func pool(spec string) string {
	return "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: my-pool, namespace: metallb-system}\nspec: " + spec + "\n"
}

func advertisement(spec string) string {
	return "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: my-advertisement, namespace: metallb-system}\nspec: " + spec + "\n"
}

func TestPoolAddresses(t *testing.T) {
	const example = "; write the first and the last one, such as 192.0.2.10-192.0.2.20"
	rows := []struct {
		address string
		want    string // empty: accepted
	}{
		{"192.168.1.200-192.168.1.210", ""},
		{"192.168.1.200 - 192.168.1.210", ""},
		{"  192.168.1.200 -192.168.1.210 ", ""},
		{"192.168.1.7-192.168.1.7", ""},
		{"9.255.255.255-10.0.0.0", ""},
		{"0.0.0.0-255.255.255.255", ""},
		{"192.0.2.0/24", ""},
		{"192.0.2.77/24", ""}, // host bits are masked
		{"192.0.2.7/32", ""},
		{"0.0.0.0/0", ""},
		{"2001:db8::/64", ""},
		{"2001:DB8:0:0::1/64", ""},
		{"2001:db8::7/128", ""},
		{"2001:db8::1-2001:db8::ff", ""},
		{"2001:db8::ff-2001:db8::100", ""},
		{"2001:db8::9-2001:db8::A", ""},
		{"2001:0db8:0000:0000:0000:0000:0000:0001 - 2001:0db8:0000:0000:0000:0000:0000:00ff", ""},
		{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"::1-1::", ""},
		{"::2:3:4:5:6:7:8-1::3:4:5:6:7:8", ""},
		{"1:2:3:4:5:6:7::-1:2:3:4:5:6:7:8", ""},
		{"64:ff9b::192.0.2.1-64:ff9b::192.0.2.9", ""},
		{"2001:db8:0:1::-2001:db8:0:1:ffff:ffff:ffff:ffff", ""},

		{"", "'' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
		{"my-pool", "'my-pool' is not a range of addresses: 'my' is not an IP address" + example},
		{"lan", "'lan' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
		{"192.168.1.200", "'192.168.1.200' is a single address: write '192.168.1.200/32'"},
		{"2001:db8::1", "'2001:db8::1' is a single address: write '2001:db8::1/128'"},
		{"192.168.1.0/33", "'192.168.1.0/33' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6"},
		{"192.168.1.0/", "'192.168.1.0/' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6"},
		{"192.168.1.0/-1", "'192.168.1.0/-1' is not a range of addresses: '192.168.1.0/' is not an IP address" + example},
		{"192.168.1.0/255.255.255.0", "'192.168.1.0/255.255.255.0' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6"},
		{"2001:db8::/129", "'2001:db8::/129' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6"},
		{"192.168.1.256/24", "'192.168.1.256/24' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
		{"192.168.1.010/24", "'192.168.1.010/24' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
		{"fe80::1%eth0/64", "'fe80::1%eth0/64' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
		{"::ffff:192.0.2.0/120", "'::ffff:192.0.2.0/120' is an IPv4-mapped IPv6 address: write the IPv4 address, such as 192.0.2.0/24"},
		{"::FFFF:192.0.2.1-::FFFF:192.0.2.9", "'::FFFF:192.0.2.1-::FFFF:192.0.2.9' is not a range of addresses: '::FFFF:192.0.2.1' is not an IP address" + example},
		{"192.168.1.210-192.168.1.200", "'192.168.1.210-192.168.1.200' ends before it starts: write '192.168.1.200-192.168.1.210'"},
		{"10.0.0.0 - 9.255.255.255", "'10.0.0.0 - 9.255.255.255' ends before it starts: write '9.255.255.255-10.0.0.0'"},
		{"2001:db8::100-2001:db8::ff", "'2001:db8::100-2001:db8::ff' ends before it starts: write '2001:db8::ff-2001:db8::100'"},
		{"2001:db8::A-2001:db8::9", "'2001:db8::A-2001:db8::9' ends before it starts: write '2001:db8::9-2001:db8::A'"},
		{"1::-::1", "'1::-::1' ends before it starts: write '::1-1::'"},
		{"1::3:4:5:6:7:8-::2:3:4:5:6:7:8", "'1::3:4:5:6:7:8-::2:3:4:5:6:7:8' ends before it starts: write '::2:3:4:5:6:7:8-1::3:4:5:6:7:8'"},
		{"1:2:3:4:5:6:7:8-1:2:3:4:5:6:7::", "'1:2:3:4:5:6:7:8-1:2:3:4:5:6:7::' ends before it starts: write '1:2:3:4:5:6:7::-1:2:3:4:5:6:7:8'"},
		{"192.168.1.200-2001:db8::1", "'192.168.1.200-2001:db8::1' mixes IPv4 and IPv6: both ends of a range must be of one family"},
		{"2001:db8::1-192.168.1.200", "'2001:db8::1-192.168.1.200' mixes IPv4 and IPv6: both ends of a range must be of one family"},
		{"192.168.1.200-", "'192.168.1.200-' is not a range of addresses: '' is not an IP address" + example},
		{"-192.168.1.200", "'-192.168.1.200' is not a range of addresses: '' is not an IP address" + example},
		{"192.168.1.200-210", "'192.168.1.200-210' is not a range of addresses: '210' is not an IP address" + example},
		{"192.168.1.1-192.168.1.5-192.168.1.9", "'192.168.1.1-192.168.1.5-192.168.1.9' is not a range of addresses: '192.168.1.5-192.168.1.9' is not an IP address" + example},
		{"10.0.0.0/24-10.0.1.0/24", "'10.0.0.0/24-10.0.1.0/24' is not a range of addresses: '10.0.0.0/24' is not an IP address" + example},
		{"192.168.1.1,192.168.1.2", "'192.168.1.1,192.168.1.2' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"},
	}
	c := loadCRD(t, "ipaddresspools")
	for _, row := range rows {
		t.Run(row.address, func(t *testing.T) {
			c.t = t
			var want []string
			if row.want != "" {
				want = []string{fmt.Sprintf("spec.addresses[1]: Invalid value: %q: %s", row.address, row.want)}
			}
			got := c.errors("", pool(fmt.Sprintf("{addresses: [198.51.100.0/24, %q]}", row.address)))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPool(t *testing.T) {
	judge(t, loadCRD(t, "ipaddresspools"), []judgement{
		{"everything set", pool(`{addresses: [192.0.2.0/24, 2001:db8::/64], autoAssign: false, avoidBuggyIPs: true, serviceAllocation: {
			priority: 50, namespaces: [team-a, team-b], namespaceSelectors: [{matchLabels: {team: c}}],
			serviceSelectors: [{matchExpressions: [{key: app, operator: In, values: [web]}]}]}}`), nil},
		{"everything of ours set", pool(`{addresses: [192.0.2.0/24, 2001:db8::/64], reserved: ["192.0.2.1-192.0.2.9", 2001:db8::/120], retainFor: 1h30m,
			quotas: [{max: 3, namespaces: [team-a], namespaceSelectors: [{matchLabels: {team: c}}]}, {max: 0}],
			serviceAllocation: {namespaces: [team-a], evictOnSelectorChange: true}}`), nil},
		{"a reserved address without a prefix length", pool(`{addresses: [192.0.2.0/24], reserved: [192.0.2.1]}`), []string{
			`spec.reserved[0]: Invalid value: "192.0.2.1": '192.0.2.1' is a single address: write '192.0.2.1/32'`}},
		{"a reserved range that ends before it starts", pool(`{addresses: [192.0.2.0/24], reserved: [192.0.2.9-192.0.2.1]}`), []string{
			`spec.reserved[0]: Invalid value: "192.0.2.9-192.0.2.1": '192.0.2.9-192.0.2.1' ends before it starts: write '192.0.2.1-192.0.2.9'`}},
		{"days to retain for", pool(`{addresses: [192.0.2.0/24], retainFor: 1d}`), []string{
			`spec.retainFor: Invalid value: "1d": '1d' is not a time to keep addresses for: write hours, minutes or seconds, such as 24h or 90m, up to 8760h (a year)`}},
		{"a negative time to retain for", pool(`{addresses: [192.0.2.0/24], retainFor: -1h}`), []string{
			`spec.retainFor: Invalid value: "-1h": '-1h' is not a time to keep addresses for: write hours, minutes or seconds, such as 24h or 90m, up to 8760h (a year)`}},
		{"more than a year to retain for", pool(`{addresses: [192.0.2.0/24], retainFor: 8761h}`), []string{
			`spec.retainFor: Invalid value: "8761h": '8761h' is not a time to keep addresses for: write hours, minutes or seconds, such as 24h or 90m, up to 8760h (a year)`}},
		{"a quota without a number", pool(`{addresses: [192.0.2.0/24], quotas: [{namespaces: [a]}]}`), []string{`spec.quotas[0].max: Required value`}},
		{"a quota below 0", pool(`{addresses: [192.0.2.0/24], quotas: [{max: -1}]}`), []string{
			`spec.quotas[0].max: Invalid value: -1: spec.quotas[0].max in body should be greater than or equal to 0`}},
		{"a quota for a namespace that cannot exist", pool(`{addresses: [192.0.2.0/24], quotas: [{max: 1, namespaces: ["Team A"]}]}`), []string{
			`spec.quotas[0].namespaces[0]: Invalid value: "Team A": 'Team A' cannot be the name of a namespace: use lower-case letters, digits and '-'`}},
		{"only a priority", pool(`{addresses: [192.0.2.0/24], serviceAllocation: {priority: 1}}`), nil},
		{"no spec", "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: my-pool}\n", []string{`spec: Required value`}},
		{"no addresses", pool(`{}`), []string{`spec.addresses: Required value`}},
		{"an empty list of addresses", pool(`{addresses: []}`), []string{`spec.addresses: Invalid value: 0: spec.addresses in body should have at least 1 items`}},
		{"a field that does not exist", pool(`{addresses: [192.0.2.0/24], adresses: [192.0.2.0/24]}`), []string{`unknown field spec.adresses`}},
		{"one address instead of a list", pool(`{addresses: 192.0.2.0/24}`), []string{`spec.addresses: Invalid value: "string": spec.addresses in body must be of type array: "string"`}},
		{"a priority below 0", pool(`{addresses: [192.0.2.0/24], serviceAllocation: {priority: -1}}`), []string{
			`spec.serviceAllocation.priority: Invalid value: -1: spec.serviceAllocation.priority in body should be greater than or equal to 0`}},
		{"a namespace twice", pool(`{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [a, b, a]}}`), []string{
			`spec.serviceAllocation.namespaces[2]: Duplicate value: "a"`}},
		{"a namespace that cannot exist", pool(`{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: ["Team A"]}}`), []string{
			`spec.serviceAllocation.namespaces[0]: Invalid value: "Team A": 'Team A' cannot be the name of a namespace: use lower-case letters, digits and '-'`}},
		{"autoAssign as a word", pool(`{addresses: [192.0.2.0/24], autoAssign: "yes"}`), []string{
			`spec.autoAssign: Invalid value: "string": spec.autoAssign in body must be of type boolean: "string"`}},
	})
}

func TestAdvertisement(t *testing.T) {
	judge(t, loadCRD(t, "l2advertisements"), []judgement{
		{"no spec", "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: all}\n", nil},
		{"an empty spec", advertisement(`{}`), nil},
		{"everything set", advertisement(`{ipAddressPools: [a, b], ipAddressPoolSelectors: [{matchLabels: {lan: office}}], nodeSelectors: [{matchLabels: {rack: "1"}}],
			serviceSelectors: [{matchLabels: {app: web}}], interfaces: [eth0, bond0.100, enp0s31f6, "vlan@lan"],
			preferredNodeSelectors: [{weight: 100, preference: {matchLabels: {fast: "true"}}}, {weight: 1, preference: {}}]}`), nil},
		{"a pool twice", advertisement(`{ipAddressPools: [a, a]}`), []string{`spec.ipAddressPools[1]: Duplicate value: "a"`}},
		{"a pool without a name", advertisement(`{ipAddressPools: [""]}`), []string{`spec.ipAddressPools[0]: Invalid value: "": the name of a pool is empty`}},
		{"every operator", advertisement(`{nodeSelectors: [{matchExpressions: [{key: a, operator: In, values: [x]}, {key: b, operator: NotIn, values: [u, v]},
			{key: c, operator: Exists}, {key: example.com/d, operator: DoesNotExist, values: []}]}]}`), nil},
		{"an operator that does not exist", advertisement(`{nodeSelectors: [{matchExpressions: [{key: a, operator: Gt, values: ["1"]}]}]}`), []string{
			`spec.nodeSelectors[0].matchExpressions[0].operator: Unsupported value: "Gt": supported values: "In", "NotIn", "Exists", "DoesNotExist"`}},
		{"In without values", advertisement(`{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: In}]}]}`), []string{
			`spec.ipAddressPoolSelectors[0].matchExpressions[0]: Invalid value: operator In needs at least one value`}},
		{"Exists with a value", advertisement(`{serviceSelectors: [{matchExpressions: [{key: a, operator: Exists, values: [x]}]}]}`), []string{
			`spec.serviceSelectors[0].matchExpressions[0]: Invalid value: operator Exists takes no values: write In or NotIn to compare with values`}},
		{"a requirement without a key", advertisement(`{preferredNodeSelectors: [{weight: 1, preference: {matchExpressions: [{operator: Exists}]}}]}`), []string{
			`spec.preferredNodeSelectors[0].preference.matchExpressions[0].key: Required value`}},
		{"a label without the word matchLabels", advertisement(`{nodeSelectors: [{rack: "1"}]}`), []string{`unknown field spec.nodeSelectors[0].rack`}},
		{"failback", advertisement(`{failback: Always}`), nil},
		{"no failback", advertisement(`{failback: Never}`), nil},
		{"a failback that does not exist", advertisement(`{failback: Sometimes}`), []string{
			`spec.failback: Unsupported value: "Sometimes": supported values: "Never", "Always"`}},
		{"an interface twice", advertisement(`{interfaces: [eth0, eth1, eth0]}`), []string{`spec.interfaces[2]: Duplicate value: "eth0"`}},
		{"an interface name that is too long", advertisement(`{interfaces: [averylonginterface]}`), []string{
			`spec.interfaces[0]: Invalid value: "averylonginterface": 'averylonginterface' cannot be the name of a network interface: names have 1 to 15 characters without '/' and spaces`}},
		{"an interface name with a slash", advertisement(`{interfaces: [eth0/1]}`), []string{
			`spec.interfaces[0]: Invalid value: "eth0/1": 'eth0/1' cannot be the name of a network interface: names have 1 to 15 characters without '/' and spaces`}},
		{"two interfaces in one entry", advertisement(`{interfaces: ["eth0 eth1"]}`), []string{
			`spec.interfaces[0]: Invalid value: "eth0 eth1": 'eth0 eth1' cannot be the name of a network interface: names have 1 to 15 characters without '/' and spaces`}},
		{"a weight of 0", advertisement(`{preferredNodeSelectors: [{weight: 0, preference: {}}]}`), []string{
			`spec.preferredNodeSelectors[0].weight: Invalid value: 0: spec.preferredNodeSelectors[0].weight in body should be greater than or equal to 1`}},
		{"a weight of 101", advertisement(`{preferredNodeSelectors: [{weight: 101, preference: {}}]}`), []string{
			`spec.preferredNodeSelectors[0].weight: Invalid value: 101: spec.preferredNodeSelectors[0].weight in body should be less than or equal to 100`}},
		{"a preference without a weight", advertisement(`{preferredNodeSelectors: [{preference: {}}]}`), []string{`spec.preferredNodeSelectors[0].weight: Required value`}},
	})
}

func TestServiceL2StatusFollowsItsAddresses(t *testing.T) {
	c := loadCRD(t, "servicel2statuses")
	object := func(status string) string {
		return "apiVersion: metallb.io/v1beta1\nkind: ServiceL2Status\nmetadata: {name: default.web, namespace: metallb-system, resourceVersion: \"1\"}\nspec: {}\nstatus: " + status + "\n"
	}
	old := object(`{node: node1, serviceName: web, serviceNamespace: default, interfaces: [{name: eth0}]}`)
	for _, row := range []judgement{
		{"another interface", `{node: node1, serviceName: web, serviceNamespace: default, interfaces: [{name: eth1}]}`, nil},
		{"another node, and how it came to that", `{node: node2, serviceName: web, serviceNamespace: default, interfaces: [{name: eth0}],
			addresses: [{address: 192.0.2.1, since: "2026-01-02T03:04:05Z", cause: death, from: node1, standby: node3}, {address: "2001:db8::1"}],
			macs: ["02:00:5e:10:00:01"]}`, nil},
		{"an entry without address", `{node: node2, addresses: [{cause: death}]}`, []string{`status.addresses[0].address: Required value`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c.t = t
			if diff := cmp.Diff(row.want, c.errors(old, object(row.yaml))); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

// The dearest addresses there can be, as many as there can be: an API server that ran out of its budget would refuse a pool
// in which nothing is wrong.
func TestLargestPoolFitsTheCostBudget(t *testing.T) {
	c := loadCRD(t, "ipaddresspools")
	var addresses []string
	for i := range 1024 {
		addresses = append(addresses, fmt.Sprintf(`"2001:0db8:0000:0000:0000:0000:%04x:0000 - 2001:0db8:0000:0000:0000:0000:%04x:ffff"`, i, i))
	}
	if got := c.errors("", pool("{addresses: ["+strings.Join(addresses, ", ")+"]}")); got != nil {
		t.Errorf("1024 long IPv6 ranges are refused: %v", got[0])
	}
	if got := c.errors("", pool("{addresses: ["+strings.Join(addresses, ", ")+"], reserved: ["+strings.Join(addresses[:256], ", ")+"]}")); got != nil {
		t.Errorf("256 of them, reserved, are refused: %v", got[0])
	}
	addresses = append(addresses, "192.0.2.0/24")
	want := []string{"spec.addresses: Too many: 1025: must have at most 1024 items"}
	if diff := cmp.Diff(want, c.errors("", pool("{addresses: ["+strings.Join(addresses, ", ")+"]}"))); diff != "" {
		t.Errorf("1025 entries (-want +got):\n%s", diff)
	}
}

// Every object of our kinds in config/samples is accepted. That a cluster takes them, and the Services in them, is for the lab.
func TestSamplesAreValid(t *testing.T) {
	judges := map[string]*crd{"IPAddressPool": loadCRD(t, "ipaddresspools"), "L2Advertisement": loadCRD(t, "l2advertisements")}
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "samples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	judged := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split("\n"+string(data), "\n---") {
			for kind, c := range judges {
				if !strings.Contains(document, "\nkind: "+kind+"\n") {
					continue
				}
				judged[kind]++
				if errs := c.errors("", document); errs != nil {
					t.Errorf("%s: %s is refused: %v", filepath.Base(file), kind, errs)
				}
			}
		}
	}
	if judged["IPAddressPool"] < 2 || judged["L2Advertisement"] < 2 {
		t.Errorf("judged %v, want two of each", judged)
	}
}

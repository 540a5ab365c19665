package adopt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/doctor"
)

// kind is one of MetalLB's that Steelyard does not serve.
type kind struct {
	name, what, do string
	changes        bool
}

// Kinds are the names of the kinds that Others shall hold.
func Kinds() []string {
	var out []string
	for _, k := range kinds() {
		out = append(out, k.name)
	}
	return out
}

func kinds() []kind {
	const bgp = "Steelyard announces by ARP and NDP, not by BGP"
	return []kind{
		{name: "BGPPeer", what: "its session ends: " + bgp, changes: true},
		{name: "BGPAdvertisement", what: "its routes go: " + bgp, changes: true},
		{name: "BFDProfile", what: "means nothing without a BGPPeer"},
		{name: "Community", what: "means nothing without a BGPAdvertisement"},
		{name: "AddressPool", what: "a kind of old versions; its addresses are in no pool of Steelyard", do: "write it as an IPAddressPool and an L2Advertisement", changes: true},
		{name: "ServiceBGPStatus", what: "a status that nobody writes any more", do: "kubectl -n %s delete servicebgpstatus %s"},
		{name: "ConfigurationState", what: "a status that nobody writes any more; IPAddressPools have conditions of their own", do: "kubectl -n %s delete configurationstate %s"},
	}
}

// settings lists what is not taken over by itself.
func (c Cluster) settings(plan allocate.Result) []Setting {
	out := []Setting{}
	for _, u := range plan.Pools {
		for _, p := range u.Problems {
			out = append(out, Setting{Where: "IPAddressPool " + u.Pool, What: string(p.Reason) + ": " + p.Message, Changes: true})
		}
	}
	for _, ad := range c.Advertisements {
		for _, p := range ad.Problems {
			out = append(out, Setting{Where: "L2Advertisement " + ad.Name, What: string(p.Reason) + ": " + p.Message, Changes: true})
		}
	}
	for _, o := range c.Others {
		at := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == o.Kind })
		if at < 0 {
			continue
		}
		k := kinds()[at]
		do := k.do
		if strings.Contains(do, "%s") {
			do = fmt.Sprintf(do, o.Namespace, o.Name)
		}
		out = append(out, Setting{Where: fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name), What: k.what, Do: do, Changes: k.changes})
	}
	for _, w := range c.Workloads {
		out = append(out, flags(w)...)
	}
	for _, u := range c.Unread {
		out = append(out, Setting{Where: u.What, What: "could not be read, so MetalLB's flags may not be known: " + u.Why})
	}
	return append(out, c.excluded()...)
}

// flags are the settings of MetalLB's processes that Steelyard's chart has a value for, or has not.
func flags(w doctor.Workload) []Setting {
	where := fmt.Sprintf("%s %s/%s", w.Kind, w.Namespace, w.Name)
	var out []Setting
	for _, text := range slices.Concat(w.Args, w.Env) {
		name, value, _ := strings.Cut(text, "=")
		s := Setting{Where: where}
		switch name {
		case "--lb-class":
			s.What, s.Do = "serves a class", "--set loadBalancerClass="+value
		case "--ignore-exclude-lb":
			if value == "false" {
				continue
			}
			s.What, s.Do = "lets nodes answer that are labelled node.kubernetes.io/exclude-from-external-load-balancers", "--set speaker.ignoreExcludeLB=true"
		case "--ml-bindport", "METALLB_ML_BIND_PORT":
			s.What = fmt.Sprintf("gossips on port %s; Steelyard's speakers have a port of their own, to be opened in the nodes' firewalls", value)
		case "--ml-wan-config":
			s.What, s.Do = "gossips over long distances", "--set gossip.profile=wan"
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

// defaultExcluded are the patterns that MetalLB's charts and manifests write, and that Steelyard's speakers have built in.
func defaultExcluded() []string {
	return []string{"^docker.*", "^cbr.*", "^dummy.*", "^virbr.*", "^lxcbr.*", "^veth.*", "^lo$", "^cali.*", "^tunl.*", "^flannel.*", "^kube-ipvs.*", "^cni.*", "^nodelocaldns.*", "^lxc.*"}
}

// excluded is the setting that keeps interfaces out, when it is not the default.
func (c Cluster) excluded() []Setting {
	theirs, ours := slices.Sorted(slices.Values(c.Excluded)), slices.Sorted(slices.Values(defaultExcluded()))
	if c.Excluded == nil || slices.Equal(theirs, ours) {
		return nil
	}
	raw, err := json.Marshal(c.Excluded)
	if err != nil { // strings are never refused
		return nil
	}
	return []Setting{{Where: "ConfigMap metallb-excludel2", What: "names interfaces that are never used, others than the built-in ones",
		Do: fmt.Sprintf("--set-json 'speaker.excludeInterfaces=%s'", raw)}}
}

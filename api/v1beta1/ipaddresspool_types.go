package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The rules on addresses below are long because CEL has no order on IP
// addresses. Each begins by excluding what another rule reports, so that one
// mistake gives one message. In their order: an entry without "-" is a CIDR;
// an entry with "-" has an address on each side; of one family; IPv4 ends
// compared as numbers; IPv6 ends compared group by group, after "::" is
// written out as zero groups and each group of hex digits is made a number. An
// IPv6 range with a dotted quad in it is compared by the controller alone. The
// API server bounds the cost of a rule from maxItems and maxLength.

// IPAddressPoolSpec says which addresses may be given to Services, and to
// which Services.
type IPAddressPoolSpec struct {
	// Addresses are the ranges of the pool, in the order in which they are used: a
	// CIDR ("192.0.2.0/24", "2001:db8::/64", "192.0.2.7/32" for one address) or
	// first and last address ("192.0.2.10-192.0.2.20"; spaces around "-" are
	// allowed). Host bits of a CIDR are ignored. Both families may be mixed in the
	// list, not in one range. Every address of a CIDR is used, its first and last
	// too, unless avoidBuggyIPs is set. An address that an older pool has as well
	// is used there only; see status.conditions. A Service keeps its address as
	// long as some pool contains it; one whose address is taken out of all pools
	// gets another.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule=`self.contains('-') || isCIDR(self)`,messageExpression=`isIP(self) ? "'" + self + "' is a single address: write '" + self + (ip(self).family() == 4 ? "/32'" : "/128'") : self.contains('/') && isIP(self.substring(0, self.indexOf('/'))) ? "'" + self + "' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6" : self.lowerAscii().startsWith('::ffff:') ? "'" + self + "' is an IPv4-mapped IPv6 address: write the IPv4 address, such as 192.0.2.0/24" : "'" + self + "' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || (isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim()))`,messageExpression=`"'" + self + "' is not a range of addresses: '" + (isIP(self.substring(0, self.indexOf('-')).trim()) ? self.substring(self.indexOf('-') + 1).trim() : self.substring(0, self.indexOf('-')).trim()) + "' is not an IP address; write the first and the last one, such as 192.0.2.10-192.0.2.20"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || ip(self.substring(0, self.indexOf('-')).trim()).family() == ip(self.substring(self.indexOf('-') + 1).trim()).family()`,messageExpression=`"'" + self + "' mixes IPv4 and IPv6: both ends of a range must be of one family"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || ip(self.substring(0, self.indexOf('-')).trim()).family() == 6 || ip(self.substring(self.indexOf('-') + 1).trim()).family() == 6 || [self.substring(0, self.indexOf('-')).trim().split('.', 4).map(g, int(g))].all(x, [self.substring(self.indexOf('-') + 1).trim().split('.', 4).map(g, int(g))].all(y, x[0] * 16777216 + x[1] * 65536 + x[2] * 256 + x[3] <= y[0] * 16777216 + y[1] * 65536 + y[2] * 256 + y[3]))`,messageExpression=`"'" + self + "' ends before it starts: write '" + self.substring(self.indexOf('-') + 1).trim() + "-" + self.substring(0, self.indexOf('-')).trim() + "'"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || self.contains('.') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || [self.substring(0, self.indexOf('-')).trim().lowerAscii().replace('::', (size(self.substring(0, self.indexOf('-')).trim().split(':')) > 8 ? ':' : ':' + '0:0:0:0:0:'.substring(0, 16 - 2 * size(self.substring(0, self.indexOf('-')).trim().split(':'))) + ':')).split(':', 8).map(g, (size(g) > 0 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 1)) * 1 : 0) + (size(g) > 1 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 2)) * 16 : 0) + (size(g) > 2 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 3)) * 256 : 0) + (size(g) > 3 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 4)) * 4096 : 0))].all(x, [self.substring(self.indexOf('-') + 1).trim().lowerAscii().replace('::', (size(self.substring(self.indexOf('-') + 1).trim().split(':')) > 8 ? ':' : ':' + '0:0:0:0:0:'.substring(0, 16 - 2 * size(self.substring(self.indexOf('-') + 1).trim().split(':'))) + ':')).split(':', 8).map(g, (size(g) > 0 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 1)) * 1 : 0) + (size(g) > 1 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 2)) * 16 : 0) + (size(g) > 2 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 3)) * 256 : 0) + (size(g) > 3 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 4)) * 4096 : 0))].all(y, [0, 1, 2, 3, 4, 5, 6, 7].all(i, x[i] <= y[i] || [0, 1, 2, 3, 4, 5, 6, 7].exists(j, j < i && x[j] < y[j]))))`,messageExpression=`"'" + self + "' ends before it starts: write '" + self.substring(self.indexOf('-') + 1).trim() + "-" + self.substring(0, self.indexOf('-')).trim() + "'"`
	// +listType=atomic
	Addresses []string `json:"addresses"`

	// AutoAssign lets the pool serve Services that ask for no pool and no address.
	// When false, only a Service that asks is served: for the pool, by the
	// annotation metallb.io/address-pool, or for an address, by the annotation
	// metallb.io/loadBalancerIPs. Whoever has an address keeps it when this changes.
	// +optional
	// +kubebuilder:default:=true
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255, which some
	// old equipment does not accept.
	// +optional
	// +kubebuilder:default:=false
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// ServiceAllocation restricts the pool to some Services, and says in which order
	// they try the pools that they may use. Without it every Service may use the
	// pool, after those pools that have a serviceAllocation and admit it. It does
	// not bind the Services to this pool: when it is full they get an address from
	// another one.
	// +optional
	AllocateTo *ServiceAllocation `json:"serviceAllocation,omitempty"`

	// Reserved are ranges of the pool that are not handed out by themselves, such
	// as "192.0.2.1-192.0.2.9": only a Service that asks for such an address, by the
	// annotation metallb.io/loadBalancerIPs, gets it. Asking for the pool, or
	// sharing a key with who has the address, is not enough. They are written like
	// the entries of addresses; what of them lies outside of addresses means
	// nothing. Reserved addresses do not count as available. A Service that has an
	// address keeps it when the address becomes reserved.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule=`self.contains('-') || isCIDR(self)`,messageExpression=`isIP(self) ? "'" + self + "' is a single address: write '" + self + (ip(self).family() == 4 ? "/32'" : "/128'") : self.contains('/') && isIP(self.substring(0, self.indexOf('/'))) ? "'" + self + "' has a wrong prefix length: it is 0 to 32 for IPv4 and 0 to 128 for IPv6" : self.lowerAscii().startsWith('::ffff:') ? "'" + self + "' is an IPv4-mapped IPv6 address: write the IPv4 address, such as 192.0.2.0/24" : "'" + self + "' is neither a CIDR, such as 192.0.2.0/24 or 2001:db8::/64, nor a range, such as 192.0.2.10-192.0.2.20"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || (isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim()))`,messageExpression=`"'" + self + "' is not a range of addresses: '" + (isIP(self.substring(0, self.indexOf('-')).trim()) ? self.substring(self.indexOf('-') + 1).trim() : self.substring(0, self.indexOf('-')).trim()) + "' is not an IP address; write the first and the last one, such as 192.0.2.10-192.0.2.20"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || ip(self.substring(0, self.indexOf('-')).trim()).family() == ip(self.substring(self.indexOf('-') + 1).trim()).family()`,messageExpression=`"'" + self + "' mixes IPv4 and IPv6: both ends of a range must be of one family"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || ip(self.substring(0, self.indexOf('-')).trim()).family() == 6 || ip(self.substring(self.indexOf('-') + 1).trim()).family() == 6 || [self.substring(0, self.indexOf('-')).trim().split('.', 4).map(g, int(g))].all(x, [self.substring(self.indexOf('-') + 1).trim().split('.', 4).map(g, int(g))].all(y, x[0] * 16777216 + x[1] * 65536 + x[2] * 256 + x[3] <= y[0] * 16777216 + y[1] * 65536 + y[2] * 256 + y[3]))`,messageExpression=`"'" + self + "' ends before it starts: write '" + self.substring(self.indexOf('-') + 1).trim() + "-" + self.substring(0, self.indexOf('-')).trim() + "'"`
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('-') || self.contains('.') || !(isIP(self.substring(0, self.indexOf('-')).trim()) && isIP(self.substring(self.indexOf('-') + 1).trim())) || [self.substring(0, self.indexOf('-')).trim().lowerAscii().replace('::', (size(self.substring(0, self.indexOf('-')).trim().split(':')) > 8 ? ':' : ':' + '0:0:0:0:0:'.substring(0, 16 - 2 * size(self.substring(0, self.indexOf('-')).trim().split(':'))) + ':')).split(':', 8).map(g, (size(g) > 0 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 1)) * 1 : 0) + (size(g) > 1 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 2)) * 16 : 0) + (size(g) > 2 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 3)) * 256 : 0) + (size(g) > 3 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 4)) * 4096 : 0))].all(x, [self.substring(self.indexOf('-') + 1).trim().lowerAscii().replace('::', (size(self.substring(self.indexOf('-') + 1).trim().split(':')) > 8 ? ':' : ':' + '0:0:0:0:0:'.substring(0, 16 - 2 * size(self.substring(self.indexOf('-') + 1).trim().split(':'))) + ':')).split(':', 8).map(g, (size(g) > 0 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 1)) * 1 : 0) + (size(g) > 1 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 2)) * 16 : 0) + (size(g) > 2 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 3)) * 256 : 0) + (size(g) > 3 ? '0123456789abcdef'.indexOf(g.charAt(size(g) - 4)) * 4096 : 0))].all(y, [0, 1, 2, 3, 4, 5, 6, 7].all(i, x[i] <= y[i] || [0, 1, 2, 3, 4, 5, 6, 7].exists(j, j < i && x[j] < y[j]))))`,messageExpression=`"'" + self + "' ends before it starts: write '" + self.substring(self.indexOf('-') + 1).trim() + "-" + self.substring(0, self.indexOf('-')).trim() + "'"`
	Reserved []string `json:"reserved,omitempty"`

	// RetainFor is how long the address of a deleted Service is kept for it, such as
	// "10m" or "24h": a Service that is created with the same namespace and name in
	// that time gets the address back, unless it asks for another. Meanwhile nobody
	// else gets it, not even by asking for it. The addresses that are kept are
	// listed in status.retained, 256 at most; when there are more, those whose time
	// ends first are let go. Without retainFor nothing is kept, and removing it ends
	// what is kept. A Service that is deleted while no controller runs is not seen,
	// and its address not kept.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+([.][0-9]+)?(s|m|h))+$') && duration(self) <= duration('8760h')`,messageExpression=`"'" + self + "' is not a time to keep addresses for: write hours, minutes or seconds, such as 24h or 90m, up to 8760h (a year)"`
	RetainFor *metav1.Duration `json:"retainFor,omitempty"`

	// Quotas bound how many addresses of this pool the Services of a group of
	// namespaces may hold together. A Service that would exceed a quota gets an
	// address from another pool, or waits with the reason QuotaExceeded. Whoever
	// has an address keeps it, also when the quota is lowered. When several quotas
	// apply to a namespace, all of them must hold. To give each namespace a quota
	// of its own, write an entry for each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Quotas []Quota `json:"quotas,omitempty"`
}

// Quota bounds the addresses that the Services of a group of namespaces may
// hold from a pool. The group is the listed and the selected namespaces
// together; with neither, every namespace.
type Quota struct {
	// Namespaces lists namespaces of the group.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,messageExpression=`"'" + self + "' cannot be the name of a namespace: use lower-case letters, digits and '-'"`
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelectors select namespaces of the group by label, in addition to
	// the listed ones.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	NamespaceSelectors []LabelSelector `json:"namespaceSelectors,omitempty"`

	// Max is the number of addresses that the group may hold. Each counts once,
	// whatever its family and however many Services of the group share it; one that
	// is shared with Services of another group counts there too. 0 admits none.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Max int `json:"max"`
}

// ServiceAllocation says which Services may use a pool: those in a listed or
// selected namespace that also match one of the service selectors. What is
// left empty does not restrict; a selector that matches nothing admits nobody.
type ServiceAllocation struct {
	// Priority orders the pools with a serviceAllocation that admits the Service: 1
	// is tried first, higher numbers later, 0 (no priority) after them; equal ones
	// by name. Pools without serviceAllocation come last. A priority without any of
	// the lists below restricts nobody.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Priority int `json:"priority,omitempty"`

	// Namespaces lists the namespaces whose Services may use the pool.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,messageExpression=`"'" + self + "' cannot be the name of a namespace: use lower-case letters, digits and '-'"`
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelectors select namespaces by label, in addition to the listed
	// ones.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	NamespaceSelectors []LabelSelector `json:"namespaceSelectors,omitempty"`

	// ServiceSelectors select Services by label; one that matches is enough.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	ServiceSelectors []LabelSelector `json:"serviceSelectors,omitempty"`

	// EvictOnSelectorChange takes the address from a Service that the pool does
	// not admit any more because its labels, those of its namespace, or the lists
	// of this serviceAllocation changed; it gets an address from another pool, or
	// waits. When false, such a Service keeps its address and its condition says so.
	// autoAssign and priority never take an address away.
	// +optional
	// +kubebuilder:default:=false
	EvictOnSelectorChange bool `json:"evictOnSelectorChange,omitempty"`
}

// IPAddressPoolStatus counts the addresses of a pool. A shared address counts
// once. Counts beyond 9223372036854775807 (as of a large IPv6 range) are shown
// as that number.
type IPAddressPoolStatus struct {
	// AssignedIPv4 is the number of IPv4 addresses that Services hold.
	AssignedIPv4 int64 `json:"assignedIPv4"`
	// AssignedIPv6 is the number of IPv6 addresses that Services hold.
	AssignedIPv6 int64 `json:"assignedIPv6"`
	// AvailableIPv4 is the number of IPv4 addresses that could be handed out:
	// those that are free, not reserved, not retained and not in conflict.
	AvailableIPv4 int64 `json:"availableIPv4"`
	// AvailableIPv6 is the number of IPv6 addresses that could be handed out.
	AvailableIPv6 int64 `json:"availableIPv6"`

	// Retained are the addresses that are kept for Services that were deleted; see
	// spec.retainFor.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Retained []RetainedAddress `json:"retained,omitempty"`

	// Conflicts are the addresses that something else on the LAN answers for, 64 at
	// most. Such an address is not handed out until 10 minutes after that was last
	// seen, except to a Service that asks for it by the annotation
	// metallb.io/loadBalancerIPs; a Service that has one keeps it. Find the machine
	// by its MAC, or put the address into spec.reserved.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Conflicts []AddressConflict `json:"conflicts,omitempty"`

	// Conditions say whether the pool works as written; the message of each says
	// what to mend. "Ready" is True when nothing is wrong, and else False with the
	// reason "Invalid" (an entry or a selector cannot be read, and the others are
	// used), "Overlap" or "Exhausted". "Overlap" is True while an older pool has
	// some of the addresses too, which are used there only. "Exhausted" is True
	// while a Service waits because no address is free. "Conflict" is True while
	// status.conflicts has entries.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RetainedAddress is an address that is kept for a deleted Service.
type RetainedAddress struct {
	// Address is what is kept.
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// Namespace is that of the Service that it is kept for.
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Name is that of the Service that it is kept for.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Until is when the time of spec.retainFor ends, and anybody may have it.
	Until metav1.Time `json:"until"`
}

// AddressConflict is an address that something else on the LAN answers for.
type AddressConflict struct {
	// Address is the one that has two users.
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// MAC is the hardware address of the stranger, if it is known.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MAC string `json:"mac,omitempty"`
	// Node is the one whose speaker saw the stranger.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`
	// Until is when the conflict is forgotten unless it is seen again.
	Until metav1.Time `json:"until"`
}

// IPAddressPool is a set of addresses that Steelyard may give to Services of
// type LoadBalancer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Auto Assign",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Avoid Buggy IPs",type=boolean,JSONPath=`.spec.avoidBuggyIPs`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Assigned IPv4",type=integer,JSONPath=`.status.assignedIPv4`
// +kubebuilder:printcolumn:name="Available IPv4",type=integer,JSONPath=`.status.availableIPv4`
// +kubebuilder:printcolumn:name="Assigned IPv6",type=integer,JSONPath=`.status.assignedIPv6`
// +kubebuilder:printcolumn:name="Available IPv6",type=integer,JSONPath=`.status.availableIPv6`
// +kubebuilder:printcolumn:name="Ready",type=string,priority=10,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IPAddressPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants: which addresses, for whom.
	Spec IPAddressPoolSpec `json:"spec"`
	// Status is written by the controller: how many addresses are in use, and
	// whether the pool works as written.
	// +optional
	Status IPAddressPoolStatus `json:"status,omitempty"`
}

// IPAddressPoolList is a list of pools.
//
// +kubebuilder:object:root=true
type IPAddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAddressPool `json:"items"`
}

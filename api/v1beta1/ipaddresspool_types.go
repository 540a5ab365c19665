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
	// too, unless avoidBuggyIPs is set.
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

	// AutoAssign lets the pool serve Services that do not name a pool. When false,
	// a Service gets an address from here only by asking for it: by the annotation
	// metallb.io/address-pool or by requesting an address.
	// +optional
	// +kubebuilder:default:=true
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255, which some
	// old equipment does not accept.
	// +optional
	// +kubebuilder:default:=false
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// AllocateTo reserves the pool for some Services and orders it among the pools
	// that they may use.
	// +optional
	AllocateTo *ServiceAllocation `json:"serviceAllocation,omitempty"`

	// Reserved are ranges of the pool that are never handed out on their own:
	// only a Service that requests such an address by number gets it. Written as
	// addresses are. Reserved addresses are not counted as available, and what
	// lies outside of addresses means nothing. A Service that has an address keeps
	// it when the address becomes reserved.
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

	// RetainFor keeps the address of a deleted Service for a Service of the same
	// namespace and name, for so long, such as "10m" or "24h": when it is created
	// again it gets its address back. Nobody else gets it meanwhile, by request
	// neither. The addresses kept are in status.retained, 256 at most; of more,
	// those that end first are let go. Without retainFor, or when it is removed,
	// nothing is kept. What is deleted while no controller runs is not seen and not
	// kept.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]+([.][0-9]+)?(s|m|h))+$') && duration(self) <= duration('8760h')`,messageExpression=`"'" + self + "' is not a time to keep addresses for: write hours, minutes or seconds, such as 24h or 90m, up to 8760h (a year)"`
	RetainFor *metav1.Duration `json:"retainFor,omitempty"`

	// Quotas bound how many addresses of this pool the Services of some namespaces
	// may hold together. A Service over a quota waits; one that has an address
	// keeps it, also when the quota is lowered. When several quotas apply to a
	// namespace, all of them must hold.
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
	// whatever its family and however many Services share it. 0 admits none.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Max int `json:"max"`
}

// ServiceAllocation says which Services may use a pool: those in a listed or
// selected namespace that also match one of the service selectors. What is
// left empty does not restrict.
type ServiceAllocation struct {
	// Priority orders the pools that a Service may use: 1 is asked first, higher
	// numbers later, 0 (no priority) last.
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
	// not admit any more, because its labels, its namespace or the lists above
	// changed. When false, such a Service keeps its address and its condition says
	// so. autoAssign and priority never take an address away.
	// +optional
	// +kubebuilder:default:=false
	EvictOnSelectorChange bool `json:"evictOnSelectorChange,omitempty"`
}

// IPAddressPoolStatus counts the addresses of a pool. Counts that do not fit
// are shown as the largest number that does.
type IPAddressPoolStatus struct {
	// AssignedIPv4 is the number of IPv4 addresses that Services hold.
	AssignedIPv4 int64 `json:"assignedIPv4"`
	// AssignedIPv6 is the number of IPv6 addresses that Services hold.
	AssignedIPv6 int64 `json:"assignedIPv6"`
	// AvailableIPv4 is the number of IPv4 addresses that any Service could be
	// given: free, not reserved, not retained and not in conflict.
	AvailableIPv4 int64 `json:"availableIPv4"`
	// AvailableIPv6 is the same of IPv6 addresses.
	AvailableIPv6 int64 `json:"availableIPv6"`

	// Retained are the addresses that are kept for Services that were deleted; see
	// spec.retainFor.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Retained []RetainedAddress `json:"retained,omitempty"`

	// Conflicts are the addresses that something else on the LAN answers for. They
	// are not handed out until some time after they were last seen; a Service that
	// has one keeps it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Conflicts []AddressConflict `json:"conflicts,omitempty"`

	// Conditions say whether the pool works as written. "Ready" is True when
	// nothing is wrong, and else False with the reason "Invalid", "Overlap" or
	// "Exhausted". "Overlap": part of it belongs to an older pool, which alone uses
	// that part. "Exhausted": a Service waits and no address is free. "Conflict":
	// something else on the LAN answers for one of its addresses.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RetainedAddress is an address that is kept for a deleted Service.
type RetainedAddress struct {
	// Address that is kept.
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// Namespace of the Service that it is kept for.
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Name of the Service that it is kept for.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Until is when anybody may have it again.
	Until metav1.Time `json:"until"`
}

// AddressConflict is an address that something else on the LAN answers for.
type AddressConflict struct {
	// Address in conflict.
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// MAC is the hardware address of the stranger, if it is known.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MAC string `json:"mac,omitempty"`
	// Node whose speaker saw it.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`
	// Until is when it is forgotten unless it is seen again.
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

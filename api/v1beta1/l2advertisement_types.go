package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// L2AdvertisementSpec says which addresses are announced by ARP and NDP, from
// which nodes and on which interfaces.
type L2AdvertisementSpec struct {
	// IPAddressPools names the pools whose addresses are announced. With neither
	// this nor ipAddressPoolSelectors, all are.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule=`self != ''`,message="the name of a pool is empty"
	IPAddressPools []string `json:"ipAddressPools,omitempty"`

	// IPAddressPoolSelectors select pools by label, in addition to the named ones.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	IPAddressPoolSelectors []LabelSelector `json:"ipAddressPoolSelectors,omitempty"`

	// NodeSelectors limit the nodes that may announce; one that matches is enough.
	// Empty admits every node.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	NodeSelectors []LabelSelector `json:"nodeSelectors,omitempty"`

	// Interfaces limit the network interfaces, by name, on which the addresses are
	// announced. Empty admits every one. A node that has none of them does not
	// announce.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule=`self != '' && size(self) <= 15 && !self.matches('[/[:space:]]')`,messageExpression=`"'" + self + "' cannot be the name of a network interface: names have 1 to 15 characters without '/' and spaces"`
	Interfaces []string `json:"interfaces,omitempty"`

	// ServiceSelectors limit the Services whose addresses are announced; one that
	// matches is enough. Empty admits every one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	ServiceSelectors []LabelSelector `json:"serviceSelectors,omitempty"`

	// PreferredNodeSelectors prefer some nodes among those that may announce: the
	// weights of all matching entries are added up, and the highest sum wins.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	PreferredNodeSelectors []NodePreference `json:"preferredNodeSelectors,omitempty"`

	// Failback says what becomes of an address whose node failed, when that node
	// is back. "Never": it stays where it went, so that a reboot moves it once and
	// not twice. "Always": it moves back to the node that comes first, as in
	// MetalLB. It is about nodes of equal weight: a node that
	// preferredNodeSelectors prefer always gets its addresses back.
	// +optional
	// +kubebuilder:default:=Never
	Failback Failback `json:"failback,omitempty"`
}

// Failback says whether an address moves back.
//
// +kubebuilder:validation:Enum=Never;Always
type Failback string

// The values of Failback.
const (
	FailbackNever  Failback = "Never"
	FailbackAlways Failback = "Always"
)

// NodePreference gives a weight to the nodes that match.
type NodePreference struct {
	// Weight is added to the score of a matching node.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`

	// Preference selects nodes by label.
	Preference LabelSelector `json:"preference"`
}

// L2AdvertisementStatus is empty: who announces what is in the ServiceL2Status
// objects.
type L2AdvertisementStatus struct{}

// L2Advertisement makes the addresses of pools answer on the LAN.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Interfaces",type=string,JSONPath=`.spec.interfaces`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`,priority=10
// +kubebuilder:printcolumn:name="Failback",type=string,JSONPath=`.spec.failback`,priority=10
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type L2Advertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants; an empty one announces every pool from every
	// node on every interface.
	// +optional
	Spec L2AdvertisementSpec `json:"spec,omitempty"`
	// +optional
	Status L2AdvertisementStatus `json:"status,omitempty"`
}

// L2AdvertisementList is a list of advertisements.
//
// +kubebuilder:object:root=true
type L2AdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []L2Advertisement `json:"items"`
}

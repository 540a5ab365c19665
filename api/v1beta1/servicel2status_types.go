package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceL2StatusSpec is empty: the object only reports.
type ServiceL2StatusSpec struct{}

// ServiceL2StatusStatus says which node answers for a Service, and since when.
type ServiceL2StatusStatus struct {
	// Node answers for the addresses below. When they move, this changes: the
	// object stays.
	// +optional
	Node string `json:"node,omitempty"`
	// ServiceName is the name of the Service.
	// +optional
	ServiceName string `json:"serviceName,omitempty"`
	// ServiceNamespace is the namespace of the Service.
	// +optional
	ServiceNamespace string `json:"serviceNamespace,omitempty"`
	// Interfaces are those on which the node answers.
	// +optional
	Interfaces []InterfaceInfo `json:"interfaces,omitempty"`

	// Addresses are those of the Service that the node answers for. Each address
	// has a node of its own: when the two addresses of a dual-stack Service are
	// on different nodes, there is an object for each of the two.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Addresses []AddressOwnership `json:"addresses,omitempty"`
	// MACs are the hardware addresses that the node's answers on these interfaces
	// can carry, those of a bond's members too.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=64
	MACs []string `json:"macs,omitempty"`
}

// AddressOwnership tells how a node came to answer for an address.
type AddressOwnership struct {
	// Address that the node answers for.
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// Since is when the node took it.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Cause says why the node took it. "free": nobody had it. "death": the node
	// before died. "hold-expired": its speaker did not come back in time.
	// "ineligible": it may not have the address any more. "preferred": this node is
	// preferred, or the advertisement says failback: Always. "requested": the
	// Service asks for this node. "rebalance": the node before had more than its
	// share. "shutdown": it went out of service.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Cause string `json:"cause,omitempty"`
	// From is the node that had the address before, if there was one.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	From string `json:"from,omitempty"`
	// Standby is the node that takes the address if this one dies.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Standby string `json:"standby,omitempty"`
}

// InterfaceInfo names a network interface of the node.
type InterfaceInfo struct {
	// Name as the node's kernel has it.
	// +optional
	Name string `json:"name,omitempty"`
}

// ServiceL2Status tells which node answers for a Service; the speaker of that
// node writes it. Its name is NAMESPACE.NAME of the Service; a second one,
// NAMESPACE.NAME.2, is there while another node answers for the Service's second
// address.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Allocated Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0].address`
// +kubebuilder:printcolumn:name="Second Address",type=string,priority=10,JSONPath=`.status.addresses[1].address`
// +kubebuilder:printcolumn:name="Standby",type=string,JSONPath=`.status.addresses[0].standby`
// +kubebuilder:printcolumn:name="Cause",type=string,priority=10,JSONPath=`.status.addresses[0].cause`
// +kubebuilder:printcolumn:name="From",type=string,priority=10,JSONPath=`.status.addresses[0].from`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.addresses[0].since`
type ServiceL2Status struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ServiceL2StatusSpec   `json:"spec,omitempty"`
	Status ServiceL2StatusStatus `json:"status,omitempty"`
}

// ServiceL2StatusList is a list of status objects.
//
// +kubebuilder:object:root=true
type ServiceL2StatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceL2Status `json:"items"`
}

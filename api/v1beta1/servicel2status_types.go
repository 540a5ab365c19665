package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceL2StatusSpec is empty: the object only reports.
type ServiceL2StatusSpec struct{}

// ServiceL2StatusStatus says which node answers for a Service.
type ServiceL2StatusStatus struct {
	// Node answers for the Service's addresses.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the node of a ServiceL2Status cannot change: the new owner writes an object of its own"
	Node string `json:"node,omitempty"`
	// ServiceName is the name of the Service.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serviceName cannot change"
	ServiceName string `json:"serviceName,omitempty"`
	// ServiceNamespace is the namespace of the Service.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serviceNamespace cannot change"
	ServiceNamespace string `json:"serviceNamespace,omitempty"`
	// Interfaces are those on which the node answers.
	// +optional
	Interfaces []InterfaceInfo `json:"interfaces,omitempty"`
}

// InterfaceInfo names a network interface of the node.
type InterfaceInfo struct {
	// Name as the node's kernel has it.
	// +optional
	Name string `json:"name,omitempty"`
}

// ServiceL2Status tells which node answers for a Service; the speaker of that
// node writes it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Allocated Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
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

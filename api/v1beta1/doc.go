// Package v1beta1 is the API of Steelyard: the kinds of group metallb.io that users of MetalLB already have, so that their
// YAML works as it is. The fields, defaults, validation and columns of the CRDs in config/crd/bases are generated from here.
//
// The comments on types and fields are what `kubectl explain` prints, with the line breaks that they have here: they are wrapped so
// that they fit a terminal there.
//
// +kubebuilder:object:generate=true
// +groupName=metallb.io
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "metallb.io", Version: "v1beta1"}

// AddToScheme adds the kinds of this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&IPAddressPool{}, &IPAddressPoolList{},
		&L2Advertisement{}, &L2AdvertisementList{},
		&ServiceL2Status{}, &ServiceL2StatusList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LabelSelector selects objects by their labels; an empty one selects every
// object. It is written as Kubernetes' own label selector
// (metav1.LabelSelector) and is a type of ours so that the API server can
// refuse one that means nothing.
//
// +structType=atomic
type LabelSelector struct {
	// MatchLabels are labels that an object must have with exactly this value.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// MatchExpressions are requirements that an object must fulfil, all of them,
	// in addition to matchLabels.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelectorRequirement is one requirement on one label.
//
// +kubebuilder:validation:XValidation:rule=`!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)`,messageExpression=`"operator " + self.operator + " needs at least one value"`
// +kubebuilder:validation:XValidation:rule=`!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0`,messageExpression=`"operator " + self.operator + " takes no values: write In or NotIn to compare with values"`
type LabelSelectorRequirement struct {
	// Key of the label.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`

	// Operator: In and NotIn compare the label with values, Exists and
	// DoesNotExist look whether it is there. NotIn and DoesNotExist hold for an
	// object without the label.
	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	// +kubebuilder:validation:MaxLength=12
	Operator string `json:"operator"`

	// Values for In and NotIn; at least one. None for the other operators.
	// +optional
	// +listType=atomic
	Values []string `json:"values,omitempty"`
}

// Kubernetes returns the selector as Kubernetes' own type. They share their
// maps and slices.
func (s LabelSelector) Kubernetes() metav1.LabelSelector {
	out := metav1.LabelSelector{MatchLabels: s.MatchLabels}
	for _, e := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: e.Key, Operator: metav1.LabelSelectorOperator(e.Operator), Values: e.Values})
	}
	return out
}

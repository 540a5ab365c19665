package lb

import "slices"

// Selector is a label selector: all requirements must hold. The empty Selector matches everything, as in Kubernetes.
type Selector []Requirement

// Requirement is one condition on a label.
type Requirement struct {
	Key    string
	Op     Op
	Values []string // for In and NotIn
}

// Op is the operator of a Requirement.
type Op string

// The operators of metav1.LabelSelectorOperator. NotIn also holds for an object without the label.
const (
	In           Op = "In"
	NotIn        Op = "NotIn"
	Exists       Op = "Exists"
	DoesNotExist Op = "DoesNotExist"
)

// Matches says whether labels fulfil every requirement. An unknown operator matches nothing.
func (s Selector) Matches(labels map[string]string) bool {
	for _, r := range s {
		if !r.matches(labels) {
			return false
		}
	}
	return true
}

func (r Requirement) matches(labels map[string]string) bool {
	v, has := labels[r.Key]
	switch r.Op {
	case In:
		return has && slices.Contains(r.Values, v)
	case NotIn:
		return !has || !slices.Contains(r.Values, v)
	case Exists:
		return has
	case DoesNotExist:
		return !has
	}
	return false
}

// AnyMatches says whether one of the selectors matches; an empty list matches nothing.
func AnyMatches(list []Selector, labels map[string]string) bool {
	return slices.ContainsFunc(list, func(s Selector) bool { return s.Matches(labels) })
}

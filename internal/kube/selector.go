// Package kube turns Kubernetes objects into the nouns of internal/lb. It is the only place that knows how a field or an
// annotation is spelled, and it is a border: nothing in it fails. What a user wrote wrongly becomes an lb.Problem beside
// whatever could be understood, and never admits more than the user meant. The objects passed in are only read, and the
// result shares their label maps, so neither may be changed afterwards.
package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

// selector converts a label selector; its requirements come sorted by key, those of matchLabels first. The error names the
// wrong part, and the Selector beside it then matches nothing, so that a caller who keeps it does not widen anything.
func selector(s metav1.LabelSelector) (lb.Selector, error) {
	if _, err := metav1.LabelSelectorAsSelector(&s); err != nil {
		return matchesNothing(), err
	}
	var out lb.Selector
	for _, k := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		out = append(out, lb.Requirement{Key: k, Op: lb.In, Values: []string{s.MatchLabels[k]}})
	}
	for _, e := range s.MatchExpressions {
		out = append(out, lb.Requirement{Key: e.Key, Op: lb.Op(e.Operator), Values: e.Values})
	}
	slices.SortStableFunc(out[len(s.MatchLabels):], func(a, b lb.Requirement) int {
		return cmp.Compare(a.Key, b.Key)
	})
	return out, nil
}

// matchesNothing is a selector with an operator that lb does not know, which matches no object.
func matchesNothing() lb.Selector { return lb.Selector{{Op: "Invalid"}} }

// selectors converts a list. A wrong entry stays in the list as one that matches nothing: were it dropped, a list of one
// would become empty, and empty lists admit everything.
func selectors(field string, list []v1beta1.LabelSelector) ([]lb.Selector, []lb.Problem) {
	var out []lb.Selector
	var problems []lb.Problem
	for i, s := range list {
		sel, err := selector(s.Kubernetes())
		if err != nil {
			problems = append(problems, lb.Problem{
				Reason:  ReasonInvalidSelector,
				Message: fmt.Sprintf("%s[%d] selects nothing because it is not a valid label selector: %v", field, i, err),
			})
		}
		out = append(out, sel)
	}
	return out, problems
}

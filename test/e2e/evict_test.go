package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// Two nodes that are drained at once must not take both controllers.
func TestEvictionsLeaveOneController(t *testing.T) {
	s := begin(t)
	var pods []corev1.Pod
	s.eventually("the disruption budget knows of two controllers that are ready", func(ctx context.Context) error {
		var budgets policyv1.PodDisruptionBudgetList
		if err := s.API.List(ctx, &budgets, client.InNamespace(rig.Namespace)); err != nil {
			return err
		}
		pods = s.controllers()
		if len(pods) != 2 || len(budgets.Items) != 1 || budgets.Items[0].Status.CurrentHealthy != 2 || budgets.Items[0].Status.DisruptionsAllowed != 1 {
			return fmt.Errorf("there are %d, and the budgets say %+v", len(pods), budgets.Items)
		}
		return nil
	})
	evict := func(p corev1.Pod) error {
		return s.API.SubResource("eviction").Create(t.Context(), &p, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
	}
	if err := evict(pods[0]); err != nil {
		t.Fatalf("the first: %v", err)
	}
	if err := evict(pods[1]); !apierrors.IsTooManyRequests(err) {
		t.Errorf("the second: %v, want a refusal by the disruption budget", err)
	}
	s.do("Steelyard is ready", func(ctx context.Context) error { return s.Settled(ctx) })
}

// controllers are the pods of the controller that are not about to go.
func (s *scenario) controllers() []corev1.Pod {
	s.Helper()
	var list corev1.PodList
	s.do("listing the controllers", func(ctx context.Context) error {
		return s.API.List(ctx, &list, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/component": "controller"})
	})
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

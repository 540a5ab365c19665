package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// kept is what `helm uninstall` leaves of what it installed, and lease what the controllers made; docs/install.md says so.
var kept = []string{
	"customresourcedefinition.apiextensions.k8s.io/ipaddresspools.metallb.io",
	"customresourcedefinition.apiextensions.k8s.io/l2advertisements.metallb.io",
	"customresourcedefinition.apiextensions.k8s.io/servicel2statuses.metallb.io",
}

const lease = "lease.coordination.k8s.io/steelyard-controller"

// The name of this file makes it the last test of the package: afterwards, nothing of Steelyard runs in the lab. In a lab that is
// somebody's, it is installed again.
func TestAnUninstallLeavesTheCRDsAndNothingThatBlocks(t *testing.T) {
	s := begin(t)
	pool := s.pool("uninstall", "192.168.1.243/32")
	svc := s.service("uninstall", "uninstall")
	addr := s.address(svc)
	s.owner(addr)
	s.uninstall()

	// The Pods end after the objects that own them are gone.
	s.eventually("only what is to stay has the release's label (-want +got)", func(context.Context) error { return same(kept, s.ours()) })
	s.eventually("only what is to stay is in "+rig.Namespace+" (-want +got)", func(context.Context) error {
		return same([]string{lease}, s.names("all,leases,secrets,configmaps,serviceaccounts,roles,rolebindings,poddisruptionbudgets"))
	})
	if hooks := s.kubectl("", "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "name"); strings.TrimSpace(hooks) != "" {
		t.Errorf("there are webhooks that nobody serves: %s", hooks)
	}
	now := s.current(svc)
	if got, err := rig.ExternalIPs(now); err != nil || len(got) != 1 || got[0] != addr {
		t.Errorf("the Service has %v, %v; it should keep %s in its status", got, err, addr)
	}
	s.eventually("nobody answers for "+addr.String(), func(ctx context.Context) error { return s.Silent(ctx, addr) })
	s.goes(svc)
	s.goes(pool)
}

// same says in which way two lists differ.
func same(want, got []string) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return errors.New(diff)
	}
	return nil
}

// uninstall removes Steelyard as the documentation says.
func (s *scenario) uninstall() {
	s.Helper()
	s.do("helm uninstall", func(ctx context.Context) error {
		_, err := s.Lab.Helm(ctx, "uninstall", release, "--namespace", rig.Namespace, "--wait", "--timeout", "25s")
		return err
	})
	if os.Getenv(attachVariable) == "" {
		return
	}
	s.Cleanup(func() {
		s.do("installing Steelyard again", func(ctx context.Context) error { return s.Lab.InstallSteelyard(ctx, lab.InstallOptions{}) })
	})
}

// names lists the objects of some kinds in our namespace, without those that Kubernetes makes in each.
func (s *scenario) names(kinds string) []string {
	s.Helper()
	all := strings.Fields(s.kubectl("", "get", kinds, "-n", rig.Namespace, "-o", "name"))
	return slices.DeleteFunc(all, func(name string) bool {
		return name == "configmap/kube-root-ca.crt" || name == "serviceaccount/default"
	})
}

// ours lists every object that carries our release's label, of all kinds that there are.
func (s *scenario) ours() []string {
	s.Helper()
	var kinds []string
	for _, scope := range []string{"true", "false"} {
		kinds = append(kinds, strings.Fields(s.kubectl("", "api-resources", "--verbs=list,delete", "-o", "name", "--namespaced="+scope))...)
	}
	out := s.kubectl("", "get", strings.Join(kinds, ","), "-A", "-l", "app.kubernetes.io/instance="+release, "-o", "name", "--ignore-not-found")
	list := strings.Fields(out)
	slices.Sort(list)
	return list
}

// goes deletes an object and waits until it is gone.
func (s *scenario) goes(o client.Object) {
	s.Helper()
	began := time.Now()
	s.do("deleting "+o.GetName(), func(ctx context.Context) error { return s.API.Delete(ctx, o) })
	s.eventually(o.GetName()+" is gone", func(ctx context.Context) error {
		err := s.API.Get(ctx, client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("it has the finalizers %v", o.GetFinalizers())
		}
		return client.IgnoreNotFound(err)
	})
	s.Logf("%s was gone %v after its deletion", o.GetName(), time.Since(began).Round(time.Millisecond))
}

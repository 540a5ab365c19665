package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What each component may do, in its own namespace and elsewhere. The golden file is what a reviewer reads when a right is added;
// test/e2e asks a real API server whether it is all that it grants.
func TestRights(t *testing.T) {
	rendered := objects(t, template(t))
	var got strings.Builder
	for _, component := range []string{"controller", "speaker"} {
		for _, namespace := range []string{"metallb-system", "default"} {
			fmt.Fprintf(&got, "%s in %s\n", component, namespace)
			for _, line := range rights(t, rendered, "steelyard-"+component, namespace) {
				got.WriteString("  " + line + "\n")
			}
		}
	}
	path := filepath.Join("testdata", "rights.golden.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./test/chart -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the rights are others (-want +got); if that is meant: go test ./test/chart -update\n%s", diff)
	}
}

// rights lists what the bindings give a service account of metallb-system in a namespace: a line for each resource, and for the
// names of it that a rule is about.
func rights(t *testing.T, rendered map[string]object, account, namespace string) []string {
	t.Helper()
	verbs := map[string][]string{}
	for _, o := range rendered {
		kind, isBinding := strings.CutSuffix(fmt.Sprint(o["kind"]), "Binding")
		inScope := kind == "ClusterRole" || o.at("metadata", "namespace") == namespace
		if !isBinding || !inScope || !strings.Contains(fmt.Sprint(o["subjects"]), "name:"+account+" ") {
			continue
		}
		rules, _ := find(t, rendered, kind+"/"+fmt.Sprint(o.at("roleRef", "name")))["rules"].([]any)
		for _, r := range rules {
			rule := r.(map[string]any)
			for _, place := range places(rule) {
				verbs[place] = append(verbs[place], texts(rule["verbs"])...)
			}
		}
	}
	var out []string
	for place, list := range verbs {
		slices.Sort(list)
		out = append(out, place+": "+strings.Join(slices.Compact(list), " "))
	}
	slices.Sort(out)
	return out
}

// places are the resources of a rule, as RESOURCE.GROUP, with a name if the rule is about named ones only.
func places(rule map[string]any) []string {
	var out []string
	for _, group := range texts(rule["apiGroups"]) {
		for _, resource := range texts(rule["resources"]) {
			base, sub, _ := strings.Cut(resource, "/")
			place := strings.TrimSuffix(base+"."+group, ".")
			if sub != "" {
				place += "/" + sub
			}
			named := texts(rule["resourceNames"])
			if len(named) == 0 {
				out = append(out, place)
			}
			for _, name := range named {
				out = append(out, place+" "+name)
			}
		}
	}
	return out
}

func texts(list any) []string {
	var out []string
	all, _ := list.([]any)
	for _, one := range all {
		out = append(out, fmt.Sprint(one))
	}
	return out
}

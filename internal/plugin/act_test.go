package plugin

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
)

// stage is a town with its API server: commands change it, and mover plays the speakers.
type stage struct {
	*town
	client.Client
	started time.Time
}

func newStage(t *testing.T, town *town) *stage {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return &stage{town: town, Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(town.objects...).Build(), started: time.Now()}
}

// call runs the command with a clock that stands at noon when the stage begins.
func (s *stage) call(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	g := &globals{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &out}, flags: genericclioptions.NewConfigFlags(true),
		now: func() time.Time { return noon().Add(time.Since(s.started)) }, connect: func() (client.Client, error) { return s.Client, nil }}
	g.views = func(ctx context.Context, why []netip.Addr) (fetch.Replies, error) {
		objects, err := cluster.Read(ctx, s.Client, system)
		if err != nil {
			t.Fatal(err)
		}
		return s.ask(objects, why)
	}
	c := g.command()
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// says writes the ServiceL2Status of an owner, as its speaker does.
func (s *stage) says(t *testing.T, service, addr, node string) {
	t.Helper()
	o := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "default." + service}}
	err := s.Get(context.Background(), client.ObjectKeyFromObject(o), o)
	o.Status = v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: service, ServiceNamespace: "default", Addresses: []v1beta1.AddressOwnership{{Address: addr}}}
	if err != nil {
		err = s.Create(context.Background(), o)
	} else {
		err = s.Update(context.Background(), o)
	}
	if err != nil {
		t.Error(err)
	}
}

// later lets an owner change after a while.
func (s *stage) later(t *testing.T, after time.Duration, service, addr, node string) {
	go func() {
		time.Sleep(after)
		s.says(t, service, addr, node)
	}()
}

// home keeps the flags of kubectl away from the machine's own kubeconfig.
func home(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
}

func TestMovesAreWaitedForAndTold(t *testing.T) {
	home(t)
	for _, c := range []struct {
		golden, args string
		prepare      func(*testing.T, *stage)
	}{
		{"move.txt", "move svc/web --to node3", func(t *testing.T, s *stage) { s.later(t, 250*time.Millisecond, "web", "192.0.2.1", "node3") }},
		{"move.json", "move svc/web --to node3 -o json", func(t *testing.T, s *stage) { s.later(t, 250*time.Millisecond, "web", "192.0.2.1", "node3") }},
		{"move-there.txt", "move svc/web --to node2", nil},
		{"move-no-wait.txt", "move svc/web --to node3 --wait=false", nil},
		{"drain.txt", "drain node3", func(t *testing.T, s *stage) { s.later(t, 420*time.Millisecond, "api", "192.0.2.2", "node2") }},
		{"drain.yaml", "drain node3 -o yaml", func(t *testing.T, s *stage) { s.later(t, 420*time.Millisecond, "api", "192.0.2.2", "node2") }},
		{"drain-no-wait.txt", "drain node3 --wait=false", nil},
		{"drain-empty.txt", "drain node4", nil},
	} {
		t.Run(c.golden, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, newTown())
				s.says(t, "web", "192.0.2.1", "node2")
				s.says(t, "api", "192.0.2.2", "node3")
				if c.prepare != nil {
					c.prepare(t, s)
				}
				got, err := s.call(t, "", strings.Fields(c.args)...)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, c.golden, got)
			})
		})
	}
}

func TestWhatDoesNotMoveInTimeIsAnError(t *testing.T) {
	home(t)
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, newTown())
		s.says(t, "api", "192.0.2.2", "node3")
		begin := time.Now()
		_, err := s.call(t, "", "drain", "node3", "--timeout", "5s")
		if err == nil || !strings.Contains(err.Error(), "after 5s these have not moved: 192.0.2.2") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("waited for %v, want the timeout", took)
		}
	})
}

// nodeLabels are those of a node as the API server has them.
func (s *stage) nodeLabels(t *testing.T, name string) map[string]string {
	t.Helper()
	var n corev1.Node
	if err := s.Get(t.Context(), client.ObjectKey{Name: name}, &n); err != nil {
		t.Fatal(err)
	}
	return n.Labels
}

func TestUndrainTakesOffWhatDrainWroteAndNothingElse(t *testing.T) {
	home(t)
	town := newTown()
	before := map[string]string{"a": "b", corev1.LabelNodeExcludeBalancers: ""}
	for _, o := range town.objects {
		if n, ok := o.(*corev1.Node); ok && n.Name == "node4" {
			n.Labels = map[string]string{"a": "b", corev1.LabelNodeExcludeBalancers: ""}
		}
	}
	s := newStage(t, town)
	if _, err := s.call(t, "", "drain", "node4"); err != nil {
		t.Fatal(err)
	}
	if _, drained := s.nodeLabels(t, "node4")[v1beta1.LabelDrained]; !drained {
		t.Errorf("labels %v, want the node drained", s.nodeLabels(t, "node4"))
	}
	if got, err := s.call(t, "", "drain", "node4"); err != nil || got != "node4 is drained already and has no address.\n" {
		t.Errorf("drained twice: %q, %v", got, err)
	}
	if got, err := s.call(t, "", "undrain", "node4"); err != nil || !strings.Contains(got, "which drain did not write") {
		t.Errorf("%q, %v; want it to tell of the other label", got, err)
	}
	if diff := cmp.Diff(before, s.nodeLabels(t, "node4")); diff != "" {
		t.Errorf("labels (-before +after):\n%s", diff)
	}
	if got, err := s.call(t, "", "undrain", "node3"); err != nil || got != "node3 is not drained.\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAWishIsWrittenAndRemoved(t *testing.T) {
	home(t)
	s := newStage(t, newTown())
	wish := func() string {
		var svc corev1.Service
		if err := s.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "web"}, &svc); err != nil {
			t.Fatal(err)
		}
		return svc.Annotations[v1beta1.AnnotationPreferredNode]
	}
	for _, c := range []struct{ args, want string }{
		{"move web --to node3 --wait=false --dry-run", ""},
		{"move web --to node3 --wait=false", "node3"},
		{"move web --unset --dry-run", "node3"},
		{"move web --unset", ""},
		{"move web --to node1 --wait=false --force", "node1"},
	} {
		if got, err := s.call(t, "", strings.Fields(c.args)...); err != nil || wish() != c.want {
			t.Errorf("%s: the Service asks for %q, want %q; %v\n%s", c.args, wish(), c.want, err, got)
		}
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	home(t)
	alone := func(t *town) { // node2 may not have anything
		t.objects[1].(*corev1.Node).Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
	}
	for _, c := range []struct {
		name, args string
		change     func(*town)
		want       string
	}{
		{"a dead node", "move web --to node1", nil, "node1 may not answer for 192.0.2.1: NoSpeaker: no living speaker is known there"},
		{"a node that is excluded", "move web --to node2", alone, "node2 may not answer for 192.0.2.1: Excluded"},
		{"no such node", "move web --to node9", nil, "there is no Node node9 (kubectl get nodes lists all)"},
		{"no such Service", "move nothing --to node2", nil, "there is no Service nothing in namespace default"},
		{"neither --to nor --unset", "move web", nil, "say where to with --to NODE, or --unset"},
		{"both", "move web --to node2 --unset", nil, "say where to with --to NODE, or --unset"},
		{"a Service without an address", "move fresh --to node2", func(t *town) { t.serve("default", "fresh") }, "default/fresh has no address yet"},
		{"no speaker to ask", "move web --to node3", func(t *town) { t.replies = func(r *fetch.Replies) { *r = fetch.Replies{} } }, "--force moves without looking"},
		{"the older Service has another wish", "move young --to node2", func(t *town) {
			t.serve("default", "old", "192.0.2.3").Annotations = map[string]string{v1beta1.AnnotationPreferredNode: "node3", v1beta1.AnnotationAllowSharedIP: "x"}
			young := t.serve("default", "young", "192.0.2.3")
			young.CreationTimestamp, young.Spec.Ports[0].Port = metav1.NewTime(noon()), 81
			young.Annotations = map[string]string{v1beta1.AnnotationAllowSharedIP: "x"}
		}, "shares 192.0.2.3 with the older Service default/old, whose wish counts and which asks for node3"},
		{"a drain of the last node", "drain node3", alone, "nobody else may answer for 192.0.2.1, 192.0.2.2"},
		{"a drain of nobody knows what", "drain node3", func(t *town) {
			t.unasked, t.replies = errors.New("forbidden"), func(r *fetch.Replies) { *r = fetch.Replies{} }
		}, "--force drains without looking"},
		{"a drain of no node", "drain node9", nil, "there is no Node node9"},
		{"an undrain of no node", "undrain node9", nil, "there is no Node node9"},
		{"what if there were no such pool", "what-if delete-pool x", nil, "there is no IPAddressPool x in namespace metallb-system"},
		{"what if, of nobody knows what", "what-if drain node3", func(t *town) {
			t.unasked, t.replies = errors.New("forbidden"), func(r *fetch.Replies) { *r = fetch.Replies{} }
		}, "forbidden"},
		{"an edit without a file", "what-if edit-pool", nil, "-f FILE"},
		{"an edit with another kind", "what-if edit-pool -f testdata/whatif-advertisement.yaml", nil, "it has a L2Advertisement of metallb.io/v1beta1, want IPAddressPool"},
	} {
		t.Run(c.name, func(t *testing.T) {
			town := newTown()
			if c.change != nil {
				c.change(town)
			}
			s := newStage(t, town)
			before := s.all(t)
			if got, err := s.call(t, "", strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, error %v, want %q", got, err, c.want)
			}
			if diff := cmp.Diff(before, s.all(t)); diff != "" {
				t.Errorf("it wrote all the same (-before +after):\n%s", diff)
			}
		})
	}
}

// all are the labels and annotations that commands write, by object.
func (s *stage) all(t *testing.T) map[string]map[string]string {
	t.Helper()
	objects, err := cluster.Read(t.Context(), s.Client, system)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, n := range objects.Nodes {
		out[n.Name] = n.Labels
	}
	for _, svc := range objects.Services {
		out[svc.Namespace+"/"+svc.Name] = svc.Annotations
	}
	for _, p := range objects.Pools {
		out["pool "+p.Name] = map[string]string{"addresses": strings.Join(p.Spec.Addresses, ",")}
	}
	return out
}

func TestNamesOfTheActingCommandsAreCompleted(t *testing.T) {
	home(t)
	town := newTown()
	town.objects[0].(*corev1.Node).Labels = map[string]string{v1beta1.LabelDrained: ""}
	s := newStage(t, town)
	for args, want := range map[string]string{
		"drain node":                "node1 node2 node3 node4",
		"undrain ":                  "node1",
		"move svc/":                 "svc/api svc/web",
		"move svc/web --to node":    "node1 node2 node3 node4",
		"what-if delete-pool ":      "default shop",
		"what-if delete-node node1": "node1",
	} {
		got, err := s.call(t, "", append([]string{"__completeNoDesc"}, strings.Split(args, " ")...)...)
		if lines := strings.Join(strings.Fields(got[:max(0, strings.Index(got, ":"))]), " "); err != nil || lines != want {
			t.Errorf("%s: completed %q, %v; want %q", args, got, err, want)
		}
	}
}

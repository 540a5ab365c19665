package plugin

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/lb"
	"github.com/steelyard-lb/steelyard/internal/live/fetch"
	"github.com/steelyard-lb/steelyard/internal/ownership"
)

// healthy is the town as it is after node1 died: everything has an owner.
func healthy() *town { return newTown() }

// troubled has all that status warns of: two owners, a stranger, a deaf interface, a Service that waits, a full pool.
func troubled() *town {
	t := newTown()
	t.serve("shop", "till", "192.0.2.32")
	t.serve("shop", "more").Annotations = map[string]string{v1beta1.AnnotationAddressPool: "shop"}
	t.serve("default", "lost", "198.51.100.9")
	t.add(ipPool("old", func(p *v1beta1.IPAddressPool) {
		p.Spec.Addresses, p.Spec.RetainFor = []string{"203.0.113.0/29"}, &metav1.Duration{Duration: time.Hour}
		p.Status.Retained = []v1beta1.RetainedAddress{{Address: "203.0.113.1", Namespace: "default", Name: "gone", Until: metav1.NewTime(noon().Add(time.Hour))}}
		p.Status.Conflicts = []v1beta1.AddressConflict{{Address: "203.0.113.2", MAC: "02:00:00:00:00:99", Node: "node3", Until: metav1.NewTime(noon().Add(time.Minute))}}
		p.Spec.AllocateTo = &v1beta1.ServiceAllocation{Namespaces: []string{"legacy"}}
	}))
	t.claims["node3"] = append(t.claims["node3"], t.claims["node2"][0])
	t.claims["node3"][1].Since, t.claims["node3"][1].Evidence = noon().Add(-time.Second), 1
	t.adapt = func(node string, v *ownership.View) {
		if node == "node2" {
			v.Speakers[2].Claims = v.Speakers[2].Claims[:1]
		}
		if node == "node3" {
			v.Speakers[1].Claims = nil
			v.Speakers[2].Interfaces = append(v.Speakers[2].Interfaces, lb.Interface{Name: "eth1", Up: true, Deaf: true})
			v.Peers[1].Gossip, v.Peers[1].Silent = lb.Dead, noon().Add(-3*time.Second)
			v.Peers[1].Hosts, v.Peers[1].Answer = []lb.HostLife{{Interface: "eth0", Life: lb.Alive}}, lb.Alive
			v.Foreign = []ownership.Foreign{{Addr: addr("192.0.2.2"), MAC: lb.MAC{2, 0, 0, 0, 0, 0x66}, At: noon().Add(-4 * time.Second)}}
		}
	}
	return t
}

// unreachable is the town when no speaker can be asked: who owns what stands in the status objects.
func unreachable() *town {
	t := newTown()
	since := metav1.NewTime(noon().Add(-5 * time.Minute))
	t.add(&v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "default.web"}, Status: v1beta1.ServiceL2StatusStatus{Node: "node2", ServiceName: "web",
		ServiceNamespace: "default", MACs: []string{"02:00:00:00:00:02"}, Interfaces: []v1beta1.InterfaceInfo{{Name: "eth0"}},
		Addresses: []v1beta1.AddressOwnership{{Address: "192.0.2.1", Since: &since, Cause: "death", From: "node1", Standby: "node3"}}}})
	t.unasked = errors.New(`listing the speakers' Pods: pods is forbidden: User "dev" cannot list resource "pods" in the namespace "metallb-system"`)
	t.replies = func(r *fetch.Replies) { *r = fetch.Replies{} }
	return t
}

func empty() *town {
	t := newTown()
	t.objects, t.replies = nil, func(r *fetch.Replies) { *r = fetch.Replies{} }
	return t
}

func TestWhatTheCommandsTell(t *testing.T) {
	for _, c := range []struct {
		golden string
		town   func() *town
		args   string
	}{
		{"status.txt", healthy, "status"},
		{"status-wide.txt", healthy, "status -o wide"},
		{"status.json", healthy, "status -o json"},
		{"status-troubled.txt", troubled, "status"},
		{"status-unreachable.txt", unreachable, "status"},
		{"status-empty.txt", empty, "status"},
		{"explain.txt", healthy, "explain svc/web"},
		{"explain.yaml", healthy, "explain svc/web -o yaml"},
		{"explain-waiting.txt", troubled, "explain more -n shop"},
		{"explain-no-pool.txt", troubled, "explain svc/lost"},
		{"explain-two-owners.txt", troubled, "explain default/web"},
		{"explain-unreachable.txt", unreachable, "explain web"},
		{"who-has.txt", healthy, "who-has 192.0.2.1"},
		{"who-has.json", healthy, "who-has 192.0.2.1 -o json"},
		{"who-has-two-owners.txt", troubled, "who-has 192.0.2.1"},
		{"who-has-stranger.txt", troubled, "who-has 192.0.2.2"},
		{"who-has-unreachable.txt", unreachable, "who-has 192.0.2.1"},
		{"pools.txt", troubled, "pools"},
		{"pools-wide.txt", troubled, "pools -o wide"},
		{"pools.yaml", healthy, "pools -o yaml"},
	} {
		t.Run(c.golden, func(t *testing.T) {
			got, err := c.town().run(t, strings.Fields(c.args)...)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.golden, got)
		})
	}
}

func TestWhyNobodyHasAnAddress(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.3":    "192.0.2.3 is free in pool default",
		"192.0.2.33":   "is free and reserved in pool shop: only a Service that asks for it by number gets it.",
		"203.0.113.1":  "is kept by pool old for the deleted Service default/gone until 2026-03-01T13:00:00Z.",
		"203.0.113.2":  "a stranger with the MAC 02:00:00:00:00:99 answers for it, as node node3 saw.",
		"198.51.100.1": "is in no pool (there are: default, old, shop).",
		"198.51.100.9": "belongs to default/lost, and to no pool",
	} {
		t.Run(a, func(t *testing.T) {
			got, err := troubled().run(t, "who-has", a)
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestServicesThatAreNobodysBusiness(t *testing.T) {
	class := "acme.example/lb"
	for _, c := range []struct {
		name   string
		change func(*town, *corev1.Service)
		want   string
	}{
		{"another type", func(_ *town, s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }, "is of type ClusterIP: only a Service of type LoadBalancer gets an address."},
		{"another class", func(_ *town, s *corev1.Service) { s.Spec.LoadBalancerClass = &class }, "has loadBalancerClass acme.example/lb, and Steelyard serves no loadBalancerClass"},
		{"no class, where there is one", func(t *town, _ *corev1.Service) { t.add(controllerOf(class)) }, "has no loadBalancerClass, and Steelyard serves loadBalancerClass acme.example/lb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			town := newTown()
			c.change(town, town.serve("default", "x"))
			got, err := town.run(t, "explain", "x")
			if err != nil || !strings.Contains(got, c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for args, want := range map[string]string{
		"explain svc/nowhere":  "there is no Service nowhere in namespace default (kubectl get services -A lists all)",
		"explain till":         "one of that name is in shop (use -n)",
		"who-has web":          "web is no IP address: write one such as 192.0.2.10 (explain takes the name of a Service)",
		"status -o table":      "want wide, json or yaml",
		"explain":              "want one Service: kubectl steelyard explain svc/NAME",
		"drain":                "want one node: kubectl steelyard drain NODE",
		"undrain node1 node2":  "want one node: kubectl steelyard undrain NODE",
		"move --unset":         "want one Service: kubectl steelyard move svc/NAME",
		"what-if delete-node":  "want one node: kubectl steelyard what-if delete-node NODE",
		"what-if delete-pool":  "want one pool: kubectl steelyard what-if delete-pool NAME",
		"pools -n x --unknown": "unknown flag",
	} {
		t.Run(args, func(t *testing.T) {
			if _, err := troubled().run(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

func TestNamesAreCompleted(t *testing.T) {
	for args, want := range map[string]string{
		"explain svc/":         "svc/api svc/lost svc/web",
		"explain svc/ -n shop": "svc/more svc/till",
		"who-has 192.0.2.3":    "192.0.2.32",
		"status -o ":           "wide json yaml",
	} {
		t.Run(args, func(t *testing.T) {
			words := strings.Split(args, " ")
			if i := strings.Index(args, " -n"); i >= 0 { // what is completed comes last
				words = append(append([]string{words[0]}, strings.Fields(args[i:])...), words[1])
			}
			got, err := troubled().run(t, append([]string{"__completeNoDesc"}, words...)...)
			offered, _, _ := strings.Cut(got, "\n:") // then a line of directives for the shell
			lines := strings.Fields(offered)
			if err != nil || strings.Join(lines, " ") != want {
				t.Errorf("completed %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestErrorsOfTheAPIServerSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"no CRDs", &apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "metallb.io", Kind: "IPAddressPool"}}, "is Steelyard installed in this cluster?"},
		{"no right", apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("no")), "docs/kubectl.md"},
		{"nobody there", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "is the API server there?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			town := newTown()
			town.fails = c.err
			if _, err := town.run(t, "status"); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestOnlyATerminalGetsColours(t *testing.T) {
	var out bytes.Buffer
	p := newPage(&out)
	p.table([]string{"A", "B"}, [][]cell{{{"x", red}, {}}})
	if want := "A  B\nx  -\n"; out.String() != want {
		t.Errorf("to a file: %q, want %q", out.String(), want)
	}
	out.Reset()
	p.colour = true
	p.table([]string{"A", "B"}, [][]cell{{{"x", red}, {}}, row("long", "y")})
	if want := "A     B\n\x1b[31mx\x1b[0m     -\nlong  y\n"; out.String() != want {
		t.Errorf("to a terminal: %q, want %q", out.String(), want)
	}
}

func TestAClockThatIsOffIsToldAndSpoilsNoAge(t *testing.T) {
	town := newTown()
	town.replies = func(r *fetch.Replies) {
		v := r.Views["node3"]
		v.Time, v.Decided = v.Time.Add(time.Hour), v.Decided.Add(time.Hour)
		r.Views["node3"] = v
	}
	got, err := town.run(t, "status")
	for _, want := range []string{"node3  its clock is +3600 s off the one here", "node3  ready    1     1 of 2  eth0        2s ago"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("got %v\n%s\nwant %q", err, got, want)
		}
	}
}

func TestAClockIsNotOffForHavingBeenAskedLate(t *testing.T) {
	town := newTown()
	town.asking = 10 * time.Second // others did not answer
	town.replies = func(r *fetch.Replies) {
		v := r.Views["node3"]
		v.Time = noon().Add(9 * time.Second)
		r.Views["node3"] = v
	}
	if got, err := town.run(t, "status"); err != nil || strings.Contains(got, "clock") {
		t.Errorf("got %v\n%s\nwant no word of a clock", err, got)
	}
}

func TestOfManySilentSpeakersTheSameIsNamedEachTime(t *testing.T) {
	silent := map[string]error{}
	for _, node := range []string{"a", "b", "c", "d"} {
		silent[node] = errors.New("no answer")
	}
	s := sight{replies: fetch.Replies{Silent: silent}}
	for range 20 { // a map is read in another order each time
		if err := s.nobodyAsked(); !strings.Contains(err.Error(), "that of a: no answer") {
			t.Fatal(err)
		}
	}
}

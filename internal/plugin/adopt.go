package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/adopt"
	"github.com/steelyard-lb/steelyard/internal/cluster"
	"github.com/steelyard-lb/steelyard/internal/doctor"
)

func (g *globals) adopt() *cobra.Command {
	var out output
	check := false
	c := &cobra.Command{
		Use:   "adopt --check",
		Short: "Say what would become of a cluster that MetalLB serves: which addresses stay, which settings mean nothing",
		Long: `Say what would become of a cluster that MetalLB serves if Steelyard served it: which addresses its Services keep, and which settings
mean nothing or have another name. Steelyard need not be installed. Nothing is changed: docs/migrate-from-metallb.md has the steps.

It ends with 1 when anything would be otherwise than it is.`,
		Example: `  kubectl steelyard adopt --check
  kubectl steelyard adopt --check --steelyard-namespace metallb -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !check {
				return errors.New("adopt can only look: give --check; docs/migrate-from-metallb.md has the steps of the migration itself")
			}
			r, err := g.checkAdoption(cmd.Context())
			if err != nil {
				return err
			}
			if err := out.show(g.Out, r, func(p *page, wide bool) { writeAdoption(p, r, wide) }); err != nil {
				return err
			}
			if r.Changes > 0 {
				return fmt.Errorf("%s would be otherwise", count(r.Changes, "thing"))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&check, "check", false, "look, and change nothing")
	out.addTo(c)
	return c
}

// checkAdoption reads the cluster as MetalLB has it.
func (g *globals) checkAdoption(ctx context.Context) (adopt.Report, error) {
	cl, err := g.connect()
	if err != nil {
		return adopt.Report{}, err
	}
	around := readSurroundings(ctx, cl, g.system)
	c := adopt.Cluster{}
	for _, u := range around.unread {
		if u.What == "Deployments" || u.What == "DaemonSets" {
			c.Unread = append(c.Unread, u)
		}
	}
	for _, w := range around.workloads {
		if doctor.MetalLB(w) {
			c.Workloads = append(c.Workloads, w)
		}
	}
	as := *g
	if as.class == "" {
		as.class = classOf(c.Workloads)
	}
	s, err := as.see(ctx, cl)
	if err != nil {
		return adopt.Report{}, err
	}
	c.World, c.Advertisements = s.world, cluster.Advertisements(s.objects.Advertisements)
	if c.Others, err = others(ctx, cl, g.system); err != nil {
		return adopt.Report{}, err
	}
	if c.Excluded, err = excluded(ctx, cl, g.system); err != nil {
		return adopt.Report{}, err
	}
	r := adopt.Check(c)
	r.Class = s.class
	return r, nil
}

// others lists the objects of MetalLB's other kinds, by name only: a BGPPeer may hold a password. A kind that the cluster does not have
// has no objects.
func others(ctx context.Context, reader client.Reader, system string) ([]adopt.Object, error) {
	var out []adopt.Object
	for _, kind := range adopt.Kinds() {
		for _, version := range versions(kind) {
			var list metav1.PartialObjectMetadataList
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: v1beta1.GroupVersion.Group, Version: version, Kind: kind + "List"})
			err := reader.List(ctx, &list, client.InNamespace(system))
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("listing kind %s: %w", kind, err)
			}
			for _, o := range list.Items {
				out = append(out, adopt.Object{Kind: kind, Namespace: o.Namespace, Name: o.Name})
			}
			break
		}
	}
	return out, nil
}

// versions are those of a kind of MetalLB, the one that is stored first: to read it no webhook is asked.
func versions(kind string) []string {
	if kind == "BGPPeer" {
		return []string{"v1beta2", "v1beta1"}
	}
	return []string{"v1beta1"}
}

// excluded reads the patterns of interfaces that MetalLB's speakers do not use; nil when it has none.
func excluded(ctx context.Context, reader client.Reader, system string) ([]string, error) {
	var cm corev1.ConfigMap
	err := reader.Get(ctx, client.ObjectKey{Namespace: system, Name: "metallb-excludel2"}, &cm)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	var file struct {
		Patterns []string `json:"announcedInterfacesToExclude"`
	}
	if err == nil {
		err = yaml.Unmarshal([]byte(cm.Data["excludel2.yaml"]), &file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ConfigMap metallb-excludel2: %w", err)
	}
	return file.Patterns, nil
}

func writeAdoption(p *page, r adopt.Report, wide bool) {
	p.title(true, "Addresses: %d of %d stay", r.Kept, r.Held)
	rows, kept := [][]cell{}, 0
	for _, s := range r.Services {
		if s.Verdict == adopt.Keeps && !wide {
			kept++
			continue
		}
		verdict := cell{s.Verdict, yellow}
		switch s.Verdict {
		case adopt.Keeps, adopt.Waits:
			verdict.paint = plain
		case adopt.Changes, adopt.Silent:
			verdict.paint = red
		}
		rows = append(rows, []cell{{text: s.Service}, {text: joined(s.Before)}, {text: joined(s.After)}, verdict, {text: s.Why}})
	}
	if len(rows) > 0 {
		p.table([]string{"SERVICE", "METALLB", "STEELYARD", "VERDICT", "WHY"}, rows)
	}
	if kept > 0 {
		p.printf("%s what it has (-o wide lists them).\n", map[bool]string{true: "1 Service keeps", false: fmt.Sprintf("%d Services each keep", kept)}[kept == 1])
	}
	if len(r.Settings) > 0 {
		p.title(false, "Settings that are not taken over by themselves")
		var settings [][]cell
		for _, s := range r.Settings {
			where := cell{text: s.Where}
			if s.Changes {
				where.paint = red
			}
			settings = append(settings, []cell{where, {text: s.What}, {text: s.Do}})
		}
		p.table([]string{"WHERE", "WHAT", "DO"}, settings)
	}
	p.printf("\n%s\n", verdictOn(r))
}

func verdictOn(r adopt.Report) string {
	if r.Changes > 0 {
		return fmt.Sprintf("%s would be otherwise than with MetalLB.", count(r.Changes, "thing"))
	}
	return "Nothing would be otherwise than with MetalLB, except which node answers for which address."
}

func joined(list []netip.Addr) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

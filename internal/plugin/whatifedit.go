package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/kube"
	"github.com/steelyard-lb/steelyard/internal/whatif"
)

// object is a pointer to a kind of Steelyard's.
type object[T any] interface {
	*T
	client.Object
}

func (g *globals) whatIfEditPool() *cobra.Command {
	return edit(g, "edit-pool", "IPAddressPool", "pool.yaml", func(s sight) []v1beta1.IPAddressPool { return s.objects.Pools },
		func(w whatif.World, p *v1beta1.IPAddressPool) whatif.World { return w.WithPool(kube.Pool(p)) })
}

func (g *globals) whatIfEditAdvertisement() *cobra.Command {
	return edit(g, "edit-advertisement", "L2Advertisement", "advertisement.yaml", func(s sight) []v1beta1.L2Advertisement { return s.objects.Advertisements },
		func(w whatif.World, a *v1beta1.L2Advertisement) whatif.World {
			return w.WithAdvertisement(kube.Advertisement(a))
		})
}

// edit makes the command that tries the objects of one kind in a file.
func edit[T any, P object[T]](g *globals, use, kind, file string, have func(sight) []T, put func(whatif.World, P) whatif.World) *cobra.Command {
	var from string
	c := g.trial(use+" -f FILE", "What would change if each "+kind+" in FILE were written as it stands there", use+" -f "+file, cobra.NoArgs, cobra.NoFileCompletions,
		func(ctx context.Context, cl client.Client, s sight, _ []string) (alteration, error) {
			if from == "" {
				return alteration{}, errors.New("say which file has the objects: -f FILE, or -f - for standard input")
			}
			raw, err := g.open(from)
			if err != nil {
				return alteration{}, err
			}
			defer raw.Close()
			list, err := decode[T, P](raw, kind)
			if err != nil {
				return alteration{}, fmt.Errorf("reading %s: %w", from, err)
			}
			return tryObjects(ctx, cl, s, kind, list, have(s), put)
		})
	c.Flags().StringVarP(&from, "filename", "f", "", "YAML or JSON file with the objects, - for standard input")
	return c
}

// open opens a file, or standard input for "-".
func (g *globals) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(g.In), nil
	}
	return os.Open(name)
}

// decode reads documents of one kind. Fields that the kind has not are errors: a typing mistake must not look like a change.
func decode[T any, P object[T]](r io.Reader, kind string) ([]P, error) {
	var out []P
	docs := utilyaml.NewYAMLReader(bufio.NewReader(r))
	for {
		raw, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(raw, &meta); err != nil {
			return nil, err
		}
		if meta == (metav1.TypeMeta{}) {
			continue // comments
		}
		if want := v1beta1.GroupVersion.String(); meta.Kind != kind || meta.APIVersion != want {
			return nil, fmt.Errorf("it has a %s of %s, want %s of %s", meta.Kind, meta.APIVersion, kind, want)
		}
		o := P(new(T))
		if err := yaml.UnmarshalStrict(raw, o); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no %s in it", kind)
	}
	return out, nil
}

// tryObjects makes the alteration that writes all of list.
func tryObjects[T any, P object[T]](ctx context.Context, cl client.Client, s sight, kind string, list []P, have []T, put func(whatif.World, P) whatif.World) (alteration, error) {
	var a alteration
	var names []string
	for _, o := range list {
		name := kind + " " + o.GetName()
		var old client.Object
		for i := range have {
			if P(&have[i]).GetName() == o.GetName() {
				old = P(&have[i])
			}
		}
		if err := s.place(o, old, name); err != nil {
			return a, err
		}
		note, err := tryWrite(ctx, cl, o, old != nil)
		if err != nil {
			return a, fmt.Errorf("the API server would refuse %s: %w", name, err)
		}
		if note != "" {
			a.notes = append(a.notes, name+" "+note)
		}
		names = append(names, name)
	}
	a.condition = strings.Join(names, " and ") + " were as in the file"
	a.apply = func(w whatif.World) whatif.World {
		for _, o := range list {
			w = put(w, o)
		}
		return w
	}
	return a, nil
}

// place gives the object of a file what the API server would: its namespace, and if it is there already, its age and version.
func (s sight) place(o, old client.Object, name string) error {
	switch o.GetNamespace() {
	case "":
		o.SetNamespace(s.system)
	case s.system:
	default:
		return fmt.Errorf("%s is in namespace %s; only those in %s count", name, o.GetNamespace(), s.system)
	}
	o.SetResourceVersion("")
	o.SetUID("")
	o.SetCreationTimestamp(metav1.NewTime(s.now))
	if old != nil {
		o.SetResourceVersion(old.GetResourceVersion())
		o.SetUID(old.GetUID())
		o.SetCreationTimestamp(old.GetCreationTimestamp())
	}
	return nil
}

// tryWrite has the API server check the object and fill in defaults, and write nothing. Who may not write gets a note instead.
func tryWrite(ctx context.Context, cl client.Client, o client.Object, exists bool) (note string, err error) {
	if exists {
		err = cl.Update(ctx, o, client.DryRunAll)
	} else {
		err = cl.Create(ctx, o, client.DryRunAll)
	}
	switch {
	case apierrors.IsForbidden(err):
		return "was not checked by the API server, for you may not write it.", nil
	case err == nil && !exists:
		return "is new.", nil
	}
	return "", err
}

package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// completer completes an argument or a flag; see cobra.CompletionFunc.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete makes a completer of a list: it offers what begins with what was typed. What cannot be read is not offered.
func (g *globals) complete(list func(*cobra.Command, client.Client) ([]string, error)) completer {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cl, err := g.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names, err := list(c, cl)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, typed) })
		slices.Sort(names)
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}

// serviceNames completes svc/NAME: the Services of type LoadBalancer in the namespace.
func (g *globals) serviceNames() completer {
	return g.complete(func(c *cobra.Command, cl client.Client) ([]string, error) {
		namespace, err := g.namespace()
		if err != nil {
			return nil, err
		}
		var list corev1.ServiceList
		err = cl.List(c.Context(), &list, client.InNamespace(namespace))
		var out []string
		for _, s := range list.Items {
			if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
				out = append(out, "svc/"+s.Name)
			}
		}
		return out, err
	})
}

// nodeNames completes NODE.
func (g *globals) nodeNames() completer {
	return g.complete(func(c *cobra.Command, cl client.Client) ([]string, error) {
		var list corev1.NodeList
		err := cl.List(c.Context(), &list)
		var out []string
		for _, n := range list.Items {
			out = append(out, n.Name)
		}
		return out, err
	})
}

// addresses completes ADDRESS: those that Services have.
func (g *globals) addresses() completer {
	return g.complete(func(c *cobra.Command, cl client.Client) ([]string, error) {
		var list corev1.ServiceList
		err := cl.List(c.Context(), &list)
		var out []string
		for _, s := range list.Items {
			for _, in := range s.Status.LoadBalancer.Ingress {
				if in.IP != "" {
					out = append(out, in.IP)
				}
			}
		}
		return out, err
	})
}

// one wants one argument; the error shows how the command is called.
func one(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("want one %s: %s", what, c.UseLine())
	}
}

// namespace is that of -n, or of the kubeconfig's context.
func (g *globals) namespace() (string, error) {
	namespace, _, err := g.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// serviceArg reads svc/NAME, service/NAME or NAME, in the namespace of -n. NAMESPACE/NAME is another way to say -n.
func (g *globals) serviceArg(arg string) (lb.Name, error) {
	kind, name, found := strings.Cut(arg, "/")
	if !found {
		kind, name = "svc", arg
	}
	namespace, err := g.namespace()
	if err != nil {
		return lb.Name{}, err
	}
	switch strings.ToLower(kind) {
	case "svc", "service", "services":
	default:
		namespace = kind
	}
	return lb.Name{Namespace: namespace, Name: name}, nil
}

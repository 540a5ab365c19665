package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/steelyard-lb/steelyard/test/lab"
)

// commands are what a person types. name is that of the lab, empty for the default one.
func commands() map[string]func(ctx context.Context, name string, args []string) error {
	return map[string]func(context.Context, string, []string) error{
		"check":   func(context.Context, string, []string) error { return lab.Check() },
		"build":   build,
		"up":      up,
		"down":    attached(0, down),
		"status":  attached(0, status),
		"install": attached(0, install),
		"kubectl": attached(1, kubectl),
		"helm":    attached(1, helm),
		"enter":   attached(2, enter),
		"link":    attached(3, link),
		"power":   attached(2, power),
		"heal":    attached(0, heal),
	}
}

// attached finds the running lab for a command that needs one, and at least so many arguments.
func attached(atLeast int, fn func(context.Context, *lab.Lab, []string) error) func(context.Context, string, []string) error {
	return func(ctx context.Context, name string, args []string) error {
		if len(args) < atLeast {
			return fmt.Errorf("%w: too few arguments", errUsage)
		}
		l, err := lab.Attach(name)
		if err != nil {
			return err
		}
		return fn(ctx, l, args)
	}
}

func build(ctx context.Context, _ string, args []string) error {
	var path string
	var err error
	if len(args) > 0 {
		path, err = lab.Tool(ctx, args[0], os.Stderr)
	} else if err = lab.Check(); err == nil {
		path, err = lab.Build(ctx, os.Stderr)
	}
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

func up(ctx context.Context, name string, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	tier := flags.String("tier", string(lab.Full), "")
	proxy := flags.String("proxy", "nftables", "")
	grace := flags.Duration("grace", 0, "")
	hold := flags.Bool("hold", false, "")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Tier(*tier), ProxyMode: *proxy, Name: name, Log: os.Stderr, Keep: !*hold, NodeGrace: *grace})
	if err != nil {
		return err
	}
	if *hold {
		fmt.Println("It runs until this command is ended (Ctrl-C).")
		<-ctx.Done()
		return l.Down()
	}
	fmt.Println("It goes on running. Try: lab status; lab kubectl get nodes -o wide; lab enter client ip neighbour; lab down")
	return l.Release()
}

func down(_ context.Context, l *lab.Lab, _ []string) error { return l.Down() }

func status(_ context.Context, l *lab.Lab, _ []string) error {
	fmt.Printf("lab %s: tier %s, kube-proxy in %s mode, made %s by %s\n\n", l.Name, l.Tier, l.ProxyMode, l.Created.Format("15:04:05"), l.Command)
	for _, h := range append([]lab.Host{l.ControlPlane(), l.LAN(), l.Client(), l.Router()}, l.Nodes()...) {
		if h.NS == "" {
			continue
		}
		var addrs []string
		for _, a := range []fmt.Stringer{h.IPv4, h.IPv6, h.MAC} {
			if s := a.String(); s != "" && s != "invalid IP" {
				addrs = append(addrs, s)
			}
		}
		fmt.Printf("  %-8s namespace %-18s %-5s %s\n", h.Name, h.NS, h.Interface, strings.Join(addrs, " "))
	}
	fmt.Printf("\nrunning: %s\nkubeconfig (from inside): %s\n", strings.Join(l.Processes(), " "), l.Kubeconfig())
	return nil
}

func install(ctx context.Context, l *lab.Lab, args []string) error {
	if err := l.InstallSteelyard(ctx, lab.InstallOptions{Args: args}); err != nil {
		return err
	}
	out, err := l.Kubectl(ctx, "", "-n", "metallb-system", "get", "pods", "-o", "wide")
	fmt.Print(out)
	return err
}

func kubectl(ctx context.Context, l *lab.Lab, args []string) error {
	return attach(l.KubectlCommand(ctx, args...))
}

func helm(ctx context.Context, l *lab.Lab, args []string) error {
	return attach(l.HelmCommand(ctx, args...))
}

func enter(ctx context.Context, l *lab.Lab, args []string) error {
	if l.Node(args[0]).NS != "" {
		return attach(l.NodeCommand(ctx, args[0], args[1], args[2:]...))
	}
	for _, h := range []lab.Host{l.ControlPlane(), l.LAN(), l.Client(), l.Router()} {
		if h.NS != "" && h.Name == args[0] {
			return attach(h.Command(ctx, args[1], args[2:]...))
		}
	}
	return fmt.Errorf("%w: no host %q", errUsage, args[0])
}

func link(_ context.Context, l *lab.Lab, args []string) error {
	if args[2] != "up" && args[2] != "down" {
		return fmt.Errorf("%w: %q is neither up nor down", errUsage, args[2])
	}
	return l.SetLink(args[0], args[1], args[2] == "up")
}

func power(ctx context.Context, l *lab.Lab, args []string) error {
	switch args[1] {
	case "cut":
		return l.CutPower(args[0])
	case "restore":
		return l.RestorePower(ctx, args[0])
	}
	return fmt.Errorf("%w: %q is neither cut nor restore", errUsage, args[1])
}

func heal(ctx context.Context, l *lab.Lab, _ []string) error {
	for _, name := range l.Faults() {
		fmt.Println("healing", name)
	}
	return l.HealAll(ctx)
}

// attach runs a command on this terminal: what is typed there, Ctrl-C included, is for the command and not for this program.
func attach(cmd *exec.Cmd) error {
	cmd.SysProcAttr = nil
	cmd.Cancel = func() error { return os.ErrProcessDone }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if ended := new(exec.ExitError); errors.As(err, &ended) {
			return err
		}
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return nil
}

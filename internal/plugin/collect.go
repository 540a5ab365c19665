package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/internal/bundle"
	"github.com/steelyard-lb/steelyard/internal/doctor"
)

// logSource reads the end of a container's log; previous is that of the container before it was restarted.
type logSource func(ctx context.Context, pod corev1.Pod, container string, previous bool) ([]byte, error)

// logLines is how many lines of each log are collected.
const logLines = 20000

func (g *globals) collect() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "collect",
		Short: "Write an archive for a bug report: objects, views, logs, versions, and what doctor says",
		Long: `Write a .tar.gz for a bug report: the objects that Steelyard looks at, what each speaker knows and decided, the logs, the versions,
and what doctor and status say.

It holds no secret: Secrets and ConfigMaps are not read, of annotations only those of Steelyard's API keep their value, of environment
variables only the names, and what looks like a password or a token in a log is left out. It does hold names, labels and addresses.`,
		Example: `  kubectl steelyard collect
  kubectl steelyard collect -f - | ssh bastion 'cat > bundle.tar.gz'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.collectTo(cmd.Context(), file) },
	}
	c.Flags().StringVarP(&file, "file", "f", "", "where to write it; - for standard output (default steelyard-DATE-TIME.tar.gz)")
	return c
}

// collectTo writes the archive to the file, which is left behind only when it is whole.
func (g *globals) collectTo(ctx context.Context, file string) error {
	cl, err := g.connect()
	if err != nil {
		return err
	}
	at := g.now().UTC()
	folder := "steelyard-" + at.Format("20060102-150405")
	var buf bytes.Buffer
	w := bundle.New(&buf, folder, at)
	if err := g.gather(ctx, cl, w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if file == "-" {
		_, err := g.Out.Write(buf.Bytes())
		return err
	}
	if file == "" {
		file = folder + ".tar.gz"
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	_, err = fmt.Fprintf(g.Out, "%s (%d KiB). Look into it before you send it.\n", file, (buf.Len()+1023)/1024)
	return err
}

// collection is an archive in the making. What could not be read is told in it, and does not end it.
type collection struct {
	*bundle.Writer
	progress io.Writer
	missing  []string
}

// step tells who waits what is being done.
func (c *collection) step(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...) // nobody may be looking
}

func (c *collection) miss(what string, err error) {
	c.missing = append(c.missing, what+": "+err.Error())
}

// gather puts everything into the archive.
func (g *globals) gather(ctx context.Context, cl client.Client, w *bundle.Writer) error {
	c := &collection{Writer: w, progress: g.ErrOut}
	c.step("Reading the cluster ...")
	s, err := g.see(ctx, cl)
	if err != nil {
		return err
	}
	around := readSurroundings(ctx, cl, g.system)
	c.step("Asking the speakers ...")
	g.hear(ctx, &s)
	c.step("%d speakers answered, %d did not", len(s.replies.Views), len(s.replies.Silent))
	facts := factsOf(s, around)
	pods, err := c.objects(ctx, cl, s)
	return errors.Join(err, c.told(s), c.verdicts(s, facts), g.logsInto(ctx, c, pods), g.versionsInto(c, pods), c.end())
}

// told adds what the speakers said.
func (c *collection) told(s sight) error {
	var errs []error
	for _, v := range s.views() {
		raw, err := json.MarshalIndent(v, "", "  ")
		errs = append(errs, err, c.Add("views/"+v.Node+".json", raw))
	}
	for node, err := range s.replies.Silent {
		c.miss("the view of node "+node, err)
	}
	if s.unasked != nil {
		c.miss("the views of all speakers", s.unasked)
	}
	return errors.Join(errs...)
}

// verdicts adds what doctor and status say.
func (c *collection) verdicts(s sight, facts doctor.Facts) error {
	d, st := diagnosisOf(facts), statusOf(s)
	c.step("Doctor found %s, %s, %s", count(d.Errors, "error"), count(d.Warnings, "warning"), count(d.Notes, "note"))
	var errs []error
	for _, f := range []struct {
		name string
		v    any
		text func(p *page)
	}{
		{"doctor", d, func(p *page) { writeDiagnosis(p, d) }},
		{"status", st, func(p *page) { writeStatus(p, s, st, true) }},
	} {
		raw, err := json.MarshalIndent(f.v, "", "  ")
		var text bytes.Buffer
		f.text(newPage(&text))
		errs = append(errs, err, c.Add(f.name+".json", raw), c.Add(f.name+".txt", text.Bytes()))
	}
	return errors.Join(errs...)
}

// logsInto adds the logs of Steelyard's own containers.
func (g *globals) logsInto(ctx context.Context, c *collection, pods []corev1.Pod) error {
	var errs []error
	for _, p := range pods {
		for _, own := range p.Spec.Containers {
			if !bundle.Ours(own.Name) {
				continue
			}
			c.step("Reading the log of %s ...", p.Name)
			for _, l := range []struct {
				suffix   string
				previous bool
			}{{".log", false}, {".previous.log", true}} {
				if l.previous && !restarted(p, own.Name) {
					continue
				}
				text, err := g.logs(ctx, p, own.Name, l.previous)
				if err != nil {
					c.miss("the log of "+p.Name, err)
					continue
				}
				errs = append(errs, c.Add("logs/"+p.Name+l.suffix, text))
			}
		}
	}
	return errors.Join(errs...)
}

func restarted(p corev1.Pod, container string) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container && s.RestartCount > 0 })
}

// readLog reads the log through the API server.
func (g *globals) readLog(ctx context.Context, p corev1.Pod, container string, previous bool) ([]byte, error) {
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	cl, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	lines := int64(logLines)
	return cl.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, Timestamps: true}).DoRaw(ctx)
}

// versionsInto adds which versions of what run.
func (g *globals) versionsInto(c *collection, pods []corev1.Pod) error {
	var out strings.Builder
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Fprintf(&out, "kubectl steelyard: %s, %s\n", info.Main.Version, info.GoVersion)
	}
	if v, err := g.serverVersion(); err != nil {
		c.miss("the version of the API server", err)
	} else {
		fmt.Fprintf(&out, "API server: %s\n", v)
	}
	for _, p := range pods {
		for _, s := range p.Status.ContainerStatuses {
			fmt.Fprintf(&out, "%s on %s, container %s: %s %s\n", p.Name, p.Spec.NodeName, s.Name, s.Image, s.ImageID)
		}
	}
	return c.Add("versions.txt", []byte(out.String()))
}

// askVersion asks the API server for its version.
func (g *globals) askVersion() (string, error) {
	cfg, err := g.config()
	if err != nil {
		return "", err
	}
	cl, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return "", fmt.Errorf("reaching the cluster: %w", err)
	}
	v, err := cl.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return v.GitVersion, nil
}

// end adds what is missing.
func (c *collection) end() error {
	if len(c.missing) == 0 {
		return nil
	}
	c.step("%s could not be read; missing.txt says which", count(len(c.missing), "thing"))
	return c.Add("missing.txt", []byte(strings.Join(c.missing, "\n")+"\n"))
}

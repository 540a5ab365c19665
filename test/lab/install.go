package lab

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/steelyard-lb/steelyard/test/lab/image"
)

// InstallOptions says what InstallSteelyard installs. The zero value is what `make build` left in this clone.
type InstallOptions struct {
	// Controller and Speaker are paths of static binaries; default bin/steelyard-controller and bin/steelyard-speaker.
	Controller, Speaker string
	// Chart is the path of the chart; default charts/steelyard.
	Chart string
	// Release and Namespace; default steelyard and metallb-system.
	Release, Namespace string
	// Args are further arguments of helm, such as --set speaker.logLevel=debug.
	Args []string
}

func (o *InstallOptions) complete() error {
	root, err := Root()
	if err != nil {
		return err
	}
	o.Controller = cmp.Or(o.Controller, filepath.Join(root, "bin", "steelyard-controller"))
	o.Speaker = cmp.Or(o.Speaker, filepath.Join(root, "bin", "steelyard-speaker"))
	o.Chart = cmp.Or(o.Chart, filepath.Join(root, "charts", "steelyard"))
	o.Release = cmp.Or(o.Release, "steelyard")
	o.Namespace = cmp.Or(o.Namespace, "metallb-system")
	return nil
}

// InstallSteelyard makes images of the binaries, gives them to every node, and installs or upgrades the chart as a user does,
// waiting until all of it is ready.
func (l *Lab) InstallSteelyard(ctx context.Context, o InstallOptions) error {
	if err := o.complete(); err != nil {
		return fmt.Errorf("installing Steelyard: %w", err)
	}
	args := []string{
		"upgrade", "--install", o.Release, o.Chart, "--namespace", o.Namespace, "--create-namespace",
		"--wait", "--timeout", "2m",
	}
	for _, c := range []struct{ component, binary string }{{"controller", o.Controller}, {"speaker", o.Speaker}} {
		repository := "lab.local/steelyard-" + c.component
		tag, err := l.loadBinary(ctx, repository, c.binary)
		if err != nil {
			return fmt.Errorf("installing Steelyard: %w", err)
		}
		args = append(args,
			"--set", c.component+".image.repository="+repository, "--set", c.component+".image.tag="+tag,
			"--set", c.component+".image.pullPolicy=IfNotPresent")
	}
	if _, err := l.Helm(ctx, append(args, o.Args...)...); err != nil {
		pods, _ := l.Kubectl(ctx, "", "-n", o.Namespace, "get", "pods", "-o", "wide") // helm's error is what counts
		return fmt.Errorf("installing Steelyard: %w\n%s", err, pods)
	}
	l.log.line("Steelyard is installed in namespace %s", o.Namespace)
	return nil
}

// loadBinary makes an image of a binary and gives it to every node. The tag comes from the content, so that helm sees an
// upgrade exactly when the binary is another one.
func (l *Lab) loadBinary(ctx context.Context, repository, binary string) (tag string, err error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return "", fmt.Errorf("%w (has `make build` been run?)", err)
	}
	sum := sha256.Sum256(content)
	tag = "dev-" + hex.EncodeToString(sum[:6])
	// The binary stands under the repository's last word in the image, whatever its file is called.
	name := filepath.Base(repository)
	staged := l.path("images", "stage", name)
	if err := os.MkdirAll(filepath.Dir(staged), 0o755); err != nil {
		return "", fmt.Errorf("staging %s: %w", name, err)
	}
	if err := os.WriteFile(staged, content, 0o755); err != nil {
		return "", fmt.Errorf("staging %s: %w", name, err)
	}
	archive := l.path("images", name+".tar")
	if err := image.Build(repository+":"+tag, staged, archive); err != nil {
		return "", err
	}
	return tag, l.LoadImage(ctx, repository+":"+tag, archive)
}

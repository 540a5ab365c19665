package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/steelyard-lb/steelyard/internal/statuspage"
)

// The page is reached as docs/status-page.md says, on whichever replica the port-forward chooses.
func TestTheStatusPageTellsWhatTheClientSees(t *testing.T) {
	s := begin(t)
	s.pool("page", "192.168.1.247/32")
	svc := s.service("page", "page")
	addr := s.address(svc)
	node := s.owner(addr)

	forward := s.Lab.KubectlCommand(t.Context(), "-n", "metallb-system", "port-forward", "deploy/steelyard-controller", "17949")
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = forward.Process.Kill(); _ = forward.Wait() }() // says that it was killed
	get := func(ctx context.Context, args ...string) (string, error) {
		out, err := s.Lab.ControlPlane().Command(ctx, "curl", append([]string{"--silent", "--show-error", "--max-time", "20"}, args...)...).CombinedOutput()
		return string(out), err
	}
	s.eventually("the page tells who answers", func(ctx context.Context) error {
		out, err := get(ctx, "http://localhost:17949/status.json")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		var status statuspage.Status
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			return fmt.Errorf("%w in %s", err, out)
		}
		i := slices.IndexFunc(status.Services, func(v statuspage.Service) bool { return v.Namespace == ns && v.Name == "page" })
		if i < 0 || status.Services[i].State != statuspage.Ready {
			return fmt.Errorf("it says %+v", status.Services)
		}
		if a := status.Services[i].Addresses[0]; a.Address != addr.String() || a.Node != node || a.Pool != "page" || a.Standby == "" {
			return fmt.Errorf("it says %+v, want %v on %s", a, addr, node)
		}
		return nil
	})
	if out, err := get(t.Context(), "http://localhost:17949/?q=page"); err != nil || !strings.Contains(out, addr.String()) {
		t.Errorf("the page is %s, %v", out, err)
	}
	if out, err := get(t.Context(), "--header", "Host: rebind.example", "--write-out", "%{http_code}", "http://localhost:17949/"); err != nil || !strings.HasSuffix(out, "421") {
		t.Errorf("by another name it answers %s, %v", out, err)
	}
}

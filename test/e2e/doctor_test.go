package e2e

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// finding is the part of doctor's JSON that the tests read.
type finding struct{ Severity, Rule, Where, What, Fix string }

// doctor returns what doctor finds, and whether it ended with 1.
func (s *scenario) doctor() (found []finding, failed bool) {
	s.Helper()
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		s.Fatal(err)
	}
	cmd := s.Lab.KubectlCommand(s.ctx, "steelyard", "doctor", "-o", "json")
	cmd.Env = append(cmd.Env, "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		failed, err = true, nil
	}
	var told struct{ Findings []finding }
	if err := errors.Join(err, json.Unmarshal(out, &told)); err != nil {
		s.Fatalf("kubectl steelyard doctor: %v in\n%s", err, out)
	}
	return told.Findings, failed
}

func TestDoctorFindsAnErrorAndKnowsTheCommandThatMendsIt(t *testing.T) {
	s := begin(t)
	found, failed := s.doctor()
	if failed || slices.ContainsFunc(found, func(f finding) bool { return f.Severity != "note" && f.Rule != "clock" }) {
		s.Errorf("in a cluster in which nothing is wrong doctor ended with 1: %v, and found %+v", failed, found)
	}
	if !slices.ContainsFunc(found, func(f finding) bool { return f.Rule == "tcp-loose" }) {
		s.Errorf("doctor knows nothing of the nodes' own settings: %+v", found)
	}

	node := s.Lab.Nodes()[0]
	s.pool("doctored", node.IPv4.String()+"/32")
	found, failed = s.doctor()
	at := slices.IndexFunc(found, func(f finding) bool { return f.Rule == "pool-takes-node-address" })
	if !failed || at < 0 || found[at].Where != "IPAddressPool doctored" || !strings.Contains(found[at].What, node.Name) {
		s.Fatalf("a pool has the address of %s; doctor ended with 1: %v, and found %+v", node.Name, failed, found)
	}
	command, patch, _ := strings.Cut(found[at].Fix, " -p ")
	s.kubectl("", append(strings.Fields(command)[1:], "-p", strings.Trim(patch, "'"))...)
	if found, failed = s.doctor(); failed {
		s.Errorf("after the command that mends it doctor finds %+v", found)
	}
}

func TestCollectHasEverySpeakersViewAndLog(t *testing.T) {
	s := begin(t)
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	s.plugin("collect", "-f", path)
	f, err := os.Open(path)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		s.Fatal(err)
	}
	views, logs := 0, 0
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.Fatal(err)
		}
		switch {
		case strings.Contains(h.Name, "/views/") && h.Size > 0:
			views++
		case strings.Contains(h.Name, "/logs/") && h.Size > 0:
			logs++
		case strings.HasSuffix(h.Name, "missing.txt"):
			text, _ := io.ReadAll(r) // an error would show in the next header
			s.Errorf("could not be collected:\n%s", text)
		}
	}
	if nodes := len(s.Lab.Nodes()); views != nodes || logs < nodes+1 {
		s.Errorf("the archive has %d views and %d logs, want %d, and one for each speaker and controller", views, logs, nodes)
	}
}

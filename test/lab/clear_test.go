package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// sleeper starts a process that would run for a minute, and returns its record.
func sleeper(t *testing.T) proc.Record {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err == nil {
			_ = cmd.Wait() // it was killed, and says so
		}
	})
	r, err := proc.Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKillRecordedEndsWhatWasRecordedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	recorded, interrupted, bystander := sleeper(t), sleeper(t), sleeper(t)
	reused := proc.Record{PID: bystander.PID, Start: bystander.Start - 1} // a stranger got the number of one of ours
	for path, r := range map[string]proc.Record{
		"pids/etcd": recorded, "pids/node1": reused, "pids-ending/1/kubelet": interrupted,
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := killRecorded(dir); err != nil {
		t.Fatal(err)
	}
	if recorded.Alive() || interrupted.Alive() {
		t.Error("a recorded process lives")
	}
	if !bystander.Alive() {
		t.Error("a process that was not recorded was ended")
	}
	// A process that is late must not be able to record itself any more, for nobody would end it.
	if err := bystander.Write(filepath.Join(dir, "pids", "late")); err == nil {
		t.Error("a late process could record itself")
	}
	if err := killRecorded(dir); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestCoveredDirectoriesGoWithTheLastLab(t *testing.T) {
	root, machine := t.TempDir(), t.TempDir()
	there := filepath.Join(machine, "var")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	dirs := []string{filepath.Join(there, "lib", "kubelet"), filepath.Join(machine, "etc", "cni", "net.d"), filepath.Join(machine, "log")}
	for range 2 { // the second lab finds them made
		if err := makeCovered(root, dirs); err != nil {
			t.Fatal(err)
		}
	}
	used := filepath.Join(machine, "log", "somebody's")
	if err := os.WriteFile(used, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	lab := filepath.Join(root, "other", "lab.json")
	if err := os.MkdirAll(filepath.Dir(lab), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lab, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := removeCovered(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dirs[0]); err != nil {
		t.Errorf("gone while another lab is up: %v", err)
	}
	if err := os.Remove(lab); err != nil {
		t.Fatal(err)
	}
	if err := removeCovered(root); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{there: true, filepath.Join(there, "lib"): false, filepath.Join(machine, "etc"): false, used: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s there: %v, want %v", path, err == nil, want)
		}
	}
}

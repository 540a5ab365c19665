package proc

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	for _, tc := range []struct {
		name, stat, state string
		start             uint64
		bad               bool
	}{
		{name: "plain", stat: "42 (sleep)" + rest, state: "S", start: 4711},
		{name: "a name with spaces and parentheses", stat: "42 (a) R 1 (b)" + rest, state: "S", start: 4711},
		{name: "truncated", stat: "42 (sleep) S 1 2", bad: true},
		{name: "empty", stat: "", bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			state, start, err := parseStat(tc.stat)
			if (err != nil) != tc.bad || state != tc.state || start != tc.start {
				t.Errorf("got %q %d %v, want %q %d, error: %v", state, start, err, tc.state, tc.start, tc.bad)
			}
		})
	}
}

func TestKillEndsTheProcessThatWasRecorded(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil { // not waited for yet, so it stays as a zombie, which counts as gone
		t.Fatal(err)
	}
	if r.Alive() {
		t.Error("a killed process counts as alive")
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("the process ended with %v, want a signal", err)
	}
	if err := r.Kill(); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

func TestKillSparesAProcessThatGotTheSameNumber(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	stranger := Record{PID: self.PID, Start: self.Start - 1}
	if stranger.Alive() {
		t.Error("a record with another start time counts as alive")
	}
	if err := stranger.Signal(0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Signal: %v, want fs.ErrNotExist", err)
	}
	if err := stranger.Kill(); err != nil { // were it not spared, this test would end here
		t.Error(err)
	}
}

func TestRecordSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web")
	want := Record{PID: 4711, Start: 1234567890}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path); err != nil || got != want {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "x y\n", "1 5\n", "-3 5\n", "12\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); err == nil {
			t.Errorf("%q was read as %v", bad, r)
		}
	}
}

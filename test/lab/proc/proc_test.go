package proc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4711 0 0"
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
			state, threads, start, err := parseStat(tc.stat)
			if (err != nil) != tc.bad || state != tc.state || start != tc.start || err == nil && threads != 3 {
				t.Errorf("got %q %d %d %v, want %q 3 %d, error: %v", state, threads, start, err, tc.state, tc.start, tc.bad)
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

// A Go program executes another from any of its threads. While the kernel makes that thread the first one, the process must not
// seem to have ended.
func TestAProcessThatExecutesAnotherStaysAlive(t *testing.T) {
	const left = "PROC_TEST_EXECUTIONS"
	if n, err := strconv.Atoi(os.Getenv(left)); err == nil {
		executeAgain(left, n)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessThatExecutesAnotherStaysAlive$")
	cmd.Env = append(os.Environ(), left+"=30")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	go func() {
		_, _ = out.Read(make([]byte, 1)) // the last one says a word, or they have ended
		over.Store(true)
	}()
	looks := 0
	for ; !over.Load(); looks++ {
		if !r.Alive() {
			t.Errorf("the process counted as gone at look %d", looks)
			break
		}
	}
	t.Logf("looked %d times", looks)
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

// executeAgain executes this program n times more, each time from a thread that is not the first. The last one says a word and
// waits for the end of its input.
func executeAgain(variable string, n int) {
	if n == 0 {
		fmt.Print(".")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	done := make(chan error)
	runtime.LockOSThread() // the test's own thread: the goroutine below gets another
	go func() {
		err := os.Setenv(variable, strconv.Itoa(n-1))
		done <- errors.Join(err, syscall.Exec(os.Args[0], os.Args, os.Environ()))
	}()
	fmt.Fprintln(os.Stderr, <-done)
	os.Exit(1)
}

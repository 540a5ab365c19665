package main

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

func TestWrongUsageIsExitCode2(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":               {},
		"an unknown command":       {"fly"},
		"an unknown flag":          {"up", "--tier", "full", "--color"},
		"too few arguments":        {"link", "node1", "lan"},
		"a name without a command": {"-name", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(context.Background(), args)
			if !errors.Is(err, errUsage) || exitCode(err) != 2 {
				t.Errorf("%v is exit code %d, want 2", err, exitCode(err))
			}
		})
	}
}

func TestExitCodeOfACommandIsPassedOn(t *testing.T) {
	err := exec.Command("sh", "-c", "exit 7").Run()
	if got := exitCode(err); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
	if got := exitCode(errors.New("no")); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
	if got := exitCode(nil); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

func TestALabThatIsNotThereIsAPlainError(t *testing.T) {
	err := run(context.Background(), []string{"-name", "no-such-lab", "status"})
	if err == nil || exitCode(err) != 1 {
		t.Errorf("%v is exit code %d, want 1", err, exitCode(err))
	}
}

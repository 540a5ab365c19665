package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestALockIsHeldByOneAndSaysByWhom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labs", "x.lock")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	first, err := tryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tryLock(path)
	if !errors.Is(err, errHeld) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second holder gets %v, want the first one's process id", err)
	}
	if err := first.release(false); err != nil {
		t.Fatal(err)
	}
	second, err := tryLock(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := second.release(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("the last lab is gone and its directory is not")
	}
}

func TestALabThatIsGoneTakesOnlyItsOwnFiles(t *testing.T) {
	dir := t.TempDir()
	l, err := tryLock(filepath.Join(dir, "x.lock"))
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "y.lock")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.release(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// addLine appends a line to a list of what was made, before it is made.
func addLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("noting %s: %w", line, err)
	}
	_, err = fmt.Fprintln(f, line)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("noting %s: %w", line, err)
	}
	return nil
}

// readLines returns the lines of such a list; none when there is no file.
func readLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was made: %w", err)
	}
	return strings.Fields(string(text)), nil
}

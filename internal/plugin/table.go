package plugin

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// paint is an ANSI colour (ECMA-48 §8.3.117); the zero paint is none.
type paint string

const (
	plain  paint = ""
	bold   paint = "1"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
)

// cell is one field of a table.
type cell struct {
	text string
	paint
}

// page writes text for people: headed tables, with colours only when they are shown.
type page struct {
	w      io.Writer
	colour bool
	err    error // the first; what follows is not written
}

// newPage paints when w is a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb.
func newPage(w io.Writer) *page {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return &page{w: w}
	}
	info, err := f.Stat()
	return &page{w: w, colour: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *page) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// painted returns the text with its colour.
func (p *page) painted(c cell) string {
	if !p.colour || c.paint == plain || c.text == "" {
		return c.text
	}
	return "\x1b[" + string(c.paint) + "m" + c.text + "\x1b[0m"
}

// title writes a heading, after an empty line unless it is the first.
func (p *page) title(first bool, format string, args ...any) {
	if !first {
		p.printf("\n")
	}
	p.printf("%s\n", p.painted(cell{fmt.Sprintf(format, args...), bold}))
}

// table writes rows in columns below their heads. Empty fields become "-"; a blank stays one.
func (p *page) table(head []string, rows [][]cell) {
	width := make([]int, len(head))
	all := [][]cell{}
	if strings.Join(head, "") != "" {
		all = append(all, make([]cell, len(head)))
		for i, h := range head {
			all[0][i] = cell{text: h}
		}
	}
	for _, r := range rows {
		r = slices.Clone(r)
		for i := range r {
			if r[i].text == "" {
				r[i].text = "-"
			}
		}
		all = append(all, r)
	}
	for _, r := range all {
		for i := range r {
			width[i] = max(width[i], utf8.RuneCountInString(r[i].text))
		}
	}
	for _, r := range all {
		line := ""
		for i, c := range r {
			line += p.painted(c) + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text)+2)
		}
		p.printf("%s\n", strings.TrimRight(line, " "))
	}
}

// row makes fields without a colour.
func row(texts ...string) []cell {
	out := make([]cell, len(texts))
	for i, t := range texts {
		out[i].text = t
	}
	return out
}

package statuspage

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

// PerPage is the number of Services that a page shows.
const PerPage = 50

// maxListed is how many of a kind a list names before it says how many more there are.
const maxListed = 8

//go:embed page.html style.css page.js icon.svg
var files embed.FS

// File returns a file that the page refers to, style.css, page.js or icon.svg, and its media type; ok is false for any other name.
func File(name string) (content []byte, mediaType string, ok bool) {
	mediaType, ok = map[string]string{
		"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	}[name]
	if !ok {
		return nil, "", false
	}
	content, err := files.ReadFile(name)
	return content, mediaType, err == nil
}

// Query says which Services a page shows.
type Query struct {
	// Text is words; a Service is shown that has all of them in its name, state, addresses, pools, nodes or reason. Case does not
	// matter. Empty: all.
	Text string
	Page int // counted from 1; out of bounds is the nearest
}

// Renderer writes pages. It may be used by several goroutines.
type Renderer struct{ template *template.Template }

// NewRenderer parses the page's template, which is part of the binary.
func NewRenderer() Renderer {
	return Renderer{template.Must(template.New("page.html").Funcs(template.FuncMap{
		"count": func(n int) string { return num(int64(n)) }, "plural": plural, "stateWord": stateWord, "dash": dash, "states": states, "more": more, "firstOf": firstOf, "because": because,
	}).ParseFS(files, "page.html"))}
}

// Write writes the page. An error is one of w.
func (r Renderer) Write(w io.Writer, s Status, q Query) error {
	if err := r.template.Execute(w, newPage(s, q)); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// page is what the template looks at.
type page struct {
	Status
	Text     string
	Rows     []Service
	Matches  int
	Number   int // of this page
	Pages    int
	Attend   []notice
	Headline string
}

func newPage(s Status, q Query) page {
	p := page{Status: s, Text: strings.TrimSpace(q.Text), Headline: headline(s.Summary), Attend: notices(s)}
	matching := filter(s.Services, p.Text)
	p.Matches = len(matching)
	p.Pages = max(1, (p.Matches+PerPage-1)/PerPage)
	p.Number = min(max(1, q.Page), p.Pages)
	p.Rows = matching[(p.Number-1)*PerPage : min(p.Number*PerPage, p.Matches)]
	return p
}

// First is the number of the first row, counted from 1.
func (p page) First() int { return (p.Number-1)*PerPage + 1 }

// Last is the number of the last row.
func (p page) Last() int { return p.First() + len(p.Rows) - 1 }

// Prev is the number of the page before this one.
func (p page) Prev() int { return p.Number - 1 }

// Next is the number of the page after this one.
func (p page) Next() int { return p.Number + 1 }

// filter returns the Services that have every word of text.
func filter(all []Service, text string) []Service {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return all
	}
	var out []Service
	for _, s := range all {
		hay := haystack(s)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(hay, w) }) {
			out = append(out, s)
		}
	}
	return out
}

func haystack(s Service) string {
	parts := []string{s.Namespace + "/" + s.Name, string(s.State), s.Reason}
	for _, a := range s.Addresses {
		parts = append(parts, a.Address, a.Pool, a.Node)
	}
	return strings.ToLower(strings.Join(parts, " "))
}

// firstOf returns the first few of a list.
func firstOf(list []string) []string { return list[:min(len(list), maxListed)] }

// more is how many firstOf leaves out.
func more(list []string) int { return max(0, len(list)-maxListed) }

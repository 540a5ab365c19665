package controllers

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// browser is a headless Chromium, and what it complained about and asked for since the last reset.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	wrong    []string // errors of the console, exceptions, and what the Content-Security-Policy refused
	requests []string // URLs
}

// newBrowser starts one. No name resolves in it, so that it reaches nothing but the loopback.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the status page is tested in a browser: install the Debian package chromium (make deps): %v", err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	b := &browser{}
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	chromedp.ListenTarget(b.ctx, b.hear)
	if err := chromedp.Run(b.ctx, network.Enable(), cdplog.Enable()); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return b
}

func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *cdplog.EventEntryAdded:
		b.wrong = append(b.wrong, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		b.wrong = append(b.wrong, fmt.Sprintf("console.%s", e.Type))
	}
}

// run does what the actions say.
func (b *browser) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// quiet checks that nothing went wrong since the last time, and that nothing was asked of anybody but origin.
func (b *browser) quiet(t *testing.T, origin string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		t.Errorf("the browser complains: %q", b.wrong)
	}
	for _, url := range b.requests {
		if !strings.HasPrefix(url, origin+"/") {
			t.Errorf("the page asks for %s", url)
		}
	}
	if len(b.requests) == 0 {
		t.Error("no request was seen: the test watches nothing")
	}
	b.wrong, b.requests = nil, nil
}

func scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

// shoot writes a picture of the whole page into the folder SCREENSHOTS, when there is one. Those in docs/images are three-*-1440.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	var png []byte
	b.run(t, chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPageInABrowser(t *testing.T) {
	b := newBrowser(t)
	for _, c := range []struct {
		name    string
		shelf   *pageShelf
		figures []string // Services, waiting, addresses, nodes, conflicts
		rows    int
		notices int
		cells   map[string]int
	}{
		{"none", &pageShelf{}, []string{"0", "0", "0", "0", "0"}, 0, 0, map[string]int{}},
		{"three", threeServices(), []string{"3", "1", "3", "2", "1"}, 3, 2,
			map[string]int{"assigned": 2, "avoided": 1, "conflict": 1, "free": 52 + 15 + 255, "quarantined": 1, "reserved": 8, "retained": 1}},
		{"many", manyServices(5000), []string{"5,000", "20", "4,980", "3", "0"}, 50, 1, map[string]int{"assigned": 20, "free": 3*256 - 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(pageOver(c.shelf))
			defer srv.Close()
			backgrounds := map[string]string{}
			for _, look := range []string{"light", "dark"} {
				for _, width := range []int64{380, 1440} {
					var got sight
					b.run(t, chromedp.EmulateViewport(width, 900), scheme(look), chromedp.Navigate(srv.URL), chromedp.Evaluate(probe, &got))
					backgrounds[look] = got.Background
					want := sight{Figures: c.figures, Rows: c.rows, Notices: c.notices, Cells: c.cells, Faint: []string{}, Unnamed: []string{}}
					want.Title, want.Headline = "Steelyard – "+got.Headline, got.Headline
					want.Elements, want.Background, want.Loaded = got.Elements, got.Background, got.Loaded
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("what %s shows at a width of %d (-want +got):\n%s", look, width, diff)
					}
					if got.Elements > 4000 || got.Loaded > 10_000 {
						t.Errorf("the page has %d elements and was there after %.0f ms", got.Elements, got.Loaded)
					}
					b.quiet(t, srv.URL)
					b.shoot(t, fmt.Sprintf("%s-%s-%d", c.name, look, width))
				}
			}
			if backgrounds["light"] == backgrounds["dark"] {
				t.Errorf("light and dark have the backgrounds %v", backgrounds)
			}
		})
	}
	t.Run("refreshes by itself", func(t *testing.T) { refreshes(t, b) })
	t.Run("finds while somebody types", func(t *testing.T) { finds(t, b) })
	t.Run("works without scripts", func(t *testing.T) { withoutScripts(t, b) })
	t.Run("runs nothing that a Service is named", func(t *testing.T) { hostile(t, b) })
}

// hurried makes timers of the pages that come run out 50 times as fast.
func hurried(t *testing.T, b *browser) {
	t.Helper()
	var id page.ScriptIdentifier
	b.run(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		id, err = page.AddScriptToEvaluateOnNewDocument(`{const slow = setTimeout; window.setTimeout = (f, ms) => slow(f, ms / 50)}`).Do(ctx)
		return err
	}))
	t.Cleanup(func() { b.run(t, page.RemoveScriptToEvaluateOnNewDocument(id)) })
}

func refreshes(t *testing.T, b *browser) {
	hurried(t, b)
	s := threeServices()
	p := pageOver(s)
	srv := httptest.NewServer(p)
	defer srv.Close()
	b.run(t, chromedp.Navigate(srv.URL), chromedp.WaitVisible("#rows tbody tr:nth-child(3)"))
	p.source.Store(pageOver(manyServices(10)).source.Load())
	var shown string
	b.run(t, chromedp.WaitVisible("#rows tbody tr:nth-child(10)"), chromedp.Text("h1", &shown))
	if shown != "1 of 10 Services waits for an address." {
		t.Errorf("after a refresh: %q", shown)
	}
	b.quiet(t, srv.URL)
	srv.Close()
	b.run(t, chromedp.WaitVisible(`//*[@role="status"][contains(., "does not answer")]`), chromedp.Navigate("about:blank"))
	b.mu.Lock()
	b.wrong, b.requests = nil, nil // the console told that nobody answers
	b.mu.Unlock()
}

func finds(t *testing.T, b *browser) {
	srv := httptest.NewServer(pageOver(manyServices(5000)))
	defer srv.Close()
	var row, url string
	b.run(t, chromedp.Navigate(srv.URL), chromedp.SendKeys("#q", "TEAM-39 app-4999"), chromedp.WaitVisible("#rows tbody tr:only-child"),
		chromedp.Text("#rows tbody tr", &row), chromedp.Location(&url))
	if !strings.Contains(row, "team-39/app-4999") || !strings.HasSuffix(url, "/?q=TEAM-39%20app-4999") {
		t.Errorf("found %q at %s", row, url)
	}
	b.quiet(t, srv.URL)
}

func withoutScripts(t *testing.T, b *browser) {
	b.run(t, emulation.SetScriptExecutionDisabled(true))
	defer func() { b.run(t, emulation.SetScriptExecutionDisabled(false)) }()
	srv := httptest.NewServer(pageOver(manyServices(5000)))
	defer srv.Close()
	var row string
	b.run(t, chromedp.Navigate(srv.URL), chromedp.Click(`a[rel="next"]`), chromedp.WaitVisible(`a[rel="prev"]`),
		chromedp.SendKeys("#q", "waiting app-1257"), chromedp.Click("#search button"), chromedp.WaitVisible("#rows tbody tr:only-child"),
		chromedp.Text("#rows tbody tr", &row))
	if !strings.Contains(row, "app-1257") || !strings.Contains(row, "Exhausted") {
		t.Errorf("found %q", row)
	}
	b.quiet(t, srv.URL)
}

func hostile(t *testing.T, b *browser) {
	hurried(t, b)
	srv := httptest.NewServer(pageOver(hostileServices()))
	defer srv.Close()
	var got struct {
		Foreign, Refreshed int
		Ran                bool
		Text               string
	}
	b.run(t, chromedp.Navigate(srv.URL+"/?q=%3Cscript%3Eran%3D1%3C/script%3E"), chromedp.Navigate(srv.URL),
		chromedp.WaitReady(`html[data-refreshed="3"]`), chromedp.Evaluate(`({
			Foreign: document.querySelectorAll("main img, main script, main iframe, main [onclick], main [onerror]").length,
			Ran: "ran" in window, Text: document.querySelector("#rows").textContent})`, &got))
	if got.Foreign != 0 || got.Ran || !strings.Contains(got.Text, evil) {
		t.Errorf("%d elements came from the names, run: %v; the table says %q", got.Foreign, got.Ran, got.Text)
	}
	b.quiet(t, srv.URL)
}

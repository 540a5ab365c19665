package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/steelyard-lb/steelyard/internal/liveness"
	"github.com/steelyard-lb/steelyard/speaker/gossip"
)

// root is the project's root, seen from this package's directory, in which go test runs.
const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pages are all Markdown files, relative to the root.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			rel, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rel)
		}
	}
	if len(out) < 8 {
		t.Fatalf("found only %v", out)
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(page), m[1])
			if m[1] == "" {
				target = page
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			} else if m[2] != "" && !anchors(read(t, target))[m[2]] {
				t.Errorf("%s links to #%s, and %s has no such heading", page, m[2], target)
			}
		}
	}
}

// anchors are the names by which the headings of a page can be linked to, as GitHub makes them: in lower case, with hyphens for blanks
// and without what is no letter, digit, hyphen or underscore.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(page, -1) {
		slug := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(m[1])), " ", "-")
		out[regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(slug, "")] = true
	}
	return out
}

func TestHeadingsAreLinkedToByTheirWords(t *testing.T) {
	got := anchors("# What `drain` does, and when\ntext # no heading\n## IPv4/IPv6: both\n")
	if len(got) != 2 || !got["what-drain-does-and-when"] || !got["ipv4ipv6-both"] {
		t.Errorf("%v", got)
	}
}

func TestMakeTargetsExist(t *testing.T) {
	makefile := "\n" + read(t, "Makefile")
	command := regexp.MustCompile("(?m)(?:`|^    )make ([a-z0-9-]+(?: [a-z0-9-]+)*)")
	found := 0
	for _, page := range pages(t) {
		for _, m := range command.FindAllStringSubmatch(read(t, page), -1) {
			for _, target := range strings.Fields(m[1]) {
				found++
				if !strings.Contains(makefile, "\n"+target+":") {
					t.Errorf("%s says make %s, and there is no such target", page, target)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d make commands, want those of README and CONTRIBUTING", found)
	}
}

// The figures that the code can work out are those that the page on failover shows.
func TestFailoverFiguresAreThoseOfTheCode(t *testing.T) {
	page := read(t, "docs/failover.md")
	const questions = 180 * time.Millisecond // what the page says of asking a host: 40 ms, 40 ms, 100 ms
	span := func(least, most time.Duration) string {
		return fmt.Sprintf("%v to %v", least.Round(time.Millisecond), most.Round(time.Millisecond))
	}
	var rows []string
	for i, p := range gossip.Profiles() {
		name := "`" + p.Name + "`"
		if i == 0 {
			name += " (default)"
		}
		least, most := p.Timing.Notice()
		rows = append(rows, fmt.Sprintf("| %s | %v | %s | %s | %s | %s | %s | %.0f |", name, p.Timing.PingInterval, span(least, most),
			span(least+questions, most+questions), span(liveness.Deafness(most)), span(p.Timing.Detection(3)), span(p.Timing.Detection(100)), p.Timing.Packets(3)))
	}
	for n, name := range map[int]string{1: "1", 2: "2 or more", 100: "2 or more"} {
		b := liveness.BudgetPerSecond(n)
		rows = append(rows, fmt.Sprintf("| %s | %d | %d | %d |", name, b.Asked, b.Answered, b.Total()))
	}
	for _, row := range rows {
		if !strings.Contains(page, "\n"+row+"\n") {
			t.Errorf("docs/failover.md has no row\n%s", row)
		}
	}
}

func TestQuickstartIsTheSameEverywhere(t *testing.T) {
	want := read(t, "config/samples/quickstart.yaml")
	if got := read(t, "test/rig/quickstart.yaml"); got != want {
		t.Error("the lab runs another quickstart than config/samples/quickstart.yaml")
	}
	if !strings.Contains(read(t, "README.md"), "```yaml\n"+want+"```\n") {
		t.Error("README.md shows another quickstart than config/samples/quickstart.yaml")
	}
}

package main

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/lb"
)

func TestQuantileTakesTheNearestRank(t *testing.T) {
	var hundred samples
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		name string
		s    samples
		q    float64
		want time.Duration
	}{
		{"the least", hundred, 0, 1},
		{"the median of an even number", hundred, 0.5, 50},
		{"p99", hundred, 0.99, 99},
		{"the greatest", hundred, 1, 100},
		{"the median of three", samples{30, 10, 20}, 0.5, 20},
		{"one sample", samples{7}, 0.99, 7},
		{"none", nil, 0.5, 0},
	} {
		if got := c.s.quantile(c.q); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("quantile changed its samples")
	}
}

func TestTheExamplePeerFileIsComplete(t *testing.T) {
	p, err := readPeer("peer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range p.Manifests {
		if _, err := os.Stat(filepath.Join(p.dir, m)); err != nil {
			t.Errorf("a manifest is missing: %v", err)
		}
	}
	if err := p.makeSecret(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fill(p.Controller, map[string]string{"kubeconfig": "k"}); err != nil {
		t.Error(err)
	}
	got, err := p.fill(p.Speaker, map[string]string{"kubeconfig": "k", "node": "node1", "nodeIP": "192.168.1.11", "pod": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(got, " "); !strings.Contains(line, "--node-name=node1") || !strings.Contains(line, "192.168.1.11:17944") {
		t.Errorf("the speaker's command is %q", line)
	}
}

func TestAPeerFileWithAMistakeIsRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field", "name: x\ncontroler: {}\n", "controler"},
		{"no commands", "name: x\n", "controller.command"},
		{"not YAML", ":\n:", "peer file"},
	} {
		path := filepath.Join(t.TempDir(), "peer.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPeer(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestFillPutsTheEnvironmentFirstAndRefusesUnknownPlaceholders(t *testing.T) {
	p := &peer{Namespace: "there", dir: "/d"}
	got, err := p.fill(program{Command: []string{"run", "--in={{namespace}}"}, Env: map[string]string{"B": "{{node}}", "A": "1"}}, map[string]string{"node": "node1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"env", "A=1", "B=node1", "run", "--in=there"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := p.fill(program{Command: []string{"{{nod}}"}}, nil); err == nil {
		t.Error("an unknown placeholder was accepted")
	}
}

func TestTheInspectScriptFindsThisProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []bool{false, true} {
		list, err := inspect(func(script string, args ...string) ([]byte, error) {
			return exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...).Output()
		}, filepath.Base(self), own)
		if err != nil || len(list) == 0 || largestRSS(list) < 1<<20 {
			t.Errorf("own network only %v: %+v, %v; want this process with its memory", own, list, err)
		}
	}
}

func TestUsageIsReadWithItsUnits(t *testing.T) {
	list, err := parseUsage([]byte("2048 150 50\n1024 0 1\n"))
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got, want := totalCPU(list), 2010*time.Millisecond; got != want {
		t.Errorf("CPU time %v, want %v", got, want)
	}
	if got := largestRSS(list); got != 2<<20 {
		t.Errorf("memory %d, want 2 MiB", got)
	}
	if _, err := parseUsage([]byte("2048 150\n")); err == nil {
		t.Error("a line with a field missing was accepted")
	}
}

func TestTheTableHasAColumnForEachSubject(t *testing.T) {
	tab := table{options: options{Cuts: 2, Services: 3, Burst: 4}, floor: 2 * time.Second, results: []result{
		{name: "one", announced: samples{time.Second, 3 * time.Second}, released: 3 * time.Second},
		{name: "other"},
	}}
	text := tab.markdown()
	for _, want := range []string{"| | one | other |\n", "| 1.00 s / 1.00 s / 3.00 s | – |\n", "| × 1.50 | – |\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTheTableHasOnlyThePartsThatWereRun(t *testing.T) {
	at := time.Unix(1000, 0)
	tab := table{
		options: options{Scale: 7, Tries: 3, Only: []string{"plan", "scale"}},
		plans:   []planFigure{{"a plan", samples{time.Second}}},
		results: []result{{name: "one", scale: scaleResult{
			floor: period{at, at.Add(2 * time.Second)}, burst: period{at, at.Add(3 * time.Second)}, rss: 5 << 20, freshRSS: 4 << 20,
		}}},
	}
	text := tab.markdown()
	for _, want := range []string{"| × 1.50 of 2.00 s |", "| 5 MiB / 4 MiB |", "| a plan | 1.00 s / 1.00 s / 1.00 s |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"power cut", "leader"} {
		if strings.Contains(text, not) {
			t.Errorf("%q in\n%s", not, text)
		}
	}
}

func TestAnswersAreComparedWithTheBareAnswererOfTheSameSize(t *testing.T) {
	figure := func(bare bool, n int, took time.Duration) answerFigure {
		f := answerFigure{contestant: contestant{"", bare, n}}
		f.asked[0] = answerTimes{medians: samples{took}, tails: samples{took}, rates: []float64{float64(time.Second / took)}}
		return f
	}
	tab := table{options: options{Only: []string{"answer"}}, answers: []answerFigure{
		figure(true, 2, time.Millisecond), figure(false, 2, 2*time.Millisecond), figure(true, 10, 4*time.Millisecond), figure(false, 10, 5*time.Millisecond),
	}}
	text := tab.markdown()
	for _, want := range []string{
		"with as many addresses | – | × 2.00 | – | × 1.25 |\n", "with few addresses | – | – | × 4.00 | × 2.50 |\n",
		"under way | 1000 | 500 | 250 | 200 |\n", "NS to the owner alone: time until the answer, p50 / p99 | – / – | – / – | – / – | – / – |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestTheAnnouncedAddressesAreAsManyAsSaidAndEachOnce(t *testing.T) {
	got := announced(10000)
	seen := map[netip.Addr]bool{}
	for _, a := range got {
		seen[a] = true
	}
	if len(got) != 10000 || len(seen) != 10000 || !seen[asked()[0]] || !seen[asked()[1]] {
		t.Errorf("%d addresses, %d different ones, asked for among them: %v %v", len(got), len(seen), seen[asked()[0]], seen[asked()[1]])
	}
}

func TestPlansServeEverybody(t *testing.T) {
	for _, s := range settle(allocate.World{Pools: []lb.Pool{pool("p", "10.0.0.0/24")}, Services: crowdOf(256)}).Services {
		if len(s.Held) != 1 {
			t.Errorf("%v has %v", s.Name, s.Held)
		}
	}
}

func TestParseRefusesWhatMeasuresNothing(t *testing.T) {
	for _, args := range [][]string{{"--cuts=-1"}, {"--only=everything"}, {"--scale=0"}, {"--scale=70000"}, {"--own=false", "--peer="}, {"stray"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	if o, err := parse([]string{"--only=plan,scale"}); err != nil || !o.has("scale") || o.has("leader") || !o.has("leader", "plan") {
		t.Errorf("options %+v, %v", o, err)
	}
	if o, err := parse(nil); err != nil || !o.has("leader") {
		t.Errorf("without --only not every part is run: %+v, %v", o, err)
	}
	if o, err := parse([]string{"--cuts=3", "--peer=p.yaml", "--own=false"}); err != nil || o.Cuts != 3 || o.Own || o.Burst != 2000 {
		t.Errorf("options %+v, %v", o, err)
	}
}

package ownership

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

var update = flag.Bool("update", false, "record what the scenario scripts print")

// TestScenarios runs the scripts in testdata. A line is a command; the indented lines after it are what it printed when it was
// recorded. Lines that begin with # are for the reader.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("it went otherwise (-recorded +now):\n%s", diff)
			}
		})
	}
}

// play runs a script and returns it with what it printed.
func play(t *testing.T, script string) string {
	var out strings.Builder
	p := &player{t: t}
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue // what was printed before
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, l := range p.do(strings.Fields(line)) {
			fmt.Fprintln(&out, "  "+strings.TrimRight(l, " "))
		}
	}
	if p.c != nil && len(p.c.overslept) > 0 {
		t.Errorf("%d decisions changed before their Wake, the first: %s", len(p.c.overslept), p.c.overslept[0])
	}
	return out.String()
}

type player struct {
	t     *testing.T
	c     *cluster
	later []event // sorted by time
	shown int     // of c.moves
}

type event struct {
	at time.Time
	do func()
}

func (p *player) do(w []string) []string {
	arg := func(i int) string {
		if i >= len(w) {
			p.t.Fatalf("%s: a word is missing", strings.Join(w, " "))
		}
		return w[i]
	}
	duration := func(i int) time.Duration {
		d, err := time.ParseDuration(arg(i))
		if err != nil {
			p.t.Fatalf("%s: %v", strings.Join(w, " "), err)
		}
		return d
	}
	switch w[0] {
	case "speakers":
		n, err := strconv.Atoi(arg(1))
		if err != nil {
			p.t.Fatal(err)
		}
		p.c = newCluster(n)
	case "service":
		addr := netip.MustParseAddr(arg(1))
		p.c.services = append(p.c.services, service(fmt.Sprintf("s%d", len(p.c.services)), addr))
	case "failback":
		p.c.ads[0].FailbackAlways = arg(1) == "always"
	case "prefer":
		p.c.ads[0].Preferred = []lb.Preference{{Weight: 10, Nodes: lb.Selector{{Key: "name", Op: lb.In, Values: []string{arg(1)}}}}}
	case "move":
		addr := netip.MustParseAddr(arg(1))
		for i := range p.c.services {
			if p.c.services[i].Held[0] == addr {
				p.c.services[i].WantedNode = arg(2)
			}
		}
	case "stranger":
		addr := netip.MustParseAddr(arg(1))
		if arg(2) == "gone" {
			delete(p.c.stranger, addr)
		} else {
			p.c.stranger[addr] = lb.MAC{6, 6, 6, 6, 6, 6}
		}
	case "kube-proxies":
		for _, m := range p.c.nodes {
			m.proxy = lb.Alive
		}
	case "proxy-arp":
		p.c.proxy = arg(1) == "on"
	case "run":
		p.run(duration(1))
		moves := p.c.moves[p.shown:]
		p.shown = len(p.c.moves)
		return moves
	case "who-has":
		return []string{strings.Join(p.c.whoHas(netip.MustParseAddr(arg(1))), ", ")}
	case "owners":
		return p.owners()
	default:
		p.fault(w, arg, duration)
	}
	return nil
}

// fault breaks or mends something. `CMD node 5s` mends it after that time.
func (p *player) fault(w []string, arg func(int) string, duration func(int) time.Duration) {
	if w[0] == "cut" || w[0] == "heal" {
		p.cut(w)
		return
	}
	m := p.c.node(arg(1))
	type pair struct{ do, undo func() }
	faults := map[string]pair{
		"crash":           {func() { m.up, m.running = false, false }, func() { m.up = true; p.c.start(m, nil) }},
		"kill":            {func() { m.running = false }, func() { p.c.start(m, nil) }},
		"stop":            {func() { m.stopped = true }, func() { m.stopped, m.woken = false, true }},
		"pause":           {func() { m.stopped, m.linkUp = true, false }, func() { m.stopped, m.linkUp, m.woken = false, true, true }},
		"unplug":          {func() { m.linkUp = false }, func() { m.linkUp = true }},
		"deafen":          {func() { m.cable = false }, func() { m.cable = true }},
		"mute":            {func() { m.mute = true }, func() { m.mute = false }},
		"kube-proxy-dies": {func() { m.proxy = lb.Dead }, func() { m.proxy = lb.Alive }},
		"exclude":         {func() { m.object.Excluded = true }, func() { m.object.Excluded = false }},
		"restart":         {func() { m.restart = true; p.after(300*time.Millisecond, func() { m.left, m.running = true, false }) }, func() { p.c.start(m, nil) }},
	}
	f, ok := faults[w[0]]
	if !ok {
		p.t.Fatalf("no such command: %s", strings.Join(w, " "))
	}
	if len(w) > 2 && w[2] == "ends" {
		f.undo()
		return
	}
	f.do()
	if len(w) > 2 {
		p.after(duration(2), f.undo)
	}
}

// cut breaks gossip, or the wire one way, between groups of nodes: `cut gossip n1 | n2 n3`, `cut wire n1 | n2`; heal mends all.
func (p *player) cut(w []string) {
	if w[0] == "heal" {
		for _, m := range p.c.nodes {
			m.gossip, m.wire = map[string]bool{}, map[string]bool{}
		}
		return
	}
	bar := slices.Index(w, "|")
	for _, a := range w[2:bar] {
		for _, b := range w[bar+1:] {
			switch w[1] {
			case "gossip":
				p.c.node(a).gossip[b] = true
			case "wire":
				p.c.node(a).wire[b], p.c.node(b).wire[a] = true, true
			case "both":
				p.c.node(a).gossip[b] = true
				p.c.node(a).wire[b], p.c.node(b).wire[a] = true, true
			default:
				p.t.Fatalf("cut what: %s", strings.Join(w, " "))
			}
		}
	}
}

func (p *player) after(d time.Duration, do func()) {
	p.later = append(p.later, event{p.c.now.Add(d), do})
	slices.SortStableFunc(p.later, func(a, b event) int { return a.at.Compare(b.at) })
}

func (p *player) run(d time.Duration) {
	for end := p.c.now.Add(d); p.c.now.Before(end); {
		for len(p.later) > 0 && !p.later[0].at.After(p.c.now) {
			do := p.later[0].do
			p.later = p.later[1:]
			do()
		}
		p.c.run(step)
	}
}

// owners prints how many addresses each node answers for.
func (p *player) owners() []string {
	var out []string
	for _, m := range p.c.nodes {
		n := 0
		for _, s := range p.c.services {
			if p.c.speaks(m, s.Held[0]) {
				n++
			}
		}
		out = append(out, fmt.Sprintf("%s %d", m.name, n))
	}
	return out
}

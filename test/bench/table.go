package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// table is everything that is printed.
type table struct {
	options
	floorMade, floor time.Duration // to make the Services of the burst when nobody serves them, and to patch their statuses
	plans            []planFigure
	answers          []answerFigure // the floor first
	results          []result
}

// row is a line of the table: what was measured, and the figure of each subject.
type row struct {
	what  string
	value func(result) string
}

func (t table) rows() (all []row) {
	if t.has("failover", "allocation") {
		all = append(all, t.labRows()...)
	}
	if t.has("scale") {
		all = append(all, t.scaleRows()...)
	}
	if t.has("leader") {
		all = append(all, t.leaderRows()...)
	}
	if t.has("idle") {
		all = append(all, t.idleRows()...)
	}
	if t.has("takeover") {
		all = append(all, row{fmt.Sprintf("power cut of the node with the most of %d addresses → first announcement of each by another node: addresses: first / median / last", t.Scale),
			func(r result) string { return takeovers(r.crowd.takeovers) }})
	}
	return all
}

// idleRows are what three nodes send and use while nothing happens.
func (t table) idleRows() (all []row) {
	for _, c := range []struct {
		when string
		of   func(crowdFigures) idleFigure
	}{
		{"three speakers, no Services", func(f crowdFigures) idleFigure { return f.few }},
		{fmt.Sprintf("three speakers, %d Services", t.Scale), func(f crowdFigures) idleFigure { return f.many }},
		{fmt.Sprintf("a hundred speakers, %d Services on three nodes", t.Scale), func(f crowdFigures) idleFigure { return f.chorus }},
	} {
		all = append(all,
			row{c.when + ": memory (RSS) of the largest speaker / CPU of one per minute", func(r result) string { return c.of(r.crowd).use() }},
			row{c.when + ": frames per node and second: ARP and ND between hosts / announcements / UDP / TCP / other",
				func(r result) string { return c.of(r.crowd).frames(r.own) }},
		)
	}
	return append(all, row{fmt.Sprintf("ARP request for one of %d addresses → answer, over the lab's LAN: p50 / p99", t.Scale), func(r result) string {
		return short(r.crowd.asked.quantile(0.5)) + " / " + short(r.crowd.asked.quantile(0.99))
	}})
}

// takeovers prints one after the other.
func takeovers(list []takeover) string {
	if len(list) == 0 {
		return "–"
	}
	var all []string
	for _, t := range list {
		all = append(all, fmt.Sprintf("%d: %s / %s / %s", t.addresses, short(t.first), short(t.median), short(t.last)))
	}
	return strings.Join(all, "; ")
}

// labRows are what is measured with nodes.
func (t table) labRows() []row {
	return []row{
		{fmt.Sprintf("power cut → first announcement by another node, %d cuts: min / median / max", t.Cuts),
			func(r result) string { return spread(r.announced) }},
		{fmt.Sprintf("power cut → first HTTP answer, %d cuts: min / median / max", t.Cuts),
			func(r result) string { return spread(r.served) }},
		{fmt.Sprintf("Service created → EXTERNAL-IP visible, %d one at a time: p50 / p99", t.Services),
			func(r result) string {
				return short(r.oneByOne.quantile(0.5)) + " / " + short(r.oneByOne.quantile(0.99))
			}},
		{fmt.Sprintf("%d Services created at once (%s when nobody serves them): last one created / last address visible", t.Burst, short(t.floorMade)),
			func(r result) string { return short(r.made) + " / " + short(r.addressed) }},
		{fmt.Sprintf("pool created for %d waiting Services → last address visible", t.Burst),
			func(r result) string { return short(r.released) }},
		{fmt.Sprintf("the same as a multiple of the floor, %s for a bare loop that patches %d statuses", short(t.floor), t.Burst),
			func(r result) string { return ratio(r.released, t.floor) }},
		{"controller: memory (RSS) idle / after the burst", func(r result) string {
			return mebibytes(r.idle.controllerRSS) + " / " + mebibytes(r.busy.controllerRSS)
		}},
		{"controller: CPU idle / for the burst", func(r result) string {
			return share(r.idle.controllerCPU, r.idle.period) + " / " + short(r.busy.controllerCPU)
		}},
		{"speaker, the largest: memory (RSS) idle / after the burst", func(r result) string { return mebibytes(r.idle.speakerRSS) + " / " + mebibytes(r.busy.speakerRSS) }},
		{"all speakers together: CPU idle / for the burst", func(r result) string {
			return share(r.idle.speakersCPU, r.idle.period) + " / " + short(r.busy.speakersCPU)
		}},
	}
}

// scaleRows are what is measured with an API server only.
func (t table) scaleRows() []row {
	return []row{
		{fmt.Sprintf("%d waiting Services, the controller starts: first → last address / process started → last address", t.Scale),
			func(r result) string { return short(r.scale.burst.length()) + " / " + short(r.scale.sinceStart) }},
		{fmt.Sprintf("first → last address as a multiple of the floor: %d bare status patches, %d at a time", t.Scale, bareWriters),
			func(r result) string {
				return ratio(r.scale.burst.length(), r.scale.floor.length()) + " of " + short(r.scale.floor.length())
			}},
		{fmt.Sprintf("controller: memory (RSS) after the burst of %d / restarted among them", t.Scale),
			func(r result) string { return mebibytes(r.scale.rss) + " / " + mebibytes(r.scale.freshRSS) }},
		{"controller: CPU from its start to the last address", func(r result) string { return short(r.scale.cpu) }},
		{fmt.Sprintf("clean restart among %d Services: process started → caches filled, %d times: min / median / max", t.Scale, t.Tries),
			func(r result) string { return spread(r.scale.ready) }},
		{"caches filled → first new address", func(r result) string { return spread(r.scale.afterReady) }},
		{"process started → first new address", func(r result) string { return spread(r.scale.restarted) }},
		{"kill -9, started again at once → first new address", func(r result) string { return spread(r.scale.killed) }},
	}
}

// leaderRows are the failovers between two replicas of the controller.
func (t table) leaderRows() []row {
	return []row{
		{fmt.Sprintf("two controllers, %d Services: leader asked to end (SIGTERM) → first new address by the other, %d times: min / median / max", t.Scale, t.Tries),
			func(r result) string { return spread(r.scale.terminated) }},
		{"the same, leader killed (kill -9)", func(r result) string { return spread(r.scale.murdered) }},
	}
}

// markdown prints the table.
func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured in the lab (everything on one machine: %d CPUs, %s/%s), %s.\n\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format("2006-01-02"))
	if t.has("failover", "allocation", "scale", "leader", "idle", "takeover") {
		t.writeSubjects(&b)
	}
	if t.has("idle") {
		b.WriteString("\n" + aboutChorus() + "\n")
	}
	t.writePlans(&b)
	t.writeAnswers(&b)
	return b.String()
}

func (t table) writeSubjects(b *strings.Builder) {
	b.WriteString("| |")
	for _, r := range t.results {
		fmt.Fprintf(b, " %s |", r.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.results)) + "\n")
	for _, row := range t.rows() {
		fmt.Fprintf(b, "| %s |", row.what)
		for _, r := range t.results {
			fmt.Fprintf(b, " %s |", row.value(r))
		}
		b.WriteString("\n")
	}
}

func spread(s samples) string {
	if len(s) == 0 {
		return "–"
	}
	return short(s.quantile(0)) + " / " + short(s.quantile(0.5)) + " / " + short(s.quantile(1))
}

// short prints a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func ratio(a, b time.Duration) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("× %.2f", float64(a)/float64(b))
}

// share prints CPU time as a part of one CPU.
func share(cpu, period time.Duration) string {
	if period == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(cpu)/float64(period))
}

func mebibytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

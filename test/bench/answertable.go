package main

import (
	"fmt"
	"slices"
	"strings"
)

// writeAnswers prints a column for each answerer and some rows for each way of asking.
func (t table) writeAnswers(b *strings.Builder) {
	if len(t.answers) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| asked over a veth pair, medians of %d rounds |", answerRounds)
	for _, f := range t.answers {
		fmt.Fprintf(b, " %s |", f.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.answers)) + "\n")
	for i, q := range questions() {
		for _, row := range t.answerRows(i) {
			fmt.Fprintf(b, "| %s: %s |", q.what, row.what)
			for _, f := range t.answers {
				fmt.Fprintf(b, " %s |", row.value(f))
			}
			b.WriteString("\n")
		}
	}
}

// answerRow is a line about one way of asking.
type answerRow struct {
	what  string
	value func(answerFigure) string
}

func (t table) answerRows(i int) []answerRow {
	slowerThan := func(like func(of, other contestant) bool) func(answerFigure) string {
		return func(f answerFigure) string {
			for _, other := range t.answers {
				if like(f.contestant, other.contestant) && len(f.asked[i].medians) > 0 && len(other.asked[i].medians) > 0 {
					return fmt.Sprintf("× %.2f", f.asked[i].slower(other.asked[i]))
				}
			}
			return "–"
		}
	}
	return []answerRow{
		{"time until the answer, p50 / p99", func(f answerFigure) string {
			return short(f.asked[i].medians.quantile(0.5)) + " / " + short(f.asked[i].tails.quantile(0.5))
		}},
		{"p50 as a multiple of the bare one's with as many addresses",
			slowerThan(func(of, other contestant) bool { return other.bare && !of.bare && other.n == of.n })},
		{"p50 as a multiple of its own with few addresses",
			slowerThan(func(of, other contestant) bool { return other.bare == of.bare && other.n < of.n })},
		{fmt.Sprintf("answers a second, %d questions under way", window), func(f answerFigure) string {
			if len(f.asked[i].rates) == 0 {
				return "–"
			}
			return fmt.Sprintf("%.0f", median(f.asked[i].rates))
		}},
	}
}

// slower returns the median, over the rounds, of how many times the floor's median it took.
func (t answerTimes) slower(floor answerTimes) float64 {
	var ratios []float64
	for i := range min(len(t.medians), len(floor.medians)) {
		ratios = append(ratios, float64(t.medians[i])/float64(floor.medians[i]))
	}
	return median(ratios)
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

package neighbor

import (
	"fmt"
	"testing"
)

func BenchmarkScheduleNext(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s Schedule
			now := epoch()
			s.Set(now, announced(many(n)...))
			for b.Loop() {
				_, wake := s.Next(now)
				now = wake
			}
		})
	}
}

func BenchmarkAnswerARP(b *testing.B) {
	request := frame(b, "ffffffffffff 020000000099 0806 0001 0800 06 04 0001 020000000099 c0000263 000000000000 0a000001")
	for _, n := range []int{10, 10000} {
		want := map[Target]Entry{}
		for _, t := range many(n) {
			want[t] = Entry{}
		}
		table := NewTable(want)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if o := AnswerARP(table, testLink(), request); o.Verdict != Answered {
					b.Fatal(o.Verdict)
				}
			}
		})
	}
}

package nemesis

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// unlimited in a limit means: measured and printed, not judged.
const unlimited = -1

// limits are what a scenario must keep. Times are those of the promises.
type limits struct {
	// silence bounds the time with no answerer, doubt that with two after the fault was healed, meanwhile that with two at any time.
	silence, doubt, meanwhile time.Duration
	// moves is the least and the most that each address which the fault is about may move; all others may not at all.
	moves [2]int
	// failed bounds the new connections that fail, broken the long-lived ones; unlimited for no bound.
	failed, broken int
	// stoodIn bounds the rounds in which somebody answered in the name of another, the lostShare aside; unlimited for no bound.
	stoodIn int
}

// usual are the limits of most promises.
var usual = limits{silence: time.Second, doubt: time.Second, meanwhile: time.Second, failed: unlimited, broken: unlimited, stoodIn: unlimited}

// moving is usual with a number of moves.
func moving(atLeast, atMost int) limits {
	l := usual
	l.moves = [2]int{atLeast, atMost}
	return l
}

// lossless is usual without a move and without a failed connection. Where nothing moves, two never answer.
func lossless() limits {
	l := usual
	l.failed, l.broken, l.meanwhile = 0, 0, 2*pace
	return l
}

// held is lossless but for the end of the hold, when the standby that stood in takes over.
func held() limits {
	l := lossless()
	l.moves = [2]int{1, 1}
	l.failed, l.broken = unlimited, unlimited
	return l
}

// untouched is lossless without a stand-in: the owner answers all the time, so nobody may answer in its name.
func untouched() limits {
	l := lossless()
	l.stoodIn = 0
	return l
}

// lostShare is which share of the questions to everybody may stay without an answer beside those of one silence, or be answered by a
// stand-in for a speaker that had no CPU: on a busy machine that happens now and then. One in so many.
const lostShare = 20

// unanswered is how many questions about one address may stay without an answer: as many as one silence has. Two silences are as bad
// as one that is as long as both.
func (l limits) unanswered() int { return int(l.silence / pace) }

// row is what one scenario measured: the worst over its addresses of a family, and over its repetitions.
type row struct {
	name                      string
	want                      limits
	times                     int // how often it was played to the end
	silence4, silence6, doubt time.Duration
	meanwhile                 time.Duration // two at any time
	moved, strayed            int           // most moves of an address that the fault is about, and of another
	fewest                    int           // fewest moves of an address that the fault is about
	asked, unanswered         int           // questions to everybody
	most                      int           // most unanswered about one address, without the lostShare
	unheard                   int           // questions to the owner alone that it did not answer though it answered everybody's
	connections, failed       int
	streams, broken           int
	stoodIn                   int
	forged                    int             // announcements to everybody whose Ethernet source is not who they name
	unsettled                 []string        // addresses without exactly one answerer more than a second after the heal
	announced                 []time.Duration // after each death, how long until the last of its addresses was announced by another
	pace                      time.Duration
	notes                     []string
	bad                       bool // something else than a limit was wrong
}

// add merges the verdict about one address into the row; about says whether the fault is about it.
func (r *row) add(v witness.Verdict, ip6, about bool, doubt time.Duration) {
	if ip6 {
		r.silence6 = max(r.silence6, v.Silence)
	} else {
		r.silence4 = max(r.silence4, v.Silence)
	}
	r.doubt, r.meanwhile = max(r.doubt, doubt), max(r.meanwhile, v.Doubt)
	r.most = max(r.most, v.Unanswered-v.Asked/lostShare)
	if about {
		r.moved, r.fewest = max(r.moved, v.Moves()), min(r.fewest, v.Moves())
	} else {
		r.strayed = max(r.strayed, v.Moves())
	}
	r.asked, r.unanswered, r.unheard = r.asked+v.Asked, r.unanswered+v.Unanswered, r.unheard+v.Unheard
	r.stoodIn, r.pace = r.stoodIn+v.StoodIn, max(r.pace, v.Pace)
}

// merge joins a further repetition.
func (r *row) merge(o row) {
	r.times++
	r.silence4, r.silence6, r.doubt = max(r.silence4, o.silence4), max(r.silence6, o.silence6), max(r.doubt, o.doubt)
	r.meanwhile, r.most, r.forged = max(r.meanwhile, o.meanwhile), max(r.most, o.most), r.forged+o.forged
	r.moved, r.strayed, r.fewest, r.pace = max(r.moved, o.moved), max(r.strayed, o.strayed), min(r.fewest, o.fewest), max(r.pace, o.pace)
	r.asked, r.unanswered, r.unheard, r.stoodIn = r.asked+o.asked, r.unanswered+o.unanswered, r.unheard+o.unheard, r.stoodIn+o.stoodIn
	r.connections, r.failed, r.streams, r.broken = r.connections+o.connections, r.failed+o.failed, r.streams+o.streams, r.broken+o.broken
	r.announced = append(r.announced, o.announced...)
	r.notes, r.unsettled = append(r.notes, o.notes...), append(r.unsettled, o.unsettled...)
}

// never is more moves than there are: the fewest of no address.
const never = 1 << 30

// passed are the limits that were passed, in words.
func (r *row) passed() []string {
	var out []string
	check := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	w := r.want
	check(r.silence4 > w.silence, "IPv4: nobody answered for %v, limit %v", ms(r.silence4), w.silence)
	check(r.silence6 > w.silence, "IPv6: nobody answered for %v, limit %v", ms(r.silence6), w.silence)
	check(r.doubt > w.doubt, "two nodes answered for %v after the heal, limit %v", ms(r.doubt), w.doubt)
	check(r.meanwhile > w.meanwhile, "two nodes answered for %v, limit %v", ms(r.meanwhile), w.meanwhile)
	check(r.most > w.unanswered(), "%d questions about one address stayed without an answer, limit %d", r.most, w.unanswered())
	check(w.stoodIn != unlimited && r.stoodIn > w.stoodIn+r.asked/lostShare, "somebody stood in for an owner that answered, in %d rounds of %d, limit %d and one in %d", r.stoodIn, r.asked, w.stoodIn, lostShare)
	check(r.forged > 0, "%d announcements named another than their sender", r.forged)
	check(r.times > 0 && (r.asked == 0 || r.connections == 0 || r.streams == 0 || r.fewest == never),
		"nothing was measured: %d questions, %d new connections, %d long-lived ones", r.asked, r.connections, r.streams)
	check(r.times > 0 && (r.moved > w.moves[1] || r.fewest < w.moves[0]), "an address moved %d to %d times, want %d to %d", r.fewest, r.moved, w.moves[0], w.moves[1])
	check(r.strayed > 0, "an address that the fault is not about moved %d times", r.strayed)
	check(w.failed != unlimited && r.failed > w.failed, "%d of %d new connections failed, limit %d", r.failed, r.connections, w.failed)
	check(w.broken != unlimited && r.broken > w.broken, "%d of %d long-lived connections broke, limit %d", r.broken, r.streams, w.broken)
	check(len(r.announced) >= enough && r.median() > medianAnnounced, "the median of the first announcements is %v, limit %v", ms(r.median()), medianAnnounced)
	check(r.slowest() > worstAnnounced, "the last of the first announcements came after %v, limit %v", ms(r.slowest()), worstAnnounced)
	check(len(r.unsettled) > 0, "a second after the heal not exactly one node answered, asked by all and alone: %s", strings.Join(r.unsettled, "; "))
	return out
}

// medianAnnounced and worstAnnounced are promise 3: when a new owner announces after a host's death.
const (
	medianAnnounced = 500 * time.Millisecond
	// enough announcements make a median: a single one may be any of them.
	enough         = 5
	worstAnnounced = time.Second
)

// median of the first announcements; 0 without any.
func (r *row) median() time.Duration {
	if len(r.announced) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(r.announced))[len(r.announced)/2]
}

// slowest of the first announcements; 0 without any.
func (r *row) slowest() time.Duration { return slices.Max(append([]time.Duration{0}, r.announced...)) }

// table is the rows of a run.
type table []row

// String is the table as text: every figure beside its limit.
func (t table) String() string {
	if len(t) == 0 {
		return ""
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nscenario\tno answer IPv4\tIPv6\tlimit\ttwo MACs\tlimit\tmeanwhile\tlimit\tmoves\twant\tothers\tconnections failed\tlimit\tlong-lived broken\tlimit\tunanswered\tmost\tlimit\talone\tstood in\tlimit\t")
	for _, r := range t {
		verdict := ""
		if len(r.passed()) > 0 || r.times == 0 || r.bad {
			verdict = "FAILED"
		}
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\t%v\t%v\t%v\t%s\t%s\t%d\t%d/%d\t%s\t%d/%d\t%s\t%d/%d\t%d\t%d\t%d\t%d\t%s\t%s\n",
			r.title(), ms(r.silence4), ms(r.silence6), r.want.silence, ms(r.doubt), r.want.doubt,
			ms(r.meanwhile), r.want.meanwhile, span(r.fewest, r.moved), span(r.want.moves[0], r.want.moves[1]),
			r.strayed, r.failed, r.connections, limit(r.want.failed), r.broken, r.streams, limit(r.want.broken),
			r.unanswered, r.asked, r.most, r.want.unanswered(), r.unheard, r.stoodIn, limit(r.want.stoodIn), verdict)
	}
	w.Flush() // into memory
	for _, r := range t {
		if len(r.announced) > 0 {
			fmt.Fprintf(&b, "%s: announced after %v (median, limit %v), %v (worst, limit %v)\n", r.title(), ms(r.median()), medianAnnounced, ms(r.slowest()), worstAnnounced)
		}
		for _, n := range r.notes {
			fmt.Fprintf(&b, "%s: %s\n", r.title(), n)
		}
	}
	return b.String()
}

func (r row) title() string {
	if r.times > 1 {
		return fmt.Sprintf("%s ×%d", r.name, r.times)
	}
	return r.name
}

func span(from, to int) string {
	if from >= to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

func limit(n int) string {
	if n == unlimited {
		return "-"
	}
	return fmt.Sprint(n)
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

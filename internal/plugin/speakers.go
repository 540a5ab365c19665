package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/internal/live"
	"github.com/steelyard-lb/steelyard/internal/neighbor"
)

// The states of a speaker in SpeakerStatus.
const (
	speakerReady   = "ready"
	speakerStalled = "stalled" // its process was stopped, and it says nothing until it knows again how the world is
	speakerSilent  = "silent"  // it could not be asked
	speakerMissing = "missing" // the Node has no speaker's Pod
)

// SpeakerStatus is what `status` tells of a node.
type SpeakerStatus struct {
	Node  string `json:"node"`
	State string `json:"state"`
	// Why it could not be asked.
	Why string `json:"why,omitempty"`
	// Owned, StandingIn and Trailing are how many addresses it answers for: its own, those of a stalled speaker, and those that
	// it handed over a moment ago.
	Owned      int `json:"owned"`
	StandingIn int `json:"standingIn,omitempty"`
	Trailing   int `json:"trailing,omitempty"`
	// Hears are the other speakers that gossip hears, Unheard those that it does not, each with what is known of it.
	Hears   int      `json:"hears"`
	Unheard []string `json:"unheard,omitempty"`
	// cutOff are those of Unheard that are not known to be gone.
	cutOff     []string
	Interfaces []string `json:"interfaces,omitempty"` // those that are up
	Down       []string `json:"downInterfaces,omitempty"`
	Deaf       []string `json:"deafInterfaces,omitempty"`
	// Mute are interfaces of which no other speaker hears anything any more, as node/interface of those who listen.
	Mute []string `json:"unheardBy,omitempty"`
	// Decided is when it last decided; nothing has changed for it since. Skew is how far its clock is ahead, in seconds.
	Decided time.Time `json:"decided,omitzero"`
	Skew    float64   `json:"clockSkewSeconds,omitempty"`
	asked   time.Time // by its own clock
}

// speakersOf tells of every Node and of every speaker, sorted by name.
func speakersOf(s sight) []SpeakerStatus {
	by := map[string]SpeakerStatus{}
	for _, n := range s.objects.Nodes {
		by[n.Name] = SpeakerStatus{Node: n.Name, State: speakerMissing, Why: "no speaker's Pod runs there"}
	}
	for node, err := range s.replies.Silent {
		by[node] = SpeakerStatus{Node: node, State: speakerSilent, Why: err.Error()}
	}
	lost := lostBy(s.views())
	for _, v := range s.views() {
		st := speakerOf(v)
		st.Mute = lost[v.Node]
		st.Skew = v.Skew(s.asked, s.answered).Seconds()
		by[v.Node] = st
	}
	if s.unasked != nil {
		for node := range by {
			by[node] = SpeakerStatus{Node: node, State: speakerSilent, Why: "no speaker could be asked"}
		}
	}
	out := slices.Collect(maps.Values(by))
	slices.SortFunc(out, func(a, b SpeakerStatus) int { return strings.Compare(a.Node, b.Node) })
	return out
}

func speakerOf(v live.View) SpeakerStatus {
	st := SpeakerStatus{Node: v.Node, State: speakerReady, Decided: v.Decided, asked: v.Time}
	if v.Stalled {
		st.State = speakerStalled
	}
	st.Owned = len(self(v).Claims)
	answered := map[string]map[string]bool{}
	for _, a := range v.Answers {
		if answered[a.Kind] == nil {
			answered[a.Kind] = map[string]bool{}
		}
		answered[a.Kind][a.Address.String()] = true
	}
	st.StandingIn, st.Trailing = len(answered[neighbor.StandIn.String()]), len(answered[neighbor.Trail.String()])
	for _, p := range v.Peers {
		if p.Gossip == live.Alive {
			st.Hears++
			continue
		}
		state := peerState(p)
		st.Unheard = append(st.Unheard, p.Node+" ("+state+")")
		if state != peerLeft && state != peerDead {
			st.cutOff = append(st.cutOff, p.Node+" ("+state+")")
		}
	}
	for _, i := range self(v).Interfaces {
		switch {
		case !i.Up:
			st.Down = append(st.Down, i.Name)
		case i.Deaf:
			st.Deaf = append(st.Deaf, i.Name)
		default:
			st.Interfaces = append(st.Interfaces, i.Name)
		}
	}
	return st
}

// The states of a peer that is gone.
const (
	peerLeft = "left"
	peerDead = "host dead"
)

// peerState says how a peer is that gossip does not hear.
func peerState(p live.Peer) string {
	host := live.Unknown
	for _, h := range p.Hosts {
		if h.Life == live.Alive || host == live.Unknown {
			host = h.Life
		}
	}
	switch {
	case p.Left:
		return peerLeft
	case host == live.Dead:
		return peerDead
	case p.Answer == live.Alive:
		return "cut off, still answers"
	case host == live.Alive:
		return "host alive"
	}
	return "gossip: " + p.Gossip
}

// lostBy returns for each node who on the LAN hears it no more, when nobody who answers hears it.
func lostBy(views []live.View) map[string][]string {
	out := map[string][]string{}
	for _, v := range views {
		for _, l := range self(v).Lost {
			out[l.Node] = append(out[l.Node], v.Node+"/"+l.Interface)
		}
	}
	for node, by := range out {
		for _, v := range views {
			heard := !slices.ContainsFunc(by, func(b string) bool { return strings.HasPrefix(b, v.Node+"/") })
			if v.Node != node && heard {
				delete(out, node)
			}
		}
	}
	return out
}

func writeSpeakers(p *page, list []SpeakerStatus, wide bool) {
	head := []string{"NODE", "SPEAKER", "OWNS", "HEARS", "INTERFACES", "DECIDED"}
	var rows [][]cell
	for _, s := range list {
		state := cell{s.State, green}
		if s.State != speakerReady {
			state.paint = red
		}
		if s.Decided.IsZero() {
			rows = append(rows, []cell{{text: s.Node}, state, {}, {}, {}, {}}) // why is said under what needs attention
			continue
		}
		rows = append(rows, []cell{{text: s.Node}, state, {text: s.owns()}, {text: fmt.Sprintf("%d of %d", s.Hears, s.Hears+len(s.Unheard))}, s.links(), {text: ago(s.asked, s.Decided) + " ago"}})
	}
	p.table(head, rows)
	for _, s := range list {
		if wide && len(s.Unheard) > 0 {
			p.printf("%s does not hear by gossip: %s\n", s.Node, strings.Join(s.Unheard, ", "))
		}
	}
}

func (s SpeakerStatus) owns() string {
	out := fmt.Sprint(s.Owned)
	if s.StandingIn > 0 {
		out += fmt.Sprintf(" +%d standing in", s.StandingIn)
	}
	if s.Trailing > 0 {
		out += fmt.Sprintf(" +%d handed over", s.Trailing)
	}
	return out
}

func (s SpeakerStatus) links() cell {
	out := cell{text: strings.Join(s.Interfaces, ",")}
	for _, bad := range []struct {
		word  string
		names []string
	}{{"deaf", s.Deaf}, {"down", s.Down}} {
		if len(bad.names) > 0 {
			out.text = strings.TrimSpace(out.text + " " + bad.word + ":" + strings.Join(bad.names, ","))
			if bad.word == "deaf" {
				out.paint = red
			}
		}
	}
	if len(s.Mute) > 0 {
		out.text, out.paint = strings.TrimSpace(out.text+" mute"), red
	}
	return out
}

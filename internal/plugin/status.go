package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Status is what `status` tells.
type Status struct {
	Pools     []PoolStatus     `json:"pools"`
	Speakers  []SpeakerStatus  `json:"speakers"`
	Addresses []AddressStatus  `json:"addresses"`
	Pending   []PendingService `json:"pending"`
	// Attention is what somebody should look at, the worst first.
	Attention []Attention `json:"attention"`
}

// PendingService is a Service that lacks an address, and why.
type PendingService struct {
	Service string `json:"service"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Attention is something that is not as it should be: which address or node it is about, and what it is.
type Attention struct {
	About   string `json:"about"`
	Message string `json:"message"`
}

func (g *globals) status() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "status",
		Short: "Show pools, speakers, owners and what is wrong, on one screen",
		Long: `Show the pools and how full they are, the speakers and what they hear, who owns which address, the Services that wait and
why, and what needs attention: two owners, strangers that answer for an address, interfaces that hear nobody.

The speakers are asked through a port-forward to their Pods; one that cannot be asked is shown as such.`,
		Example: `  kubectl steelyard status
  kubectl steelyard status -o wide    # all addresses, with cause and predecessor
  kubectl steelyard status -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := g.look(cmd.Context())
			if err != nil {
				return err
			}
			g.hear(cmd.Context(), &s)
			st := statusOf(s)
			return out.show(g.Out, st, func(p *page, wide bool) { writeStatus(p, s, st, wide) })
		},
	}
	out.addTo(c)
	return c
}

// statusOf computes all of it.
func statusOf(s sight) Status {
	st := Status{Pools: poolsOf(s), Speakers: speakersOf(s), Addresses: addressesOf(s), Pending: pendingOf(s), Attention: []Attention{}}
	st.Attention = append(st.Attention, ownersAttention(s, st.Addresses)...)
	st.Attention = append(st.Attention, speakersAttention(st.Speakers, s.unasked)...)
	return st
}

func pendingOf(s sight) []PendingService {
	out := []PendingService{}
	for _, a := range s.plan.Services {
		if !a.Complete && a.Problem != nil {
			out = append(out, PendingService{a.Service.String(), string(a.Problem.Reason), a.Problem.Message})
		}
	}
	return out
}

// ownersAttention finds what is wrong with addresses.
func ownersAttention(s sight, list []AddressStatus) []Attention {
	var out []Attention
	add := func(about, format string, args ...any) {
		out = append(out, Attention{about, fmt.Sprintf(format, args...)})
	}
	for _, a := range list {
		about := a.Address.String()
		switch {
		case len(a.Claimants) > 1:
			add(about, "two owners: %s both claim it", strings.Join(a.Claimants, " and "))
		case len(a.Opinions) > 1:
			add(about, "the speakers do not agree who has it: %s", tellOpinions(a.Opinions))
		case a.Problem != nil:
			add(about, "nobody answers: %s", a.Problem.Message)
		}
		if a.StandIn != "" {
			add(about, "%s answers in the name of %s, whose speaker does not", a.StandIn, a.Owner)
		}
		if len(a.Refused) > 0 {
			add(about, "%s has it too and may not share it", strings.Join(a.Refused, ", "))
		}
	}
	said := map[string]bool{}
	for _, v := range s.views() {
		for _, f := range v.Strangers {
			said[f.Address.String()] = true
			add(f.Address.String(), "a stranger with the MAC %s answers for it, as %s hears", f.MAC, v.Node)
		}
		for _, f := range v.Proxies {
			add(f.Address.String(), "a station with the MAC %s answers for many addresses: a router with proxy ARP, as %s hears", f.MAC, v.Node)
		}
	}
	for _, c := range s.world.Conflicts {
		if !said[c.Address.String()] {
			add(c.Address.String(), "a stranger with the MAC %s was seen to answer for it, by %s", c.MAC, c.Node)
		}
	}
	return out
}

// tellOpinions names each owner and who says so.
func tellOpinions(opinions map[string][]string) string {
	var out []string
	for owner, by := range opinions {
		if owner == "" {
			owner = "nobody"
		}
		out = append(out, owner+" (says "+strings.Join(by, ", ")+")")
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// speakersAttention finds what is wrong with speakers.
func speakersAttention(list []SpeakerStatus, unasked error) []Attention {
	if unasked != nil {
		return []Attention{{"all speakers", unasked.Error()}}
	}
	var out []Attention
	for _, s := range list {
		for _, bad := range []struct {
			wrong   bool
			message string
		}{
			{s.State == speakerSilent, "its speaker could not be asked: " + s.Why},
			{s.State == speakerMissing, s.Why},
			{s.State == speakerStalled, "its speaker was stopped and says nothing until it knows again how the world is"},
			{len(s.Deaf) > 0, "hears nobody on " + strings.Join(s.Deaf, ", ") + ": look at the cable and the switch port (spanning tree, VLAN)"},
			{len(s.Mute) > 0, "nobody hears it on the LAN: " + strings.Join(s.Mute, ", ")},
			{len(s.cutOff) > 0, "does not hear by gossip: " + strings.Join(s.cutOff, ", ")},
			{s.Skew != 0, fmt.Sprintf("its clock is %+.0f s off the one here", s.Skew)},
		} {
			if bad.wrong {
				out = append(out, Attention{s.Node, bad.message})
			}
		}
	}
	return out
}

// shown is how many addresses a status shows unless it is wide: they shall fit on a screen with the rest.
const shown = 15

func writeStatus(p *page, s sight, st Status, wide bool) {
	p.title(true, "Pools")
	writePools(p, st.Pools, wide)
	ready := 0
	for _, sp := range st.Speakers {
		if sp.State == speakerReady {
			ready++
		}
	}
	p.title(false, "Speakers: %d of %d ready", ready, len(st.Speakers))
	writeSpeakers(p, st.Speakers, wide)
	owned := 0
	for _, a := range st.Addresses {
		if a.Owner != "" {
			owned++
		}
	}
	p.title(false, "Addresses: %d of %d have an owner", owned, len(st.Addresses))
	writeAddresses(p, st.Addresses, s, wide)
	if len(st.Pending) > 0 {
		p.title(false, "Services that wait: %d", len(st.Pending))
		var rows [][]cell
		for _, w := range st.Pending {
			rows = append(rows, []cell{{text: w.Service}, {w.Reason, yellow}, {text: w.Message}})
		}
		p.table([]string{"SERVICE", "REASON", "MESSAGE"}, rows)
	}
	if len(st.Attention) > 0 {
		p.title(false, "Needs attention")
		var rows [][]cell
		for _, a := range st.Attention {
			rows = append(rows, []cell{{a.About, red}, {text: a.Message}})
		}
		p.table([]string{"", ""}, rows)
	}
}

func writeAddresses(p *page, list []AddressStatus, s sight, wide bool) {
	head := []string{"ADDRESS", "SERVICE", "OWNER", "STANDBY", "SINCE", "WHY"}
	if wide {
		head = append(head, "POOL", "FROM", "INTERFACES")
	}
	var rows [][]cell
	for i, a := range list {
		if i == shown && !wide {
			break
		}
		owner := cell{text: a.Owner}
		if a.Owner == "" || len(a.Claimants) > 1 {
			owner.paint = red
		}
		r := append(row(a.Address.String(), strings.Join(a.Services, ",")), owner)
		r = append(r, row(a.Standby, ago(s.now, a.Since), a.grounds())...)
		if wide {
			r = append(r, row(a.Pool, a.From, strings.Join(a.Interfaces, ","))...)
		}
		rows = append(rows, r)
	}
	if len(list) == 0 {
		p.printf("No Service has one.\n")
		return
	}
	p.table(head, rows)
	if more := len(list) - len(rows); more > 0 {
		p.printf("… and %d more (-o wide shows all)\n", more)
	}
}

// grounds says in a few words why the owner has an address, or why nobody has.
func (a AddressStatus) grounds() string {
	switch {
	case a.Problem != nil:
		return string(a.Problem.Reason)
	case a.Owner == "" && a.Source != "":
		return "its next owner is being found"
	}
	return because(a.Cause, a.From)
}

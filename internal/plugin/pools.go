package plugin

import (
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/internal/allocate"
	"github.com/steelyard-lb/steelyard/internal/kube"
)

// PoolStatus is what `pools` and `status` tell of a pool.
type PoolStatus struct {
	Name       string        `json:"name"`
	Addresses  []string      `json:"addresses"`
	Reserved   []string      `json:"reserved,omitempty"`
	AutoAssign bool          `json:"autoAssign"`
	Families   []FamilyUsage `json:"families"`
	// Retained are free addresses that are kept for deleted Services, InConflict those that a stranger answers for.
	Retained   int `json:"retained"`
	InConflict int `json:"inConflict"`
	// Waiting is how many Services could have an address from here if one were free.
	Waiting    int             `json:"waiting"`
	Conditions []PoolCondition `json:"conditions"`
}

// FamilyUsage counts the addresses of one family.
type FamilyUsage struct {
	Family    string `json:"family"`
	Assigned  int64  `json:"assigned"`
	Available int64  `json:"available"` // free for any Service; math.MaxInt64 for that many and more
}

// PoolCondition is allocate.State.
type PoolCondition struct {
	Type    string `json:"type"`
	Status  bool   `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (g *globals) pools() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "pools",
		Short: "List the pools: how full they are, and what is wrong with them",
		Example: `  kubectl steelyard pools
  kubectl steelyard pools -o wide     # with the ranges
  kubectl steelyard pools -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := g.look(cmd.Context())
			if err != nil {
				return err
			}
			pools := poolsOf(s)
			return out.show(g.Out, pools, func(p *page, wide bool) { writePools(p, pools, wide) })
		},
	}
	out.addTo(c)
	return c
}

// poolsOf tells of each pool what the plan says.
func poolsOf(s sight) []PoolStatus {
	specs := map[string]*v1beta1.IPAddressPool{}
	for i := range s.objects.Pools {
		specs[s.objects.Pools[i].Name] = &s.objects.Pools[i]
	}
	out := []PoolStatus{}
	for _, u := range s.plan.Pools {
		spec := specs[u.Pool].Spec
		p := PoolStatus{Name: u.Pool, Addresses: spec.Addresses, Reserved: spec.Reserved, AutoAssign: kube.Pool(specs[u.Pool]).AutoAssign,
			Retained: len(u.Retained), InConflict: len(u.Conflicts), Waiting: u.Waiting, Families: families(u)}
		for _, st := range u.States() {
			p.Conditions = append(p.Conditions, PoolCondition{st.Type, st.Holds, string(st.Reason), st.Message})
		}
		out = append(out, p)
	}
	return out
}

// families counts those of which the pool has any.
func families(u allocate.Usage) []FamilyUsage {
	out := []FamilyUsage{}
	for _, f := range []FamilyUsage{{"IPv4", u.AssignedIPv4, u.AvailableIPv4}, {"IPv6", u.AssignedIPv6, u.AvailableIPv6}} {
		if f.Assigned > 0 || f.Available > 0 {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		out = append(out, FamilyUsage{Family: "none"})
	}
	return out
}

// wrong are the conditions that somebody should look at.
func (p PoolStatus) wrong() []PoolCondition {
	var out []PoolCondition
	for _, c := range p.Conditions {
		if c.Status == (c.Type != v1beta1.ConditionReady) {
			out = append(out, c)
		}
	}
	return out
}

func writePools(p *page, pools []PoolStatus, wide bool) {
	if len(pools) == 0 {
		p.printf("There is no IPAddressPool: Services wait for an address until there is one. (--steelyard-namespace names another place to look.)\n")
		return
	}
	head := []string{"POOL", "USED", " ", "FREE", "WITHHELD", "AUTO", "STATE"}
	if wide {
		head = append(head, "ADDRESSES", "RESERVED")
	}
	var rows [][]cell
	for _, pool := range pools {
		for i, f := range pool.Families {
			r := row(pool.Name, bar(f), fmt.Sprintf("%d %s", f.Assigned, f.Family), number(f.Available), pool.withheld(), yesNo(pool.AutoAssign), "")
			r[6] = pool.state()
			if i > 0 {
				r[0], r[4], r[5], r[6] = cell{text: " "}, cell{text: " "}, cell{text: " "}, cell{text: " "}
			}
			if f.Available == 0 {
				r[3].paint = yellow
			}
			if wide && i == 0 {
				r = append(r, row(strings.Join(pool.Addresses, ","), strings.Join(pool.Reserved, ","))...)
			}
			rows = append(rows, r)
		}
	}
	p.table(head, rows)
	for _, pool := range pools {
		said := map[string]bool{} // Ready says what the others say
		for _, c := range pool.wrong() {
			if said[c.Message] {
				continue
			}
			said[c.Message] = true
			p.printf("%s: %s: %s\n", pool.Name, p.painted(cell{c.Reason, yellow}), c.Message)
		}
	}
}

// state is "Ready", or what the pool is instead.
func (p PoolStatus) state() cell {
	wrong := p.wrong()
	if len(wrong) == 0 {
		return cell{"Ready", green}
	}
	var words []string
	for _, c := range wrong {
		if c.Type == v1beta1.ConditionReady {
			words = append(words, c.Reason)
		} else if len(words) == 0 || words[0] != c.Type {
			words = append(words, c.Type)
		}
	}
	return cell{strings.Join(words, ","), red}
}

// withheld says how many addresses are free and not for everybody.
func (p PoolStatus) withheld() string {
	var out []string
	if p.Retained > 0 {
		out = append(out, fmt.Sprintf("%d retained", p.Retained))
	}
	if p.InConflict > 0 {
		out = append(out, fmt.Sprintf("%d in conflict", p.InConflict))
	}
	return strings.Join(out, ", ")
}

// barWidth is the length of a usage bar, in characters.
const barWidth = 20

// bar draws how much of a family is in use. What is used at all shows, and so does what is free.
func bar(f FamilyUsage) string {
	full := 0
	if total := float64(f.Assigned) + float64(f.Available); total > 0 {
		full = int(math.Round(barWidth * float64(f.Assigned) / total))
	}
	if f.Assigned > 0 {
		full = max(full, 1)
	}
	if f.Available > 0 {
		full = min(full, barWidth-1)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// number writes a count, the large ones roughly.
func number(n int64) string {
	switch {
	case n == math.MaxInt64:
		return ">9e18"
	case n >= 1e7:
		return fmt.Sprintf("%.1e", float64(n))
	}
	return fmt.Sprint(n)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

package ownership

import (
	"testing"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

func prefer(v *View, node string) {
	v.Advertisements[0].Preferred = []lb.Preference{{Weight: 1, Nodes: labelled("name", node)}}
}

func TestOwnerHandsItsAddressOverToWhoIsToHaveIt(t *testing.T) {
	decides(t, []row{
		{"when the Service asks for another node", func(v *View) { v.mine(); v.Services[0].WantedNode = "node3" }, asks("node3", "requested")},
		{"when another is preferred, a second later", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait)
		}, asks("node3", "preferred")},
		{"not when another is preferred since less", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait - 1)
		}, kept},
		{"with failback, to the first, three seconds later", func(v *View) {
			v.mine()
			v.Advertisements[0].FailbackAlways = true
			v.later(failbackWait)
		}, asks("node2", "preferred")},
		{"not with failback when the first is back since less", func(v *View) {
			v.mine()
			v.Advertisements[0].FailbackAlways = true
			v.later(failbackWait - 1)
		}, kept},
		{"not when the Service asks for this one", func(v *View) { v.mine(); v.Services[0].WantedNode = "node1" }, kept},
		{"not when the Service asks for this one, though another is preferred", func(v *View) {
			v.mine()
			v.Services[0].WantedNode = "node1"
			prefer(v, "node3")
			v.later(wishWait)
		}, kept},
		{"not with failback when this one is the first", func(v *View) {
			v.mine()
			v.nodeOf("node2").Excluded = true
			v.Advertisements[0].FailbackAlways = true
			v.later(failbackWait)
		}, kept},
		{"also to one that did not take it when it was to have it before", func(v *View) {
			v.mine(func(h *holding) { h.wish, h.refused = "node2", []string{"node3"} })
			v.Services[0].WantedNode = "node3"
		}, asks("node3", "requested")},
		{"not when who is preferred has not taken it a moment ago", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait) // asks
			v.later(handWait) // has waited in vain
			v.later(wishWait - 1)
		}, kept},
		{"and again when it is still preferred a second later", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait)
			v.later(handWait)
			v.later(wishWait)
		}, asks("node3", "preferred")},
		{"not when another is preferred since a moment ago", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait - 1)
			prefer(v, "node2")
			v.later(wishWait - 1)
		}, kept},
		{"and no more when nobody is preferred any longer", func(v *View) {
			v.mine()
			prefer(v, "node3")
			v.later(wishWait)
			v.later(0)
			v.Advertisements[0].Preferred = nil
		}, kept},
	})
}

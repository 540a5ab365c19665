package nemesis

import (
	"fmt"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
)

// gossipPort is the default of --gossip-bind-address.
const gossipPort = 17944

// scenarios are all of them, in the order in which they are played.
func scenarios() []scenario {
	var all []scenario
	for _, group := range [][]scenario{deaths(), cuts(), stalls(), interfaces(), moves(), strangers(), clusters(), switches(), proxies(), real()} {
		for _, c := range group {
			if c.tier == "" {
				c.tier = lab.Lite
			}
			all = append(all, c)
		}
	}
	return all
}

// deaths take the whole node away.
func deaths() []scenario {
	return []scenario{
		{name: "owner's power cut", short: true, times: 20, want: moving(1, 1), act: func(r *run) {
			r.cutPower()
			r.hold(2 * time.Second)
			r.restorePower()
		}},
	}
}

// cuts take networks away.
func cuts() []scenario {
	return []scenario{
		{name: "LAN cable out for 5 s", short: true, want: moving(1, 1), act: func(r *run) { r.during(5*time.Second, "cable", r.pulled("lan")) }},
		{name: "LAN cable out for 5 s, gossip elsewhere", over: rig.Management, want: moving(1, 1), act: func(r *run) {
			r.during(5*time.Second, "cable", r.pulled("lan"))
		}},
		{name: "management cable out for 10 s", want: untouched(), act: func(r *run) { r.during(10*time.Second, "cable", r.pulled("mgmt")) }},
		{name: "gossip dropped for 60 s", want: untouched(), act: func(r *run) {
			r.during(time.Minute, "gossip", lab.PortDropped(r.victimHost(), gossipPort))
		}},
		{name: "one-way loss from the owner", want: moving(1, 1), act: func(r *run) {
			r.during(5*time.Second, "oneway", r.Lab.OneWay(r.victimHost(), lab.FromHost))
		}},
		{name: "one-way loss to the owner", want: moving(1, 1), act: func(r *run) {
			r.during(5*time.Second, "oneway", r.Lab.OneWay(r.victimHost(), lab.ToHost))
		}},
		{name: "port deaf for 30 s, gossip elsewhere", over: rig.Management, want: moving(1, 1), act: func(r *run) {
			r.during(30*time.Second, "deaf", r.Lab.OneWay(r.victimHost(), lab.ToHost))
		}},
		// The nodes cannot forward connections to each other's pods then, which is not the speakers' doing.
		{name: "isolated switch ports for 10 s, gossip elsewhere", over: rig.Management, want: usual, act: func(r *run) {
			r.during(10*time.Second, "isolated", r.Lab.Isolated(r.Lab.Nodes()...))
		}},
	}
}

// stalls stop the speaker, and with it the port or not.
func stalls() []scenario {
	var out []scenario
	for _, d := range []time.Duration{1, 2, 5, 30} {
		d *= time.Second
		stopped, paused := lossless(), moving(1, 1)
		if d > 10*time.Second {
			stopped = held()
		}
		if d < 2*time.Second {
			paused.moves[0] = 0 // it may be back before anybody is sure
		}
		out = append(out,
			scenario{name: fmt.Sprintf("speaker stopped for %v", d), short: d == 2*time.Second, want: stopped, act: func(r *run) {
				r.during(d, "stop", r.bare.StoppedSpeaker(r.victim))
			}},
			scenario{name: fmt.Sprintf("host paused for %v", d), want: paused, act: func(r *run) {
				r.during(d, "pause", lab.All(r.bare.StoppedSpeaker(r.victim), r.pulled("lan")))
			}})
	}
	return append(out, scenario{name: "speaker killed, back after 2 s", short: true, want: lossless(), act: func(r *run) {
		r.began = time.Now()
		r.must(r.bare.KillSpeaker(r.victim))
		r.hold(2 * time.Second)
		r.must(r.bare.Revive(r.ctx, r.victim))
		r.healed = time.Now()
	}}, scenario{name: "speaker restarted", want: lossless(), act: func(r *run) {
		r.began = time.Now()
		r.must(r.bare.StopSpeaker(r.victim))
		r.must(r.bare.Revive(r.ctx, r.victim))
		r.healed = time.Now()
	}})
}

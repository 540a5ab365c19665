package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// strangers answer for addresses that are not theirs.
func strangers() []scenario {
	return []scenario{
		{name: "a stranger answers for 10 s", want: usual, act: func(r *run) {
			stop := r.impostor(func(a netip.Addr) bool { return a == r.one4 || a == r.one6 })
			r.hold(10 * time.Second)
			stop()
		}},
		{name: "a router with proxy ARP for 10 s", want: usual, act: proxyARP},
	}
}

// impostor lets the router answer for addresses. Its answers are not an owner's.
func (r *run) impostor(has func(netip.Addr) bool) (stop func()) {
	r.Helper()
	router := r.Lab.Router()
	mac := witness.MACOf(router.MAC)
	r.macs[mac] = ""
	i, err := witness.NewImpostor(router, router.Interface, mac, has)
	r.must(err)
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan error, 1)
	r.began = time.Now()
	go func() { ended <- i.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.Errorf("the impostor: %v", err)
		}
		r.healed = time.Now()
	}
}

// proxied is how many Services are made beside a router with proxy ARP. One that answers for three addresses is taken for such a
// router, and not for a machine with a wrong address.
const proxied = 3

// proxyARP answers for everything in the ranges of the pools, those that nobody has included, and wants new Services announced
// all the same.
func proxyARP(r *run) {
	four, six := netip.MustParsePrefix("192.168.1.192/26"), netip.MustParsePrefix("fd00:1::200/120")
	stop := r.impostor(func(a netip.Addr) bool { return four.Contains(a) || six.Contains(a) })
	defer stop()
	r.hold(3 * time.Second)
	r.must(r.pool(r.ctx, "proxied", nil, "192.168.1.210-192.168.1.219", "fd00:1::210-fd00:1::219"))
	name := func(i int) string { return fmt.Sprintf("proxied-%d", i) }
	defer func() {
		for i := range proxied {
			r.must(r.removeService(name(i)))
		}
		r.must(r.removePool(context.WithoutCancel(r.ctx), "proxied"))
	}()
	made := time.Now()
	var all []netip.Addr
	for i := range proxied {
		addrs, err := r.newService(r.ctx, name(i), "proxied", corev1.IPv4Protocol, corev1.IPv6Protocol)
		r.must(err)
		all = append(all, addrs...)
	}
	r.announcedByNode(all, made)
}

// announcedByNode waits until a node has announced each address.
func (r *run) announcedByNode(addrs []netip.Addr, since time.Time) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 7*time.Second)
	defer cancel()
	for _, a := range addrs {
		heard, err := r.Witness.Await(ctx, since, func(w witness.Record) bool {
			return slices.ContainsFunc(w.Of(a).Announcements(), func(s witness.Sighting) bool { return r.NodeOf(s.Src) != "" })
		})
		if err != nil {
			r.Errorf("no node announced the new address %s although only a proxy answered for it; heard:\n%s", a, heard.Of(a))
			continue
		}
		r.note("the new address %s was announced %v after the first Service was made", a, ms(heard.Of(a).Announcements()[0].Time.Sub(since)))
	}
}

// clusters lose what the speakers know of each other.
func clusters() []scenario {
	return []scenario{
		{name: "API server stopped for 5 min, power cut in the middle", want: moving(1, 1), act: func(r *run) {
			r.must(r.Lab.StopAPIServer())
			r.hold(150 * time.Second)
			r.cutPower()
			r.hold(150 * time.Second)
			r.must(r.Lab.StartAPIServer(r.ctx))
			r.restorePower()
		}},
		{name: "API server stopped, speaker killed, back after 1 s and waiting 20 s for it", want: held(), act: func(r *run) {
			r.must(r.Lab.StopAPIServer())
			r.began = time.Now()
			r.must(r.bare.KillSpeaker(r.victim))
			r.hold(time.Second)
			r.must(r.bare.StartSpeaker(r.victim, "the cluster's key"))
			r.hold(20 * time.Second)
			r.must(r.Lab.StartAPIServer(r.ctx))
			r.must(r.bare.SpeakerReady(r.ctx, r.victim))
			r.healed = time.Now()
		}},
		{name: "a speaker starts with another key", want: lossless(), act: func(r *run) {
			r.rekey(r.other(), "another key")
			r.healed = time.Now() // never to be better than now: the two live on side by side
			r.hold(10 * time.Second)
			r.rekey(r.other(), "the cluster's key")
		}},
		{name: "power cut beside a speaker with another key", want: moving(1, 1), act: func(r *run) {
			r.rekey(r.other(), "another key")
			r.hold(3 * time.Second)
			r.cutPower()
			r.healed = time.Now()
			r.hold(5 * time.Second)
		}},
		{name: "two speakers killed at once, back after 1 s", want: lossless(), act: func(r *run) {
			r.began = time.Now()
			other := r.other()
			r.must(errors.Join(r.bare.KillSpeaker(r.victim), r.bare.KillSpeaker(other)))
			r.hold(time.Second)
			r.must(errors.Join(r.bare.Revive(r.ctx, r.victim), r.bare.Revive(r.ctx, other)))
			r.healed = time.Now()
		}},
	}
}

// rekey restarts a speaker with a gossip key. The others' speakers have a key that it does not know, or the other way round.
func (r *run) rekey(node, key string) {
	r.Helper()
	r.must(r.bare.StopSpeaker(node))
	r.must(r.bare.StartSpeaker(node, key))
	r.must(r.bare.SpeakerReady(r.ctx, node))
}

// real are those that need kubelets: what restarts speakers, and what takes the endpoints of a dead node away.
func real() []scenario {
	return []scenario{
		{name: "rollout restart of every speaker", tier: lab.Full, want: lossless(), act: func(r *run) {
			r.began = time.Now()
			all := []string{"daemonset", "-n", rig.Namespace, "-l", "app.kubernetes.io/component=speaker"}
			r.kubectl(append([]string{"rollout", "restart"}, all...)...)
			r.kubectl(append([]string{"rollout", "status", "--timeout=55s"}, all...)...)
			r.healed = time.Now()
		}},
		{name: "gossip key changed by its Secret", tier: lab.Full, want: lossless(), act: changeSecret},
		{name: "owner's power cut, with kubelets", tier: lab.Full, times: 3, want: moving(1, 1), perSecond: 50, act: func(r *run) {
			r.cutPower()
			cut := r.began
			r.hold(45*time.Second - time.Since(cut))
			for _, c := range r.connectors {
				ratio := func(at time.Duration) float64 {
					return 100 * c.Attempts().Between(cut.Add(at-time.Second/2), cut.Add(at+time.Second/2)).SuccessRatio()
				}
				r.note("%s: new connections that succeed 1 s after the cut: %.0f%%, after 5 s: %.0f%%, after 40 s: %.0f%%", c.Target(),
					ratio(time.Second), ratio(5*time.Second), ratio(40*time.Second))
			}
			r.restorePower()
		}},
	}
}

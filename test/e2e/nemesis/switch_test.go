package nemesis

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// forgetting is longer than a switch of lab.Snooping remembers a membership that nobody confirms.
const forgetting = 15 * time.Second

// solicitations is how often a host asks before it gives up: MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT (RFC 4861 §10).
const solicitations = 3

// switches forward multicast only to those who joined.
func switches() []scenario {
	return []scenario{
		{name: "MLD snooping with a querier", want: lossless(), act: func(r *run) { r.during(2*forgetting, "snooping", r.Lab.Snooping()) }},
		{name: "power cut under MLD snooping", want: moving(1, 1), act: func(r *run) {
			r.must(r.Lab.Break(r.ctx, "snooping", r.Lab.Snooping()))
			r.hold(forgetting)
			r.cutPower()
			r.hold(2 * time.Second)
			r.restorePower()
		}},
		{name: "2000 IPv6 addresses on one interface, MLD snooping with a querier", want: usual, act: func(r *run) { r.many(2000) }},
	}
}

// many gives one node n IPv6 addresses and asks for each by multicast and alone.
func (r *run) many(n int) {
	first := netip.MustParseAddr("fd00:1::1000:0")
	only := []v1beta1.LabelSelector{{MatchLabels: map[string]string{"kubernetes.io/hostname": r.victim}}}
	r.must(r.pool(r.ctx, "many", only, "fd00:1::1000:0-fd00:1::1000:ffff"))
	defer func() { r.must(r.removeMany(n)) }()
	made := time.Now()
	r.must(r.createMany(n))
	r.note("%d Services were made in %v", n, ms(time.Since(made)))
	r.must(r.Lab.Break(r.ctx, "snooping", r.Lab.Snooping()))
	var wanted []netip.Addr
	for a := first; len(wanted) < n; a = a.Next() {
		wanted = append(wanted, a)
	}
	// Until the last is announced, and then as long as the switch would remember a group that was joined once only.
	missing := wanted
	for end := time.Now().Add(2 * time.Minute); len(missing) > 0 && time.Now().Before(end); {
		missing = r.unanswered(missing, witness.Broadcast)
	}
	r.note("all but %d were answered %v after the first Service", len(missing), ms(time.Since(made)))
	r.hold(forgetting)
	for _, q := range []struct {
		kind string
		dst  witness.MAC
	}{{"a multicast solicitation", witness.Broadcast}, {"a unicast probe", r.MACOf(r.victim)}} {
		missing, counts := wanted, []int{}
		for try := 0; try < solicitations && len(missing) > 0; try++ {
			missing = r.unanswered(missing, q.dst)
			counts = append(counts, len(missing))
		}
		r.note("%s: of %d addresses without an answer after each try: %v", q.kind, n, counts)
		if len(missing) > 0 {
			r.Errorf("%s is not answered for %d of %d addresses, the first %s", q.kind, len(missing), n, missing[0])
		}
	}
}

// unanswered asks once for each address and returns those for which the victim gave no answer within a second of the last.
func (r *run) unanswered(addrs []netip.Addr, dst witness.MAC) []netip.Addr {
	r.Helper()
	asked := time.Now()
	for i, a := range addrs {
		r.must(r.Send(r.Question(a, dst)))
		if i%10 == 9 {
			r.hold(20 * time.Millisecond) // 500 a second: how fast the answers come is not what is tested
		}
	}
	r.hold(time.Second)
	me, victim := witness.MACOf(r.Lab.Client().MAC), r.MACOf(r.victim)
	answered := map[netip.Addr]bool{}
	for _, s := range r.Witness.Since(asked) {
		if s.Dst == me && s.Src == victim && s.Payload == victim {
			answered[s.Addr] = true
		}
	}
	var out []netip.Addr
	for _, a := range addrs {
		if !answered[a] {
			out = append(out, a)
		}
	}
	return out
}

// makers is how many requests are under way at once.
const makers = 16

// createMany makes n Services with an IPv6 address each, and waits until all have one.
func (r *run) createMany(n int) error {
	none := map[string]string{labelProxy: "none"} // three kube-proxies would take all of the CPUs, and nobody connects
	err := eachOf(n, func(i int) error {
		return r.createService(r.ctx, fmt.Sprintf("many-%d", i), "many", none, corev1.IPv6Protocol)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Minute)
	defer cancel()
	return rig.Poll(ctx, func() error {
		var list corev1.ServiceList
		if err := r.API.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		have := 0
		for _, svc := range list.Items {
			have += len(svc.Status.LoadBalancer.Ingress)
		}
		if want := n + len(r.addrs); have != want {
			return fmt.Errorf("the Services have %d addresses, want %d", have, want)
		}
		return nil
	})
}

// removeMany deletes the Services and their pool.
func (r *run) removeMany(n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 2*time.Minute)
	defer cancel()
	err := eachOf(n, func(i int) error {
		return client.IgnoreNotFound(r.API.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("many-%d", i)}}))
	})
	if err != nil {
		return err
	}
	return r.removePool(ctx, "many")
}

// eachOf calls f for 0 … n-1, several at a time, and returns the first error.
func eachOf(n int, f func(int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, makers)
	for m := range makers {
		all.Go(func() {
			for i := m; i < n; i += makers {
				if err := f(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/api/v1beta1"
	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// limit bounds each wait of the demo.
const limit = time.Minute

var service = client.ObjectKey{Namespace: "default", Name: "nginx-service"}

// show is the demo on a lab that is up.
type show struct {
	*stage
	*rig.Rig
	name string
}

// run performs the whole demo. The lab is taken down again however it ends, unless keep says otherwise.
func run(ctx context.Context, st *stage, name string, keep bool) (err error) {
	fmt.Fprintln(st.w, "Steelyard: addresses for Services of type LoadBalancer, on a cluster that has no cloud.\n"+
		"Everything below happens inside this machine, on a LAN (192.168.1.0/24, fd00:1::/64) made of network namespaces.")
	st.say("A cluster of three nodes comes up (the very first time Kubernetes is built from source, about 10 minutes)")
	l, err := lab.Up(ctx, lab.Options{Tier: lab.Full, Name: name, Log: st, Keep: keep})
	if err != nil {
		return err
	}
	defer func() {
		if keep && err == nil {
			err = l.Release()
			return
		}
		st.say("The cluster goes down")
		err = errors.Join(err, l.Down())
	}()
	st.say("helm install steelyard charts/steelyard --namespace %s", rig.Namespace)
	if err := l.InstallSteelyard(ctx, lab.InstallOptions{}); err != nil {
		return err
	}
	r, err := rig.New(l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s := &show{stage: st, Rig: r, name: name}
	addr, err := s.serve(ctx)
	if err != nil {
		return err
	}
	if err := s.lose(ctx, addr); err != nil {
		return err
	}
	if keep {
		s.explain(addr)
	}
	return nil
}

// serve applies the YAML and shows that the address works.
func (s *show) serve(ctx context.Context) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*limit)
	defer cancel()
	s.say("A web server with two pods, a pool, an advertisement and a Service of type LoadBalancer are applied")
	s.show("%s", rig.Quickstart)
	for _, yaml := range []string{rig.Nginx, rig.Quickstart} {
		if _, err := s.Lab.Kubectl(ctx, yaml, "apply", "-f", "-"); err != nil {
			return netip.Addr{}, err
		}
	}
	addrs, err := s.Addresses(ctx, service, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	addr := addrs[0]
	if err := s.counted(ctx); err != nil {
		return addr, err
	}
	s.say("The Service has an address")
	for _, args := range [][]string{
		{"get", "svc", service.Name, "-n", service.Namespace},
		{"get", "ipaddresspools", "-n", rig.Namespace},
		{"get", "l2advertisements", "-n", rig.Namespace},
	} {
		if err := s.kubectl(ctx, args...); err != nil {
			return addr, err
		}
	}
	s.say("A client on the LAN asks who has %s: everybody by broadcast, then each node alone", addr)
	if err := s.whoHas(ctx, addr); err != nil {
		return addr, err
	}
	s.say("The same client fetches a page")
	if _, err := s.Web(ctx, addr, 80); err != nil { // kube-proxy needs a moment for a new address
		return addr, err
	}
	c := s.Lab.Client()
	page, err := c.Command(ctx, "curl", "--silent", "--show-error", "--fail", "--max-time", "10", "http://"+addr.String()).CombinedOutput()
	if err != nil {
		return addr, fmt.Errorf("curl: %w: %s", err, page)
	}
	s.show("$ curl http://%s\n%s", addr, page)
	return addr, nil
}

// counted waits until the pool's usage, which is written a moment after the address, shows it.
func (s *show) counted(ctx context.Context) error {
	return rig.Poll(ctx, func() error {
		var pool v1beta1.IPAddressPool
		if err := s.API.Get(ctx, client.ObjectKey{Namespace: rig.Namespace, Name: "my-pool"}, &pool); err != nil {
			return err
		}
		if pool.Status.AssignedIPv4 != 1 {
			return fmt.Errorf("the pool's usage is %+v, want one IPv4 address assigned", pool.Status)
		}
		return nil
	})
}

func (s *show) kubectl(ctx context.Context, args ...string) error {
	out, err := s.Lab.Kubectl(ctx, "", args...)
	if err != nil {
		return err
	}
	s.show("$ kubectl %s\n%s\n ", strings.Join(args, " "), strings.TrimSpace(out))
	return nil
}

// whoHas waits until one node answers, and shows the answers to the client's questions.
func (s *show) whoHas(ctx context.Context, addr netip.Addr) error {
	if _, err := s.Owner(ctx, addr); err != nil {
		return err
	}
	answers, err := s.Ask(ctx, addr)
	if err != nil {
		return err
	}
	for _, mac := range answers.Broadcast {
		s.show("%s is at %s (%s)", addr, mac, s.NodeOf(mac))
	}
	var alone []string
	for _, n := range s.Lab.Nodes() {
		said := "silent"
		if got := answers.Unicast[s.MACOf(n.Name)]; len(got) > 0 {
			said = fmt.Sprintf("answers with %s", got[0])
		}
		alone = append(alone, n.Name+" "+said)
	}
	s.show("asked alone: %s", strings.Join(alone, ", "))
	return nil
}

// lose cuts the owner's power, shows who took over, and gives the power back.
func (s *show) lose(ctx context.Context, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, 3*limit)
	defer cancel()
	owner, err := s.Owner(ctx, addr)
	if err != nil {
		return err
	}
	s.say("The power of %s is cut, while the client opens 50 new connections a second", owner)
	if err := s.cut(ctx, addr, owner); err != nil {
		return err
	}
	if err := s.whoHas(ctx, addr); err != nil {
		return err
	}
	s.say("%s gets its power back", owner)
	if err := s.Lab.RestorePower(ctx, owner); err != nil {
		return err
	}
	if err := s.Settled(ctx); err != nil {
		return err
	}
	return s.whoHas(ctx, addr)
}

// cut cuts the power of owner and shows what the witness and the connector saw.
func (s *show) cut(ctx context.Context, addr netip.Addr, owner string) error {
	connector := witness.NewConnector(s.Lab.Client(), netip.AddrPortFrom(addr, 80), 50, time.Second)
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); connector.Run(running) }()
	defer func() { stop(); <-ended }()

	since := time.Now()
	if err := s.Lab.CutPower(owner); err != nil {
		return err
	}
	dead := time.Now()
	mac := s.MACOf(owner)
	heard, err := s.Witness.Await(ctx, since, func(r witness.Record) bool {
		_, ok := r.FirstAnnouncementByOther(addr, mac, since)
		return ok
	})
	if err != nil {
		return fmt.Errorf("waiting for another node to take over: %w; heard: %s", err, heard.Of(addr))
	}
	first, _ := heard.FirstAnnouncementByOther(addr, mac, since)
	s.show("%s announced %s (%s) %.2f s after the cut", s.NodeOf(first.Src), addr, first.Kind, first.Time.Sub(since).Seconds())
	var back witness.Attempt
	err = rig.Poll(ctx, func() error {
		var ok bool
		if back, ok = connector.Attempts().FirstSuccess(dead); !ok {
			return errors.New("no new connection has succeeded since the cut")
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.show("the first new connection was answered %.2f s after the cut, by a pod on %s", back.End().Sub(since).Seconds(), back.Field("node"))
	return nil
}

// explain prints how to go on with a lab that was kept.
func (s *show) explain(addr netip.Addr) {
	s.say("The cluster stays up. Try it:")
	command := "go run ./test/lab/cmd/lab"
	if s.name != defaultName {
		command += " -name " + s.name
	}
	s.show(`lab() { %s "$@"; }
lab kubectl get svc,pods -A -o wide           # kubectl as administrator
lab enter client curl -s http://%s  # on the client: fetch a page, or look whom it believes:
lab enter client ip neigh
lab power node1 cut                           # and restore
lab enter lan tcpdump -ni br0 arp             # the switch of the LAN, if tcpdump is installed
lab down                                      # takes everything down`, command, addr)
}

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// interfaces change under a speaker that runs.
func interfaces() []scenario {
	return []scenario{
		{name: "interface down for 5 s", want: moving(1, 1), act: func(r *run) {
			f, err := r.Lab.InterfaceDown(r.victim)
			r.must(err)
			r.during(5*time.Second, "down", f)
		}},
		{name: "carrier flapped for 50 ms", want: lossless(), act: func(r *run) { r.during(50*time.Millisecond, "flap", r.pulled("lan")) }},
		{name: "interface renamed", want: lossless(), act: func(r *run) { r.during(3*time.Second, "rename", lab.Renamed(r.victimHost(), "lan0")) }},
		{name: "interface gets another MAC", want: usual, act: otherMAC},
		{name: "interface appears after the start", want: lossless(), act: secondInterface},
	}
}

// otherMAC changes the hardware address of the victim's interface and back.
func otherMAC(r *run) {
	other := net.HardwareAddr{0x02, 0x00, 0x5e, 0x00, 0x53, 0x01}
	r.macs[witness.MACOf(other)] = r.victim
	macs := r.MACs()
	for i, m := range macs {
		if r.NodeOf(m) == r.victim {
			macs[i] = witness.MACOf(other)
		}
	}
	r.fault("mac", lab.OtherMAC(r.victimHost(), other))
	r.patrol.SetNodes(macs)
	r.hold(3 * time.Second)
	r.heal("mac")
	r.patrol.SetNodes(r.MACs())
}

// secondInterface gives every node an interface in another subnet of the same switch, and wants a Service's addresses there
// answered from it.
func secondInterface(r *run) {
	client := r.Lab.Client()
	station := witness.Station{MAC: witness.MAC{0x02, 0x57, 0x49, 0x54, 0xff, 0}, IPv4: netip.MustParseAddr("192.168.2.90"), IPv6: netip.MustParseAddr("fd00:2::90")}
	r.must(r.pool(r.ctx, "second", nil, "192.168.2.200/32", "fd00:2::200/128"))
	defer func() {
		r.must(errors.Join(r.removeService("second"), r.removePool(context.WithoutCancel(r.ctx), "second")))
		r.heal("second-client")
	}()
	addrs, err := r.newService(r.ctx, "second", "second", corev1.IPv4Protocol, corev1.IPv6Protocol)
	r.must(err)
	r.must(r.Lab.Break(r.ctx, "second-client", r.Lab.SecondInterface(client, "192.168.2.100/24", "fd00:2::100/64")))
	for i, n := range r.Lab.Nodes() {
		f := r.Lab.SecondInterface(n, fmt.Sprintf("192.168.2.%d/24", 11+i), fmt.Sprintf("fd00:2::%d/64", 11+i))
		r.must(r.Lab.Break(r.ctx, "second-"+n.Name, f))
		defer r.heal("second-" + n.Name)
	}
	appeared := time.Now()
	asker, err := witness.NewAsker(client, "eth1", station)
	r.must(err)
	defer asker.Close()
	ctx, cancel := context.WithTimeout(r.ctx, takeover)
	defer cancel()
	for _, a := range addrs {
		err := rig.Poll(ctx, func() error {
			answers, err := asker.AskAll(ctx, a, nil, 50*time.Millisecond)
			if err == nil && len(answers.Broadcast) != 1 {
				err = fmt.Errorf("%d answerers: %s", len(answers.Broadcast), answers)
			}
			return err
		})
		if err != nil {
			r.Errorf("%s, in the subnet of an interface that appeared: %v", a, err)
			continue
		}
		r.note("%s is answered %v after the interface appeared", a, ms(time.Since(appeared)))
	}
}

// removeService deletes a Service.
func (r *run) removeService(name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), patient)
	defer cancel()
	_, err := r.Lab.Kubectl(ctx, "", "delete", "service", name, "--ignore-not-found", "--wait")
	return err
}

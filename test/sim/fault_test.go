package sim

import (
	"time"

	"github.com/steelyard-lb/steelyard/internal/simnet"
	"github.com/steelyard-lb/steelyard/speaker/core"
)

// What can be done to a node.

func cutPower(_ *cluster, v *node)  { v.cutPower() }
func boot(_ *cluster, v *node)      { v.boot() }
func stop(_ *cluster, v *node)      { v.stop() }
func cont(_ *cluster, v *node)      { v.cont() }
func freeze(_ *cluster, v *node)    { v.freeze() }
func thaw(_ *cluster, v *node)      { v.thaw() }
func kill(_ *cluster, v *node)      { v.kill() }
func terminate(_ *cluster, v *node) { v.terminate() }
func unplug(_ *cluster, v *node)    { v.nic.SetLink(false) }
func plug(_ *cluster, v *node)      { v.nic.SetLink(true) }
func heal(c *cluster, _ *node)      { c.lan.Heal(); c.net.Heal() }

// revive restarts a speaker while the API server is away.
func revive(end func(*cluster, *node)) func(*cluster, *node) {
	return func(c *cluster, v *node) {
		end(c, v)
		time.Sleep(time.Second)
		v.await()
		c.log("%s starts, the API server is away", v.name)
	}
}

// world is the return of the API server.
func world(c *cluster, _ *node) { c.change(func(*core.World) {}) }

func flap(_ *cluster, v *node) {
	v.nic.SetLink(false)
	time.Sleep(50 * time.Millisecond)
	v.nic.SetLink(true)
}

func noGossip(c *cluster, v *node) { c.net.Partition([]string{v.name}) }

func gossipBlock(way simnet.Direction) func(*cluster, *node) {
	return func(c *cluster, v *node) { c.net.Block(v.name, way) }
}

func lanBlock(way simnet.Direction) func(*cluster, *node) {
	return func(c *cluster, v *node) { c.lan.Block(v.name, way) }
}

// bothBlock is what happens to a cable that carries the LAN and gossip.
func bothBlock(way simnet.Direction) func(*cluster, *node) {
	return func(c *cluster, v *node) {
		c.lan.Block(v.name, way)
		c.net.Block(v.name, way)
	}
}

// deaf is what a port is that listens before it forwards (IEEE 802.1D): the carrier is there, and nothing passes.
func deaf(c *cluster, v *node) {
	c.lan.Block(v.name, simnet.In)
	c.lan.Block(v.name, simnet.Out)
}

func island(c *cluster, v *node) {
	c.lan.Partition([]string{v.name})
	c.net.Partition([]string{v.name})
}

func loss(share float64) func(*cluster, *node) {
	return func(c *cluster, _ *node) { c.lan.SetLoss(share); c.net.SetLoss(share) }
}

func slow(by time.Duration) func(*cluster, *node) {
	return func(c *cluster, v *node) { c.lan.SetSlow(v.name, by/4); c.net.SetSlow(v.name, by) }
}

func exclude(on bool) func(*cluster, *node) {
	return func(c *cluster, v *node) {
		c.change(func(w *core.World) {
			for i := range w.Nodes {
				if w.Nodes[i].Name == v.name {
					w.Nodes[i].Excluded = on
				}
			}
		})
	}
}

func taint(on bool) func(*cluster, *node) {
	return func(c *cluster, v *node) {
		c.change(func(w *core.World) {
			for i := range w.Nodes {
				if w.Nodes[i].Name == v.name {
					w.Nodes[i].OutOfService = on
				}
			}
		})
	}
}

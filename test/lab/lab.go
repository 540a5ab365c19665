package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/steelyard-lb/steelyard/test/lab/proc"
)

// Tier says how much of a cluster there is.
type Tier string

const (
	// Full has real nodes: what is installed runs as pods.
	Full Tier = "full"
	// Lite has the API server, kube-controller-manager and, in every node's network namespace, kube-proxy. The Node objects are
	// written by hand and stay Ready; what is tested runs as processes (Start).
	Lite Tier = "lite"
	// APIOnly has etcd and kube-apiserver and no node, no LAN, no client.
	APIOnly Tier = "api"
)

// defaultName is the name of a lab that was given none.
const defaultName = "steelyard"

// Options says what lab to make. The zero value is a full one.
type Options struct {
	Tier      Tier
	ProxyMode string // of kube-proxy: nftables (default) or iptables
	// Name is the prefix of namespaces and the name of the state directory; default "steelyard". Labs of different names do
	// not meet.
	Name string
	// Log gets a line per step; default none.
	Log io.Writer
	// Keep lets the lab live on when the process that made it ends without Down.
	Keep bool
	// NodeGrace is how long a node may be silent before it is NotReady; default 12 s (four and more of kubelet's lease
	// renewals; Kubernetes' own default is 50 s).
	NodeGrace time.Duration
}

func (o *Options) complete() error {
	o.Tier = cmp.Or(o.Tier, Full)
	o.ProxyMode = cmp.Or(o.ProxyMode, "nftables")
	o.Name = cmp.Or(o.Name, defaultName)
	o.NodeGrace = cmp.Or(o.NodeGrace, 12*time.Second)
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Tier != Full && o.Tier != Lite && o.Tier != APIOnly {
		return fmt.Errorf("tier %q: want %s, %s or %s", o.Tier, Full, Lite, APIOnly)
	}
	if o.ProxyMode != "nftables" && o.ProxyMode != "iptables" {
		return fmt.Errorf("proxy mode %q: want nftables or iptables", o.ProxyMode)
	}
	return checkName(o.Name)
}

// Lab is a running lab. Its methods may be called from several goroutines, except Down and Release.
type Lab struct {
	state
	topology
	log   *logger
	lock  *lock     // nil when another process made the lab
	watch *watchdog // nil when nobody watches

	children sync.WaitGroup // processes of ours that were not waited for yet
}

// Up makes a lab and returns when everything in it answers. What an earlier lab of this name left, or a lab that was kept
// running, is cleared away first; a lab that another living process owns is an error that says which process. An error
// carries the last lines of the log concerned, and the logs stay in /var/lib/steelyard-lab/NAME-logs.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := Check(); err != nil {
		return nil, err
	}
	lg := newLogger(o.Log)
	bin, err := Build(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	lk, err := takeLock(o.Name, lockWait)
	if err != nil {
		return nil, err
	}
	if old, err := readState(o.Name); err == nil {
		lg.line("clearing away the lab that was made at %s by %s", old.Created.Format(time.TimeOnly), old.Command)
	}
	if err := clearAway(o.Name); err != nil {
		return nil, errors.Join(fmt.Errorf("clearing away an earlier lab: %w", err), lk.release(false))
	}
	l, err := newLab(o, bin, lk, lg)
	if err != nil {
		return nil, errors.Join(err, lk.release(true))
	}
	if err := l.start(ctx); err != nil {
		err = fmt.Errorf("bringing the lab up: %w\nall logs: %s", err, logsDir(l.Name))
		return nil, errors.Join(err, l.SaveLogs(logsDir(l.Name)), l.Down())
	}
	lg.line("lab %s (%s, %s) is up", l.Name, l.Tier, l.ProxyMode)
	return l, nil
}

// newLab makes the directory and writes down whose lab it is, before there is anything to clear away.
func newLab(o Options, bin string, lk *lock, lg *logger) (*Lab, error) {
	self, err := proc.Self()
	if err != nil {
		return nil, err
	}
	l := &Lab{
		state: state{
			Name: o.Name, Tier: o.Tier, ProxyMode: o.ProxyMode, Grace: o.NodeGrace, Keep: o.Keep,
			Owner: self, Command: strings.Join(os.Args, " "), Created: time.Now(), Bin: bin,
		},
		topology: plan(o.Name, o.Tier), log: lg, lock: lk,
	}
	for _, d := range []string{"pids", "log", "images"} {
		if err := os.MkdirAll(l.path(d), 0o755); err != nil {
			return nil, fmt.Errorf("making the lab's directory: %w", err)
		}
	}
	if err := os.RemoveAll(logsDir(o.Name)); err != nil {
		return nil, fmt.Errorf("removing old logs: %w", err)
	}
	return l, l.write()
}

// start brings up everything, in the order that takes the least time: kubelets wait for the API server by themselves.
func (l *Lab) start(ctx context.Context) error {
	if !l.Keep {
		if err := l.startWatchdog(); err != nil {
			return err
		}
	}
	if err := l.makeNetwork(ctx); err != nil {
		return err
	}
	l.log.line("network is up")
	if err := writePKI(l.path(""), l.topology, time.Now()); err != nil {
		return err
	}
	if err := l.startControlPlane(); err != nil {
		return err
	}
	if l.Tier == APIOnly {
		return l.awaitAPI(ctx)
	}
	return l.startNodes(ctx)
}

// Attach finds a lab that is up. It is not the caller's: Down fails while the process that made it lives.
func Attach(name string) (*Lab, error) {
	name = cmp.Or(name, defaultName)
	if err := checkName(name); err != nil {
		return nil, err
	}
	s, err := readState(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no lab %s", name)
	}
	if err != nil {
		return nil, err
	}
	return &Lab{state: s, topology: plan(s.Name, s.Tier), log: newLogger(io.Discard)}, nil
}

// Down ends every process of the lab and removes its namespaces, cgroups, mounts and files. It goes on after an error and
// returns them all; it may be called again.
func (l *Lab) Down() error {
	if l.lock == nil {
		lk, err := takeLock(l.Name, time.Second)
		if err != nil {
			return err
		}
		l.lock = lk
	}
	err := clearAway(l.Name)
	l.children.Wait()
	err = errors.Join(err, l.watch.stop(), l.lock.release(err == nil))
	l.watch, l.lock = nil, nil
	if err == nil {
		l.log.line("lab %s is down", l.Name)
	}
	return err
}

// Release leaves the lab running: nobody watches it any more, and it is no longer the caller's.
func (l *Lab) Release() error {
	l.Keep = true
	err := errors.Join(l.write(), l.watch.stop(), l.lock.release(false))
	l.watch, l.lock = nil, nil
	return err
}

// path is a path below the lab's directory.
func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{stateDir(l.Name)}, elem...)...)
}

// Nodes are the nodes, in order of their names.
func (l *Lab) Nodes() []Host {
	var hosts []Host
	for _, n := range l.nodes {
		hosts = append(hosts, n.Host)
	}
	return hosts
}

// Node is the node of that name; the zero Host when there is none.
func (l *Lab) Node(name string) Host {
	n, err := l.node(name)
	if err != nil {
		return Host{}
	}
	return n.Host
}

// Management is the address of a node on the management network, by which it reaches the API server; invalid when there is no
// such node.
func (l *Lab) Management(name string) netip.Addr {
	n, err := l.node(name)
	if err != nil {
		return netip.Addr{}
	}
	return n.mgmt
}

// Client is a machine on the LAN that is no part of the cluster.
func (l *Lab) Client() Host { return l.client }

// Router is the nodes' default gateway, on the LAN.
func (l *Lab) Router() Host { return l.router }

// ControlPlane is where the API server runs.
func (l *Lab) ControlPlane() Host { return l.cp }

// LAN is the bridge of the LAN; every port of it carries the name of the host behind it.
func (l *Lab) LAN() Host { return l.lanBr }

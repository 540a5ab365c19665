package simnet

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Direction is the way of a packet as a host sees it.
type Direction uint8

// The directions.
const (
	In Direction = iota
	Out
)

// Fabric says what becomes of each packet between two hosts, by name. All begins whole: nothing is lost, a packet takes 100 µs.
type Fabric struct {
	mu          sync.Mutex
	rand        *rand.Rand
	least, most time.Duration
	loss        float64
	cut         map[[2]string]bool
	blocked     map[blockade]bool
	group       map[string]int
	slow        map[string]time.Duration
}

type blockade struct {
	name string
	way  Direction
}

// NewFabric returns one whose losses and delays follow from the seed.
func NewFabric(seed uint64) *Fabric {
	f := &Fabric{rand: rand.New(rand.NewPCG(seed, 1))}
	f.SetDelay(100*time.Microsecond, 100*time.Microsecond)
	f.Heal()
	return f
}

// SetDelay says how long packets are on their way.
func (f *Fabric) SetDelay(least, most time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.least, f.most = least, max(least, most)
}

// SetLoss has a share of all packets lost, 0 to 1.
func (f *Fabric) SetLoss(share float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loss = share
}

// Cut loses everything from one host to another; the other way is as it was.
func (f *Fabric) Cut(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[[2]string{from, to}] = true
}

// Block loses everything to or from a host. Its link stays up.
func (f *Fabric) Block(name string, way Direction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked[blockade{name, way}] = true
}

// SetSlow has everything to and from a host take so much longer.
func (f *Fabric) SetSlow(name string, by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow[name] = by
}

// Partition loses everything between groups. Hosts in none of them make one more.
func (f *Fabric) Partition(groups ...[]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.group = map[string]int{}
	for i, names := range groups {
		for _, name := range names {
			f.group[name] = i + 1
		}
	}
}

// Heal ends losses, cuts, blockades, partitions and slowness.
func (f *Fabric) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loss, f.cut, f.blocked, f.group = 0, map[[2]string]bool{}, map[blockade]bool{}, map[string]int{}
	f.slow = map[string]time.Duration{}
}

// passes says whether anything can go from one host to another.
func (f *Fabric) passes(from, to string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passesLocked(from, to)
}

func (f *Fabric) passesLocked(from, to string) bool {
	return !f.cut[[2]string{from, to}] && !f.blocked[blockade{from, Out}] && !f.blocked[blockade{to, In}] && f.group[from] == f.group[to]
}

// leaves says whether anything that a host sends gets to the first switch.
func (f *Fabric) leaves(from string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.blocked[blockade{from, Out}]
}

// fate says how long one packet takes, or that it is lost.
func (f *Fabric) fate(from, to string) (delay time.Duration, arrives bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loss > 0 && f.rand.Float64() < f.loss {
		return 0, false
	}
	return f.slow[from] + f.slow[to] + f.least + time.Duration(f.rand.Int64N(int64(f.most-f.least)+1)), f.passesLocked(from, to)
}

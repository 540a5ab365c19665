package gossip

import "time"

// stop has a host send nothing and take nothing in, as a stopped process does, until the function that it returns is called. What
// comes meanwhile waits.
func (l *lan) stop(addr string) (resume func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	still := make(chan struct{})
	l.still[addr] = still
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.still, addr)
		close(still)
	}
}

// wait returns when the process of a host runs.
func (l *lan) wait(addr string) {
	l.mu.Lock()
	still := l.still[addr]
	l.mu.Unlock()
	if still != nil {
		<-still
	}
}

// carry counts bytes of a stream, and waits as long as they take on the lines of two hosts, a gigabit a second, behind those of other
// streams.
func (l *lan) carry(from, to string, bytes int) {
	l.mu.Lock()
	now := time.Now()
	l.bytes += bytes
	done := now
	for _, h := range []string{from, to} {
		if l.idle[h].Before(now) {
			l.idle[h] = now
		}
		l.idle[h] = l.idle[h].Add(time.Duration(bytes) * 8 * time.Nanosecond)
		if l.idle[h].After(done) {
			done = l.idle[h]
		}
	}
	l.mu.Unlock()
	time.Sleep(time.Until(done))
}

// Package simnet is a virtual Ethernet segment, a virtual IP network and virtual hosts, on which many speakers run in one test
// process. It is for tests only, and made for a testing/synctest bubble: it waits by package time, so that a minute costs no more
// than what happens in it.
//
//	Switch    forwards frames, real bytes, between ports: learns MACs, knows link, isolation, loss, delay, cuts in one direction
//	Network   carries datagrams and streams between addresses, beside the Switch and with faults of its own
//	Host      a machine: answers ARP and neighbour solicitations for its own addresses like a kernel, also while its processes are
//	          stopped; has packet sockets, and a neighbour cache like that of Linux
//	Process   what can be stopped, continued and killed
//
// # A stopped process
//
// The goroutines of one process in a bubble cannot be stopped. Instead everything is held by which they could notice or do anything:
//
//	packet sockets   frames wait with the time at which they came, 256 of them; what is written meanwhile goes nowhere
//	datagrams        received ones wait, up to 4096; who sends one waits
//	streams          data waits; who reads or writes waits; new connections are accepted, as by a kernel, but not served
//	Beats, Wait      a ticker and a barrier for the loops of the process itself
//
// Not covered: a loop that neither reads nor writes, nor passes a barrier, goes on. In a speaker these are memberlist's own timers
// (a suspicion that was running when the process stopped may end meanwhile) and the announcer of the wire, whose frames go nowhere
// and which finds out 300 ms later that the process was stopped, instead of when it is continued. A process stopped between the
// decision to answer and the write of a frame cannot be shown either.
package simnet

// Package sim runs whole clusters of speakers in virtual time: the real core, gossip (memberlist) and wire of each speaker, on the
// virtual segment, network and hosts of internal/simnet, each cluster in a testing/synctest bubble. A witness with a neighbour cache
// of its own asks who has each address, by broadcast and of each node alone, and judges the promises of docs/adr/0011 by what it
// hears, not by what speakers say of themselves.
//
// There are named scenarios, one for each kind of fault, and random ones: a seed gives a cluster and a series of faults. Traces of
// one seed differ from run to run, because memberlist is random by itself, so there are bounds and invariants, no recorded output.
//
//	go test ./test/sim                    all scenarios, and as many seeds as take a moment
//	make sim SEEDS=1000                   that many seeds
//	make sim SEED=7                       one of them, with its events
package sim

package lb

import (
	"cmp"
	"slices"
)

// MayShare says whether two Services may hold one address:
//
//	sharing key        equal and not empty
//	ports              no (protocol, number) in common
//	traffic policies   both Cluster, or both Local with the same selector
//
// The last row exists because a Local Service is announced only where its endpoints are: two that select different pods may
// have no node in common, and then the address would have no place where both work. The allocator and the speakers call
// this same function, so that an address is never given out in a way in which it would not be announced.
func MayShare(a, b Service) bool {
	if a.SharingKey == "" || a.SharingKey != b.SharingKey {
		return false
	}
	if a.Local != b.Local || (a.Local && a.Selector != b.Selector) {
		return false
	}
	return !slices.ContainsFunc(a.Ports, func(p Port) bool { return slices.Contains(b.Ports, p) })
}

// CompareAge orders Services by who has the older right to an address that both hold and may not share: creation time, then
// UID, then name. The first keeps it. The allocator and the speakers apply the same rule, so that they agree without talking.
func CompareAge(a, b Service) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.UID, b.UID), a.Name.Compare(b.Name))
}

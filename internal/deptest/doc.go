// Package deptest holds the rules of which package may import what, as a test. It has no code to call.
//
// The architecture is that three verbs (allocate, own, answer) are pure and that a networking library is imported in exactly
// one folder. Both would erode one convenient import at a time; each rule here has its reason, which the failing test prints.
package deptest

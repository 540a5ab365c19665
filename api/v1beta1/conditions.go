package v1beta1

// The conditions that the controller writes.
const (
	// ConditionAllocated is the type of the condition in the status of a Service. True: the Service has the addresses that
	// it asks for; reason "Allocated", or what is irregular about them. False: it waits, or asks for something that it
	// cannot have; the reason is one of those documented in package internal/allocate, and the message names every pool
	// that was considered and why it does not serve.
	ConditionAllocated = AnnotationPrefix + "Allocated"

	// ConditionReady is the type of the condition in the status of an IPAddressPool. True: all its addresses can be used.
	// This one and the three below tell an Event on the pool, with their reason and message, when they change.
	// False: reason "Invalid" (an entry does not parse), "Overlap" (part of it belongs to an older pool) or "Exhausted" (a
	// Service waits and no address is free); the message says what to change.
	ConditionReady = "Ready"

	// ConditionOverlap of an IPAddressPool. True: part of it belongs to an older pool, reason "OlderPool"; the message names
	// that pool and the addresses, remove them from one of the two. False: reason "NoOverlap".
	ConditionOverlap = "Overlap"

	// ConditionExhausted of an IPAddressPool. True: Services wait for a free address, reason "ServicesWait"; add a range or
	// delete a Service. False: reason "NoneWaits".
	ConditionExhausted = "Exhausted"

	// ConditionConflict of an IPAddressPool. True: something else on the LAN answers for one of its addresses, reason
	// "SeenOnLAN"; the message names the addresses and who saw them: find that machine, or put the address into
	// spec.reserved. False: reason "NoConflict".
	ConditionConflict = "Conflict"
)

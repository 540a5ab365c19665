package v1beta1

// The annotations on Services that Steelyard reads and writes. Each of these is also read in the older spelling with
// LegacyAnnotationPrefix; when both are there, the newer one counts.
const (
	AnnotationPrefix       = "metallb.io/"
	LegacyAnnotationPrefix = "metallb.universe.tf/"

	// AnnotationAddressPool names the pool that the Service's addresses must come from.
	AnnotationAddressPool = AnnotationPrefix + "address-pool"
	// AnnotationLoadBalancerIPs asks for addresses: one of each family at most, separated by commas.
	AnnotationLoadBalancerIPs = AnnotationPrefix + "loadBalancerIPs"
	// AnnotationAllowSharedIP is the sharing key: Services with an equal key may have one address, on different ports.
	AnnotationAllowSharedIP = AnnotationPrefix + "allow-shared-ip"
	// AnnotationAllocatedFromPool is written by the controller: the pool that the addresses came from.
	AnnotationAllocatedFromPool = AnnotationPrefix + "ip-allocated-from-pool"
)

// AnnotationPreferredNode names the node that should answer for the Service's addresses: they move there, and stay
// elsewhere while that node cannot have them. MetalLB has no such annotation, so there is no older spelling of it.
const AnnotationPreferredNode = AnnotationPrefix + "preferred-node"

// LabelDrained on a Node keeps every address away from it, whatever its value: those that it has move to other nodes. `kubectl steelyard
// drain` writes it and `undrain` takes it off. Unlike node.kubernetes.io/exclude-from-external-load-balancers it is nobody else's,
// and --ignore-exclude-lb does not change what it means.
const LabelDrained = "metallb.io/drained"

// The labels on ServiceL2Status objects.
const (
	LabelNode             = "metallb.io/node"
	LabelServiceName      = "metallb.io/service-name"
	LabelServiceNamespace = "metallb.io/service-namespace"
)

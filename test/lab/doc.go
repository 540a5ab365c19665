// Package lab brings up a real Kubernetes cluster on one machine, out of network namespaces, and takes it down again.
//
// Everything in it is other people's code, built from the Go module proxy (Build): etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler, and on each of three nodes a kubelet, containerd, runc, CNI plugins and
// kube-proxy. No container registry is needed. The network is one Ethernet segment with a client beside the nodes:
//
//	NAME-lan     br0, ports named after their hosts: a capture here sees the whole segment
//	NAME-node1   eth0 192.168.1.11 fd00:1::11, mgmt0 198.18.0.11; pods 10.244.1.0/24 fd00:10:244:1::/64; likewise node2, node3
//	NAME-client  eth0 192.168.1.100 fd00:1::100
//	NAME-router  eth0 192.168.1.1 fd00:1::1, the nodes' default gateway, for a BGP peer
//	NAME-cp      bridge mgmt 198.18.0.1: etcd (loopback), kube-apiserver, kube-controller-manager, kube-scheduler
//
// The management bridge is a second way to the API server, so that a node can lose the LAN alone, the API alone, or both.
//
// # What a lab may touch
//
// No namespace of a lab is connected to the machine's own, so no packet can leave it and a wrong address fails instead of
// going out. A lab ends only processes that it started: each records its id and start time before it becomes the daemon
// (package proc). A lab has a name; a lock keeps two processes from running one of that name, and Up clears away what a
// crashed run left. A watchdog takes a lab down when the process that made it dies without doing so, unless Options.Keep.
//
// State and logs are below /var/lib/steelyard-lab, binaries in the user's cache directory (Cache).
package lab

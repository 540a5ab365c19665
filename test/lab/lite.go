package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// writeNodeObject makes a Node object as kubelet would, with a status that says Ready. Nobody renews it, and nobody looks
// (controllerManager).
func (l *Lab) writeNodeObject(ctx context.Context, n node) error {
	type m = map[string]any
	object, err := json.Marshal(m{
		"apiVersion": "v1", "kind": "Node",
		"metadata": m{"name": n.Name, "labels": m{
			"kubernetes.io/hostname": n.Name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "zone-" + strconv.Itoa(n.index),
		}},
		"spec": m{"podCIDR": n.pod4, "podCIDRs": []string{n.pod4, n.pod6}},
	})
	if err != nil {
		return fmt.Errorf("encoding %s: %w", n.Name, err)
	}
	if _, err := l.Kubectl(ctx, string(object), "apply", "-f", "-"); err != nil {
		return err
	}
	now := time.Now().UTC().Format(time.RFC3339)
	room := m{"cpu": "2", "memory": "8Gi", "pods": "110"}
	status, err := json.Marshal(m{"status": m{
		"addresses": []m{
			{"type": "InternalIP", "address": n.IPv4.String()}, {"type": "InternalIP", "address": n.IPv6.String()}, {"type": "Hostname", "address": n.Name},
		},
		"conditions": []m{{"type": "Ready", "status": "True", "reason": "Lab", "lastHeartbeatTime": now, "lastTransitionTime": now}},
		"capacity":   room, "allocatable": room,
	}})
	if err != nil {
		return fmt.Errorf("encoding %s: %w", n.Name, err)
	}
	_, err = l.Kubectl(ctx, "", "patch", "node", n.Name, "--subresource=status", "--type=merge", "-p", string(status))
	return err
}

// startProxy starts kube-proxy as a process of the lab in the network namespace of a node.
func (l *Lab) startProxy(n node) error {
	if err := l.writeConfigs(n); err != nil {
		return err
	}
	return l.Start(n.Host, "kube-proxy-"+n.Name, "kube-proxy", "--config", filepath.Join(l.path("nodes", n.Name), "kube-proxy.yaml"))
}

package nemesis

import (
	"syscall"
	"time"
)

// askKubeProxy are the flags of the speakers: they notice the death of kube-proxy after three answers, which are a second apart.
func askKubeProxy() []string {
	return []string{"--kube-proxy-health-url=http://127.0.0.1:10256/livez", "--kube-proxy-patience=1s"}
}

// proxies lose kube-proxy, first where it is well elsewhere, then everywhere.
func proxies() []scenario {
	want := moving(1, 1)
	want.silence, want.failed, want.broken, want.stoodIn = 2*pace, 0, 0, 0
	return []scenario{{name: "owner's kube-proxy killed, then all others", want: want, act: func(r *run) {
		r.strict()
		r.began = time.Now()
		r.must(r.Lab.Signal(kubeProxyOn(r.victim), syscall.SIGKILL))
		if d, ok := r.taken(r.own, takeover); ok {
			r.note("first announcement by the last new owner %v after the death of kube-proxy", ms(d))
		}
		r.healed = time.Now() // from here on nothing may move, so nothing may be in doubt
		for _, n := range r.Lab.Nodes() {
			if n.Name != r.victim {
				r.must(r.Lab.Signal(kubeProxyOn(n.Name), syscall.SIGKILL))
			}
		}
		r.hold(3 * time.Second) // until all speakers know; what an owner waits besides is in settling
	}}}
}

// kubeProxyOn is the process of the lab that is a node's kube-proxy.
func kubeProxyOn(node string) string { return "kube-proxy-" + node }

package nemesis

import (
	"fmt"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/test/rig"
)

// changeSecret runs the commands of docs/security.md and waits as they say. kubelets bring a Secret to its pods, within some 20 s here.
func changeSecret(r *run) {
	secret := []string{"secret", "steelyard-gossip", "-n", rig.Namespace}
	get := func(key string) string {
		return r.kubectl(append([]string{"get", "-o", "jsonpath={.data." + strings.ReplaceAll(key, ".", `\.`) + "}"}, secret...)...)
	}
	patch := func(kind, patch string) {
		r.kubectl(append([]string{"patch", "--type=" + kind, "-p", patch}, secret...)...)
	}
	r.began = time.Now()
	patch("merge", `{"stringData": {"secretkey.next": "another key, as good as the first"}}`)
	r.keysChanged(1)
	patch("merge", fmt.Sprintf(`{"data": {"secretkey": %q, "secretkey.previous": %q, "secretkey.next": null}}`, get("secretkey.next"), get("secretkey")))
	r.keysChanged(2)
	patch("json", `[{"op": "remove", "path": "/data/secretkey.previous"}]`)
	r.keysChanged(3)
	r.healed = time.Now()
	if said := r.speakerLogs(); strings.Contains(said, "rejected gossip") {
		r.Errorf("speakers have rejected each other:\n%s", said)
	}
}

// speakerLogs returns what all speakers have said.
func (r *run) speakerLogs() string {
	r.Helper()
	return r.kubectl("logs", "-n", rig.Namespace, "--prefix", "--tail=-1", "-l", "app.kubernetes.io/component=speaker")
}

// keysChanged waits until every speaker has said n times that its keys are others, and fails when they differ then.
func (r *run) keysChanged(n int) {
	r.Helper()
	began := time.Now()
	for ; ; r.hold(time.Second) {
		said := map[string]string{} // the last, by pod
		lines := 0
		for line := range strings.Lines(r.speakerLogs()) {
			if pod, keys, ok := strings.Cut(line, " sends="); ok && strings.Contains(pod, "gossip keys changed") {
				name, _, _ := strings.Cut(pod, " ")
				said[name], lines = keys, lines+1
			}
		}
		if lines == n*len(r.Lab.Nodes()) && len(said) == len(r.Lab.Nodes()) {
			r.note("step %d: all speakers have the keys %v after the change of the Secret", n, ms(time.Since(began)))
			same := map[string]bool{}
			for _, keys := range said {
				same[keys] = true
			}
			if len(same) != 1 {
				r.Errorf("after step %d the keys are %v", n, said)
			}
			return
		}
		if time.Since(began) > 2*time.Minute {
			r.Fatalf("step %d: after %v the speakers say %v", n, time.Since(began), said)
		}
	}
}

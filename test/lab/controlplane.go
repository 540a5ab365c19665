package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// apiLimit bounds the wait for the API server: 3 to 4 s on a quiet machine of two cores, several times that on a busy one.
const apiLimit = 3 * time.Minute

// startControlPlane starts the daemons of the control plane; none is waited for, since they wait for each other.
func (l *Lab) startControlPlane() error {
	// No fsync: what etcd holds is worth nothing after a power cut of the machine.
	if err := l.Start(l.cp, "etcd", "etcd", "--data-dir", l.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "default=http://127.0.0.1:2380"); err != nil {
		return err
	}
	if err := l.launchAPIServer(); err != nil {
		return err
	}
	if l.Tier == APIOnly {
		return nil
	}
	if err := l.Start(l.cp, "kube-controller-manager", l.controllerManager()...); err != nil {
		return err
	}
	if l.Tier == Lite {
		return nil
	}
	return l.Start(l.cp, "kube-scheduler", "kube-scheduler", "--kubeconfig="+l.path("kube-scheduler.kubeconfig"),
		"--leader-elect=false", "--bind-address=127.0.0.1")
}

func (l *Lab) launchAPIServer() error {
	pki := func(name string) string { return l.path("pki", name) }
	return l.Start(l.cp, "kube-apiserver", "kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379", "--advertise-address="+mgmtCP.String(), "--secure-port=6443",
		"--service-cluster-ip-range="+serviceCIDRs, "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		// Webhooks are called at their endpoints, for there is no kube-proxy here to translate a cluster address.
		"--enable-aggregator-routing=true",
		"--client-ca-file="+pki("ca.crt"), "--tls-cert-file="+pki("apiserver.crt"), "--tls-private-key-file="+pki("apiserver.key"),
		"--kubelet-client-certificate="+pki("kubelet-client.crt"), "--kubelet-client-key="+pki("kubelet-client.key"),
		"--kubelet-certificate-authority="+pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--service-account-key-file="+pki("sa.pub"), "--service-account-signing-key-file="+pki("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc")
}

// controllerManager is its command line. Without kubelets there is nobody to renew a node's lease, so then the controller
// that would call such a node dead is left out; all others are real.
func (l *Lab) controllerManager() []string {
	controllers := "*"
	if l.Tier == Lite {
		controllers = "*,-node-lifecycle-controller"
	}
	return []string{
		"kube-controller-manager", "--kubeconfig=" + l.path("kube-controller-manager.kubeconfig"), "--controllers=" + controllers,
		"--leader-elect=false", "--bind-address=127.0.0.1", "--allocate-node-cidrs=false",
		// A token per controller at the usual client rate limit would cost 5 s of the start.
		"--use-service-account-credentials=true", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--root-ca-file=" + l.path("pki", "ca.crt"), "--service-account-private-key-file=" + l.path("pki", "sa.key"),
		"--cluster-signing-cert-file=" + l.path("pki", "ca.crt"), "--cluster-signing-key-file=" + l.path("pki", "ca.key"),
		"--node-monitor-grace-period=" + l.Grace.String(), "--node-monitor-period=1s",
		"--flex-volume-plugin-dir=" + l.path("volume-plugins"), // it would make the default one on the machine
	}
}

// awaitAPI waits until the API server says that it is ready.
func (l *Lab) awaitAPI(ctx context.Context) error {
	client, err := rest.HTTPClientFor(l.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer client.CloseIdleConnections()
	err = l.await(ctx, waiting{what: "the API server to be ready", limit: apiLimit, log: "kube-apiserver"}, func(ctx context.Context) error {
		return getOK(ctx, client, apiURL+"/readyz")
	})
	if err != nil {
		return err
	}
	l.log.line("API server is ready")
	return nil
}

// getOK is nil when a GET answers 200.
func getOK(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	answer, err := client.Do(req)
	if err != nil {
		return err // names the URL itself
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 512)) // the status says enough
		return fmt.Errorf("%s answered %s: %s", url, answer.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

// StopAPIServer ends the API server at once, as a crash does.
func (l *Lab) StopAPIServer() error { return l.kill("kube-apiserver") }

// StartAPIServer starts it again and waits until it is ready.
func (l *Lab) StartAPIServer(ctx context.Context) error {
	if err := l.launchAPIServer(); err != nil {
		return err
	}
	return l.awaitAPI(ctx)
}

// Kubeconfig is the path of an administrator's kubeconfig. Its server is reached from the control plane and the nodes.
func (l *Lab) Kubeconfig() string { return l.path("admin.kubeconfig") }

// RESTConfig is an administrator's way to the API server from this process: it connects from inside the control plane's
// namespace. There is no client-side rate limit.
func (l *Lab) RESTConfig() *rest.Config {
	return &rest.Config{
		Host: apiURL, QPS: -1, Dial: l.cp.DialContext,
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: l.path("pki", "ca.crt"), CertFile: l.path("pki", "admin.crt"), KeyFile: l.path("pki", "admin.key"),
		},
	}
}

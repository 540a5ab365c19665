package lab

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parseCert(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificatesAreGoodForTheirPurposeOnly(t *testing.T) {
	now := time.Now()
	ca, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for _, tc := range []struct {
		name   string
		id     identity
		host   string
		server bool
	}{
		{name: "a client", id: identity{User: "admin", Groups: []string{"system:masters"}}},
		{name: "a server by address", id: identity{User: "kube-apiserver", Addresses: []netip.Addr{mgmtCP}}, host: "198.18.0.1", server: true},
		{name: "a server by name", id: identity{User: "system:node:node1", DNS: []string{"node1"}}, host: "node1", server: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ca.issue(tc.id, now)
			if err != nil {
				t.Fatal(err)
			}
			cert := parseCert(t, p.Cert)
			if cert.Subject.CommonName != tc.id.User || !cmp.Equal(cert.Subject.Organization, tc.id.Groups) {
				t.Errorf("subject %v, want %s in %v", cert.Subject, tc.id.User, tc.id.Groups)
			}
			for usage, want := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: tc.server, x509.ExtKeyUsageCodeSigning: false} {
				_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: tc.host, KeyUsages: []x509.ExtKeyUsage{usage}})
				if (err == nil) != want {
					t.Errorf("usage %v: %v, want good: %v", usage, err, want)
				}
			}
		})
	}
}

func TestWritePKIGivesEveryPartyItsFiles(t *testing.T) {
	dir := t.TempDir()
	if err := writePKI(dir, plan("x", Full), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"admin", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kubelet-node1", "kubelet-node3"} {
		text, err := os.ReadFile(filepath.Join(dir, name+".kubeconfig"))
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Clusters []struct {
				Cluster struct {
					Server string `json:"server"`
					CA     []byte `json:"certificate-authority-data"`
				} `json:"cluster"`
			} `json:"clusters"`
		}
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		if got := config.Clusters[0].Cluster; got.Server != apiURL || !parseCert(t, got.CA).IsCA {
			t.Errorf("%s: server %s, or no authority", name, got.Server)
		}
	}
	node, err := os.ReadFile(filepath.Join(dir, "pki/kubelet-node2.crt"))
	if err != nil {
		t.Fatal(err)
	}
	// The API server connects to kubelet by the node's InternalIP, and verifies.
	if err := parseCert(t, node).VerifyHostname("192.168.1.12"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "pki/ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v %v, want mode 0600", info, err)
	}
}

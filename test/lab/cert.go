package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// validity of every certificate. A lab lives for minutes, or for days when somebody keeps it; the margin before now covers
// a clock that is set back meanwhile.
const (
	validBefore = time.Hour
	validFor    = 365 * 24 * time.Hour
)

// authority is the certificate authority of one lab. It signs what the API server, its clients and the kubelets show.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// pair is a certificate and its key, PEM.
type pair struct{ Cert, Key []byte }

// identity is what a certificate says: who (user name and groups, as Kubernetes reads them out of a subject), and, for a
// server, under which names and addresses it is reached.
type identity struct {
	User      string
	Groups    []string
	DNS       []string
	Addresses []netip.Addr
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the lab's authority: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "steelyard-lab"},
		NotBefore: now.Add(-validBefore), NotAfter: now.Add(validFor),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making the lab's authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making the lab's authority: %w", err)
	}
	return &authority{cert: cert, key: key, pem: encodePEM("CERTIFICATE", der)}, nil
}

// issue makes a certificate that serves as client and, if the identity has names or addresses, as server.
func (a *authority) issue(id identity, now time.Time) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("issuing a certificate for %s: %w", id.User, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return pair{}, fmt.Errorf("issuing a certificate for %s: %w", id.User, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: id.User, Organization: id.Groups},
		NotBefore: now.Add(-validBefore), NotAfter: now.Add(validFor), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames: id.DNS,
	}
	for _, addr := range id.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
	}
	if len(id.DNS)+len(id.Addresses) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return pair{}, fmt.Errorf("issuing a certificate for %s: %w", id.User, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("issuing a certificate for %s: %w", id.User, err)
	}
	return pair{Cert: encodePEM("CERTIFICATE", der), Key: keyPEM}, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return encodePEM("EC PRIVATE KEY", der), nil
}

// signer makes the key pair with which service account tokens are signed (private, PEM) and checked (public, PEM).
func signer() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the service account key: %w", err)
	}
	private, err = encodeKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("making the service account key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("making the service account key: %w", err)
	}
	return private, encodePEM("PUBLIC KEY", der), nil
}

// kubeconfig returns a kubeconfig with everything inside, so that the file can be copied.
func kubeconfig(server string, ca []byte, p pair) ([]byte, error) {
	type m = map[string]any
	b64 := base64.StdEncoding.EncodeToString
	text, err := json.MarshalIndent(m{
		"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"clusters": []m{{"name": "lab", "cluster": m{"server": server, "certificate-authority-data": b64(ca)}}},
		"users":    []m{{"name": "lab", "user": m{"client-certificate-data": b64(p.Cert), "client-key-data": b64(p.Key)}}},
		"contexts": []m{{"name": "lab", "context": m{"cluster": "lab", "user": "lab"}}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	return text, nil
}

// writePKI makes every certificate, key and kubeconfig of a lab below dir:
//
//	pki/ca.crt ca.key sa.key sa.pub, pki/NAME.crt NAME.key, NAME.kubeconfig
func writePKI(dir string, t topology, now time.Time) error {
	ca, err := newAuthority(now)
	if err != nil {
		return err
	}
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	saKey, saPub, err := signer()
	if err != nil {
		return err
	}
	files := map[string][]byte{"pki/ca.crt": ca.pem, "pki/ca.key": caKey, "pki/sa.key": saKey, "pki/sa.pub": saPub}
	for name, id := range identities(t) {
		p, err := ca.issue(id, now)
		if err != nil {
			return err
		}
		config, err := kubeconfig(apiURL, ca.pem, p)
		if err != nil {
			return err
		}
		files["pki/"+name+".crt"], files["pki/"+name+".key"], files[name+".kubeconfig"] = p.Cert, p.Key, config
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// identities are the parties of a cluster, by the name of their files. The names of users and groups are those that
// Kubernetes' own RBAC and node authorizer know.
func identities(t topology) map[string]identity {
	ids := map[string]identity{
		"admin":          {User: "admin", Groups: []string{"system:masters"}},
		"kubelet-client": {User: "apiserver-kubelet-client", Groups: []string{"system:masters"}},
		"apiserver": {
			User: "kube-apiserver", DNS: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"},
			Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), mgmtCP, serviceAPI4, serviceAPI6},
		},
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		ids[name] = identity{User: "system:" + name}
	}
	for _, n := range t.nodes {
		ids["kubelet-"+n.Name] = identity{
			User: "system:node:" + n.Name, Groups: []string{"system:nodes"},
			DNS: []string{n.Name}, Addresses: []netip.Addr{n.IPv4, n.IPv6, n.mgmt},
		}
	}
	return ids
}

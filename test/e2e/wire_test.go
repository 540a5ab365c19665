package e2e

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/steelyard-lb/steelyard/test/rig"
	"github.com/steelyard-lb/steelyard/test/witness"
)

func TestMalformedFramesDoNotDisturbTheOwner(t *testing.T) {
	s := begin(t)
	s.pool("frames", "192.168.1.242/32", "fd00:1::242/128")
	addrs := s.addresses(s.service("frames", "frames", families(corev1.IPv4Protocol, corev1.IPv6Protocol)), 2)
	restarts := s.restarts()
	for _, addr := range addrs {
		owner := s.owner(addr)
		sent := 0
		for _, dst := range []witness.MAC{s.MACOf(owner), witness.Broadcast} {
			for _, frame := range malformed(s.Question(addr, dst)) {
				if err := s.Send(frame); err != nil {
					t.Fatalf("frame %x: %v", frame, err)
				}
				sent++
			}
		}
		t.Logf("%s: %d malformed frames", addr, sent)
		if now := s.owner(addr); now != owner {
			t.Errorf("%s is answered by %s, it was %s before the malformed frames", addr, now, owner)
		}
		s.web(addr, 80)
	}
	if now := s.restarts(); now != restarts {
		t.Errorf("containers of Steelyard were restarted %d times, %d before", now, restarts)
	}
}

// malformed returns a good frame cut at every length and with each byte behind the Ethernet header turned to 0 and to 0xff,
// which gives wrong lengths, operations, hop limits, checksums and options.
func malformed(good []byte) [][]byte {
	const header = 14
	var out [][]byte
	for n := header; n < len(good); n++ {
		out = append(out, good[:n])
	}
	for i := header; i < len(good); i++ {
		for _, b := range []byte{0, 0xff} {
			if good[i] == b {
				continue
			}
			bad := append([]byte(nil), good...)
			bad[i] = b
			out = append(out, bad)
		}
	}
	return out
}

// restarts counts the restarts of all containers of Steelyard.
func (s *scenario) restarts() int {
	s.Helper()
	n := 0
	s.do("counting restarts", func(ctx context.Context) error {
		var pods corev1.PodList
		err := s.API.List(ctx, &pods, client.InNamespace(rig.Namespace), client.MatchingLabels{"app.kubernetes.io/name": "steelyard"})
		for _, p := range pods.Items {
			for _, c := range p.Status.ContainerStatuses {
				n += int(c.RestartCount)
			}
		}
		return err
	})
	return n
}

// gossipPort is the default of --gossip-bind-address.
const gossipPort = 17944

func TestGossipWithTheWrongKeyIsDropped(t *testing.T) {
	s := begin(t)
	s.pool("gossip", "192.168.1.219-192.168.1.223")
	owners := map[netip.Addr]string{}
	for _, addr := range s.several("gossip", 4) {
		owners[addr] = s.owner(addr)
	}
	restarts := s.restarts()
	since := time.Now()
	for _, to := range s.Lab.Nodes() {
		for _, about := range s.Lab.Nodes() {
			for _, packet := range forgedGossip(t, about.Name) {
				s.gossip("udp", to.IPv4, packet)
				s.gossip("tcp", to.IPv4, packet)
			}
		}
	}
	// Longer than a suspicion lasts, so that a forged death would have moved something by now.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	moved, err := s.Witness.Await(ctx, since, func(r witness.Record) bool { return len(strangersTo(owners, r, s)) > 0 })
	if err == nil {
		t.Errorf("the forged gossip made others announce:\n%s", strangersTo(owners, moved, s))
	}
	for addr, before := range owners {
		if now := s.owner(addr); now != before {
			t.Errorf("%s is answered by %s, it was %s before the forged gossip", addr, now, before)
		}
	}
	if now := s.restarts(); now != restarts {
		t.Errorf("containers of Steelyard were restarted %d times, %d before", now, restarts)
	}
}

// strangersTo returns the sightings in which somebody else than its owner said to have an address.
func strangersTo(owners map[netip.Addr]string, r witness.Record, s *scenario) witness.Record {
	var out witness.Record
	for _, x := range r {
		if owner, ours := owners[x.Addr]; ours && (x.Src != s.MACOf(owner) || x.Payload != x.Src) {
			out = append(out, x)
		}
	}
	return out
}

// gossip sends bytes to a speaker's gossip port. A speaker that hangs up at once is what is wanted, so errors while sending
// are not; that somebody listens there is checked.
func (s *scenario) gossip(network string, to netip.Addr, packet []byte) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
	defer cancel()
	conn, err := s.Lab.Client().DialContext(ctx, network, netip.AddrPortFrom(to, gossipPort).String())
	if err != nil {
		s.Fatalf("reaching the gossip of %s: %v", to, err)
	}
	defer conn.Close()
	_, _ = conn.Write(packet)
}

// forgedGossip returns what somebody without the key could send: a memberlist "dead" message about a node in the clear,
// the same encrypted with a key of one's own, that one cut short, and nonsense.
func forgedGossip(t *testing.T, node string) [][]byte {
	t.Helper()
	// memberlist's message type 5, then a map in MessagePack: {Incarnation: 2^32-1, Node: node, From: "node1"}.
	dead := []byte{5, 0x83}
	dead = append(dead, "\xabIncarnation\xce\xff\xff\xff\xff"...)
	dead = append(append(dead, "\xa4Node"...), 0xa0+byte(len(node)))
	dead = append(append(dead, node...), "\xa4From\xa5node1"...)
	key := sha256.Sum256([]byte("not the key of this cluster"))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(append([]byte{1}, nonce...), nonce, dead, nil) // encryption version 1: version, nonce, AES-GCM
	return [][]byte{dead, sealed, sealed[:20], {1}, make([]byte, 1200)}
}

package gossip

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
)

// idInfo separates the name of a key from the key (RFC 5869 §3.2).
const idInfo = "steelyard gossip key id v1"

// keyring is what this node encrypts with and what it takes. The first key encrypts; whatever another one opens is taken too.
type keyring struct {
	ids   []string // in the order of the keys; none when gossip is in the clear
	inner *memberlist.Keyring
}

// derive returns the keys of a secret and of those that are accepted beside it, each once.
func derive(secret []byte, accept [][]byte) ([][]byte, error) {
	if secret == nil {
		if len(accept) > 0 {
			return nil, errors.New("gossip keys to accept, and none to send with")
		}
		return nil, nil
	}
	var keys [][]byte
	for _, s := range append([][]byte{secret}, accept...) {
		key, err := Key(s)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// newKeyring returns the ring of some keys; without any, gossip is in the clear.
func newKeyring(keys [][]byte) (keyring, error) {
	if len(keys) == 0 {
		return keyring{}, nil
	}
	inner, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return keyring{}, fmt.Errorf("making the keyring: %w", err)
	}
	ids, err := keyIDs(keys)
	return keyring{ids, inner}, err
}

// replace makes inner hold exactly these keys, the first being the one to send with. A packet that arrives meanwhile is opened
// by any key that was there before and is there afterwards.
//
// memberlist takes a key out by shifting those behind it, in the very slice that its receivers walk through without a lock. So
// a key is taken out only from the end, where nothing has to be shifted.
func replace(inner *memberlist.Keyring, keys [][]byte) error {
	for _, k := range keys {
		if err := inner.AddKey(k); err != nil {
			return fmt.Errorf("adding a key: %w", err)
		}
	}
	if err := inner.UseKey(keys[0]); err != nil {
		return fmt.Errorf("sending with a key: %w", err)
	}
	wanted := func(k []byte) bool {
		return slices.ContainsFunc(keys, func(w []byte) bool { return bytes.Equal(w, k) })
	}
	for _, old := range slices.Backward(inner.GetKeys()) {
		if wanted(old) {
			continue
		}
		if err := moveLast(inner, keys, old); err != nil {
			return err
		}
		if err := inner.RemoveKey(old); err != nil {
			return fmt.Errorf("removing a key: %w", err)
		}
	}
	return nil
}

// moveLast brings a key to the end by moving all that are wanted to the front, the one to send with last. For a moment another
// one of them sends; with at most one key to accept that never happens.
func moveLast(inner *memberlist.Keyring, keys [][]byte, last []byte) error {
	if now := inner.GetKeys(); bytes.Equal(now[len(now)-1], last) {
		return nil
	}
	for _, k := range slices.Backward(keys) {
		if err := inner.UseKey(k); err != nil {
			return fmt.Errorf("ordering the keys: %w", err)
		}
	}
	return nil
}

// keyIDs names keys by eight hexadecimal digits that do not tell the key, so that an operator can compare nodes.
func keyIDs(keys [][]byte) ([]string, error) {
	ids := make([]string, 0, len(keys))
	for _, k := range keys {
		id, err := hkdf.Expand(sha256.New, k, idInfo, 4)
		if err != nil {
			return nil, fmt.Errorf("naming a key: %w", err)
		}
		ids = append(ids, hex.EncodeToString(id))
	}
	return ids, nil
}

// Rekey replaces the secrets: from now on the first one encrypts, and what is encrypted with any of them is taken. No
// connection and no member is lost by it as long as everybody takes what everybody sends; see docs/security.md for the order in
// which a cluster changes its key. It may be called before Run. The error is for an empty secret, and for a Ring that was made
// without one, or is to go on without: that takes a restart of all speakers.
func (r *Ring) Rekey(secret []byte, accept ...[]byte) error {
	keys, err := derive(secret, accept)
	if err != nil {
		return err
	}
	r.keys.Lock()
	defer r.keys.Unlock()
	if (len(keys) == 0) != (r.keyring.inner == nil) {
		return errors.New("gossip cannot be encrypted or left in the clear from now on: restart the speakers")
	}
	if len(keys) == 0 {
		return nil
	}
	ids, err := keyIDs(keys)
	if err != nil {
		return err
	}
	if slices.Equal(ids, r.keyring.ids) {
		return nil
	}
	if err := replace(r.keyring.inner, keys); err != nil {
		return err
	}
	r.keyring.ids = ids
	r.metrics.showKeys(ids)
	r.cfg.Log.Info("gossip keys changed", "sends", ids[0], "accepts", ids)
	return nil
}

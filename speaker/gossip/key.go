package gossip

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// keyInfo separates this use of the secret from any other (RFC 5869 §3.2). Changing it locks old and new speakers out of each
// other's ring.
const keyInfo = "steelyard gossip AES-256 v1"

// keySize selects AES-256.
const keySize = 32

// Key derives the gossip key from the bytes of the Secret: HKDF (RFC 5869) with SHA-256, no salt. Every byte of the secret
// counts, of whatever length it is; a hash that is only padded or cut, as others have done, would ignore some. The error is for
// an empty or blank secret, which would be the same key everywhere.
func Key(secret []byte) ([]byte, error) {
	if len(bytes.TrimSpace(secret)) == 0 {
		return nil, errors.New("the gossip key is empty: put some random bytes there, the same for all speakers")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, keyInfo, keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the gossip key: %w", err)
	}
	return key, nil
}

// Package fetch asks the speakers what they know. A speaker serves its View on 127.0.0.1 of its node only, so each is reached by a
// port-forward to its Pod: whoever may do that (create on pods/portforward in Steelyard's namespace) may ask, and nobody else.
package fetch

import (
	"context"
	"net/netip"
	"time"

	"k8s.io/client-go/rest"

	"github.com/steelyard-lb/steelyard/internal/live"
)

// timeout is how long one speaker may take: a node that died a moment ago does not answer, and nobody says so.
const timeout = 5 * time.Second

// Replies is what the speakers said, by node. A node is in one of the two.
type Replies struct {
	Views map[string]live.View
	// Silent are those that could not be asked, each with the reason.
	Silent map[string]error
}

// Views asks all speakers in the namespace at once, 5 s at most. why are addresses of which the candidates are wanted too. The error
// says that the Pods cannot be listed; that one speaker cannot be asked is in Replies, and the others are there all the same.
func Views(ctx context.Context, cfg *rest.Config, namespace string, why ...netip.Addr) (Replies, error) {
	pods, err := speakers(ctx, cfg, namespace)
	if err != nil {
		return Replies{}, err
	}
	return askAll(ctx, pods, func(ctx context.Context, p pod) (live.View, error) { return ask(ctx, cfg, p, why) }), nil
}

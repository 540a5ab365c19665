package plugin

import (
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// ago says how long before now something was, as kubectl does: "5s", "3m", "2d". The zero time is "".
func ago(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, now.Sub(at)))
}

// because says in a few words why a node took an address; causes are those of lb.Cause.
func because(cause, from string) string {
	if from == "" {
		from = "the node before"
	}
	switch cause {
	case "":
		return ""
	case "free":
		return "nobody had it"
	case "death":
		return from + " died"
	case "hold-expired":
		return "the speaker of " + from + " did not come back in time"
	case "ineligible":
		return from + " may not have it any more"
	case "preferred":
		return "the advertisement prefers it to " + from
	case "requested":
		return "the Service asks for it"
	case "rebalance":
		return from + " had more than its share"
	case "shutdown":
		return from + " went out of service"
	}
	return cause
}

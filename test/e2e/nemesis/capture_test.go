package nemesis

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/steelyard-lb/steelyard/test/witness"
)

// capture writes what the client's interface hears and sends until stop to a file, when the environment's PCAP names a
// directory. The verdicts do not need it: it is for people who want to see for themselves.
func (r *run) capture(scenario string) error {
	dir := os.Getenv("PCAP")
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("PCAP=%s: %w", dir, err)
	}
	name := strings.NewReplacer(" ", "-", "/", "-", ",", "", "'", "").Replace(scenario)
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s_%s.pcapng", name, time.Now().Format("150405"))))
	if err != nil {
		return fmt.Errorf("PCAP=%s: %w", dir, err)
	}
	client := r.Lab.Client()
	c, err := witness.NewCapture(client, client.Interface, file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	r.captured = file.Name()
	r.measuring.Go(func() {
		if err := errors.Join(c.Run(r.until), file.Close()); err != nil {
			r.Errorf("the capture: %v", err)
		}
	})
	return nil
}

// noteCapture says where the capture is and when in it the fault was.
func (r *run) noteCapture() {
	if r.captured != "" {
		const clock = "15:04:05.000"
		r.note("%s: broken at %s, healed at %s", r.captured, r.began.Format(clock), r.healed.Format(clock))
	}
}

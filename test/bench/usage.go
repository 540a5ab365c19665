package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// usage is what the programs of a subject use.
type usage struct{ controllers, speakers []process }

// process is one running program.
type process struct {
	rss int64         // bytes of resident memory
	cpu time.Duration // user and system time since it began
}

func (u usage) complete() error {
	if len(u.controllers) == 0 || len(u.speakers) == 0 {
		return errors.New("the controller or the speakers are not running")
	}
	return nil
}

func totalCPU(ps []process) time.Duration {
	var sum time.Duration
	for _, p := range ps {
		sum += p.cpu
	}
	return sum
}

func largestRSS(ps []process) int64 {
	var most int64
	for _, p := range ps {
		most = max(most, p.rss)
	}
	return most
}

// inspectScript prints, for each process whose executable's last name is $1, its resident kibibytes, and its user and system
// time in clock ticks. With $2 not empty only processes in the shell's own network namespace count. Fields of stat are
// counted after the command's name, which stands in parentheses and may hold blanks.
const inspectScript = `
for p in /proc/[0-9]*; do
	exe=$(readlink "$p/exe" 2>/dev/null) || continue
	exe=${exe%" (deleted)"} # rebuilt since it was started
	[ "${exe##*/}" = "$1" ] || continue
	[ -z "$2" ] || [ "$(readlink "$p/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
	rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "$p/status")
	times=$(sed 's/.*) //' "$p/stat" | cut -d' ' -f12,13)
	echo "$rss $times"
done`

// ticksPerSecond is USER_HZ, the unit of the times in /proc/PID/stat: 100 on every Linux that Go runs on (proc(5)).
const ticksPerSecond = 100

// inspect runs the script where run says and returns the processes with that executable.
func inspect(run func(script string, args ...string) ([]byte, error), executable string, ownNetwork bool) ([]process, error) {
	own := ""
	if ownNetwork {
		own = "own"
	}
	out, err := run(inspectScript, executable, own)
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", executable, err)
	}
	return parseUsage(out)
}

func parseUsage(out []byte) ([]process, error) {
	var list []process
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var n [3]int64
		fields := strings.Fields(lines.Text())
		if len(fields) != len(n) {
			return nil, fmt.Errorf("reading resource usage: unexpected line %q", lines.Text())
		}
		for i, f := range fields {
			v, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("reading resource usage: %w", err)
			}
			n[i] = v
		}
		list = append(list, process{rss: n[0] << 10, cpu: time.Duration(n[1]+n[2]) * time.Second / ticksPerSecond})
	}
	return list, nil
}

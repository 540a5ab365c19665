package wire

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets into an Ethernet frame, in bytes.
const (
	atEtherType  = 12
	atARPOp      = 14 + 6      // ar$op, RFC 826
	atNextHeader = 14 + 6      // RFC 8200 §3
	atICMPType   = 14 + 40 + 0 // RFC 4443 §2.1, without extension headers
)

// filter returns the program that lets pass what can be a question to us or an answer: ARP requests and replies, or neighbour
// solicitations and advertisements. The rest of the host's IPv6 traffic never leaves the kernel for our sockets.
//
// A frame with a VLAN tag belongs to another segment though it came by this interface. The kernel strips the tag before it
// looks for our socket; when no VLAN interface takes the frame, it comes to the parent's sockets with the tag forgotten and
// the packet type "other host". So that type is rejected, which also spares us unicast frames to others. Where the tag is
// still known (some kernels, some drivers) that is rejected too. VLAN 0 is a priority on untagged traffic and passes.
func filter(etherType uint16) ([]bpf.RawInstruction, error) {
	checks := []bpf.Instruction{ // each: load, and go on when equal
		bpf.LoadAbsolute{Off: atEtherType, Size: 2}, jumpUnless(uint32(etherType)),
	}
	switch etherType {
	case unix.ETH_P_ARP:
		// The two operations differ in the last two bits: 1 is a request, 2 a reply. 0 and 3 come through too and are Malformed.
		checks = append(checks, bpf.LoadAbsolute{Off: atARPOp, Size: 2}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfffc}, jumpUnless(0))
	case unix.ETH_P_IPV6:
		checks = append(checks,
			bpf.LoadAbsolute{Off: atNextHeader, Size: 1}, jumpUnless(unix.IPPROTO_ICMPV6),
			// 135 is a solicitation, 136 an advertisement (RFC 4861 §4.3, §4.4).
			bpf.LoadAbsolute{Off: atICMPType, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: 135},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xfffffffe}, jumpUnless(0))
	default:
		return nil, fmt.Errorf("no filter for EtherType %#04x", etherType)
	}
	checks = append(checks,
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}, jumpUnless(0),
		bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.PACKET_OTHERHOST, SkipFalse: 1},
		bpf.RetConstant{Val: 0xffff}) // the whole frame
	for i, in := range checks {
		if j, ok := in.(bpf.JumpIf); ok && j.Cond == bpf.JumpEqual {
			j.SkipFalse = uint8(len(checks) - 1 - i) // to the drop at the end
			checks[i] = j
		}
	}
	program, err := bpf.Assemble(append(checks, bpf.RetConstant{Val: 0}))
	if err != nil {
		return nil, fmt.Errorf("assembling the socket filter: %w", err)
	}
	return program, nil
}

// jumpUnless goes on when the value equals v; filter fills in the way to the drop.
func jumpUnless(v uint32) bpf.JumpIf { return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v} }

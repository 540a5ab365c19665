package gossip

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/steelyard-lb/steelyard/internal/lb"
)

// kind says what a message is about.
type kind uint8

// The kinds of messages. "Heard" is a frame of the subject's own making; all but states travel as single datagrams.
const (
	beat   kind = iota + 1 // I am here
	have                   // this is the latest that I have of you
	state                  // this is my state
	missed                 // I do not hear the subject any more
	back                   // I hear the subject again
	bye                    // I am leaving
	kinds                  // how many there are, with the zero that is none
)

// message is what one speaker sends to another, inside memberlist's (encrypted) user messages:
//
//	version  1 byte, messageVersion
//	kind     1 byte
//	node     text, who sends
//	boot     number, its life
//	serial   number: nanoseconds since that life began, greater with each message
//	beat:    seq, echo (numbers), flags (1 byte: 1 ask, 2 reply)
//	have:    subject (text, must be the receiver), boot, seq (numbers)
//	state:   the rest, see encodeState
//	missed:  subject (text), silent (number of milliseconds)
//	back:    subject (text)
//	bye:     nothing
//
// A beat between nodes with names of 10 bytes takes 37 bytes, and 29 more for encryption.
type message struct {
	kind   kind
	node   string
	boot   uint64
	serial uint64

	seq     uint64        // beat: of the sender's state. have: of the subject's
	echo    uint64        // beat: the serial of the last beat that came from the receiver, 0 for none
	ask     bool          // beat: answer with a beat at once
	reply   bool          // beat: it answers one that asked, or those that miss the sender, who therefore hears
	subject string        // have, missed, back: who it is about
	life    uint64        // have: the subject's boot
	silent  time.Duration // missed: for how long nothing was heard
	state   lb.Speaker    // state
}

const (
	messageVersion = 1
	// maxPacket bounds a message that is not a state: two names and some numbers.
	maxPacket = 2*maxNode + 64
	// maxSilent bounds what is believed of a silence.
	maxSilent = 24 * time.Hour
)

// encodeMessage packs any message but a state.
func encodeMessage(m message) []byte {
	out := appendHeader(nil, m)
	switch m.kind {
	case beat:
		out = binary.AppendUvarint(out, m.seq)
		out = binary.AppendUvarint(out, m.echo)
		out = append(out, byte(boolean(m.ask)|boolean(m.reply)<<1))
	case have:
		out = appendText(out, m.subject)
		out = binary.AppendUvarint(out, m.life)
		out = binary.AppendUvarint(out, m.seq)
	case missed:
		out = appendText(out, m.subject)
		out = binary.AppendUvarint(out, uint64(m.silent.Milliseconds()))
	case back:
		out = appendText(out, m.subject)
	}
	return out
}

// encodeStateMessage packs a state that encodeState has packed before.
func encodeStateMessage(m message, packed []byte) []byte {
	m.kind = state
	return append(appendHeader(make([]byte, 0, len(packed)+maxPacket), m), packed...)
}

func appendHeader(out []byte, m message) []byte {
	out = appendText(append(out, messageVersion, byte(m.kind)), m.node)
	out = binary.AppendUvarint(out, m.boot)
	return binary.AppendUvarint(out, m.serial)
}

// decodeMessage unpacks a message. The result shares nothing with raw.
func decodeMessage(raw []byte) (message, error) {
	r := &reader{rest: raw}
	if v := r.byte(); r.err == nil && v != messageVersion {
		return message{}, fmt.Errorf("%w %d of a message, want %d", errVersion, v, messageVersion)
	}
	m := message{kind: kind(r.byte()), node: r.text(maxNode), boot: r.number(), serial: r.number()}
	if r.err == nil && m.kind != state && len(raw) > maxPacket {
		return message{}, errOversized
	}
	if r.err == nil {
		decodeBody(r, &m)
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	if r.err == nil {
		r.err = checkMessage(m)
	}
	if r.err != nil {
		return message{}, r.err
	}
	return m, nil
}

func decodeBody(r *reader, m *message) {
	switch m.kind {
	case beat:
		m.seq, m.echo = r.number(), r.number()
		flags := r.byte()
		m.ask, m.reply = flags&1 != 0, flags&2 != 0
	case have:
		m.subject, m.life, m.seq = r.text(maxNode), r.number(), r.number()
	case state:
		var err error
		if m.state, err = decodeState(r.rest); err != nil {
			r.fail("%w", err)
		}
		r.rest = nil
	case missed:
		m.subject = r.text(maxNode)
		m.silent = time.Duration(min(r.number(), uint64(maxSilent.Milliseconds()))) * time.Millisecond
	case back:
		m.subject = r.text(maxNode)
	case bye:
	default:
		r.fail("a message of kind %d", m.kind)
	}
}

// checkMessage says what is not as a speaker of this version sends it.
func checkMessage(m message) error {
	if err := checkNode(m.node); err != nil {
		return err
	}
	if m.boot == 0 || m.serial == 0 {
		return fmt.Errorf("a message of %s without boot or serial", m.node)
	}
	if m.kind == state && (m.state.Node != m.node || m.state.Boot != m.boot) {
		return fmt.Errorf("a state of %s from %s", m.state.Node, m.node)
	}
	if m.kind == have || m.kind == missed || m.kind == back {
		return checkNode(m.subject)
	}
	return nil
}

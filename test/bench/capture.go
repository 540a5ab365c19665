package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/steelyard-lb/steelyard/test/lab"
	"github.com/steelyard-lb/steelyard/test/witness"
)

// captureBuffer is what the kernel may hold of a capture, in bytes: seconds of the states that a speaker sends to a hundred others,
// while this process waits for a CPU.
const captureBuffer = 64 << 20

// outgoing is a socket filter that lets through what the host itself sends: a node that a hundred speakers tell their states receives
// far more than what is counted.
func outgoing() ([]bpf.RawInstruction, error) {
	const everything = 1 << 18 // bytes, more than any frame has
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 1},
		bpf.RetConstant{Val: everything},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("assembling the packet filter: %w", err)
	}
	return filter, nil
}

// capture opens a socket that hears what a host sends on the LAN.
func capture(h lab.Host) (conn *packet.Conn, err error) {
	filter, err := outgoing()
	if err != nil {
		return nil, err
	}
	err = h.Do(func() error {
		ifi, err := net.InterfaceByName(h.Interface)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: filter})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := enlarge(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("setting the receive buffer: %w", err), conn.Close())
	}
	return conn, nil
}

func enlarge(conn *packet.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
	})
	return errors.Join(err, failed)
}

// listenTo counts what a host sends on the LAN until stop is called, which returns the count.
func listenTo(h lab.Host) (stop func() (traffic, error), err error) {
	conn, err := capture(h)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.Name, err)
	}
	var sent traffic
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<17) // a segment of 64 KiB and its headers
		own := witness.MACOf(h.MAC)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				ended <- err
				return
			}
			if n >= 14 && witness.MAC(buf[6:12]) == own {
				sent.count(buf[:n])
			}
		}
	}()
	return func() (traffic, error) {
		failed := conn.SetReadDeadline(time.Now())
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			failed = errors.Join(failed, err)
		}
		stats, err := conn.Stats()
		if err == nil && stats.Drops > 0 {
			err = fmt.Errorf("the kernel dropped %d frames before they were counted", stats.Drops)
		}
		if err := errors.Join(failed, err, conn.Close()); err != nil {
			return sent, fmt.Errorf("listening on %s: %w", h.Name, err)
		}
		return sent, nil
	}, nil
}

// trafficOf counts what all nodes of a lab send while f runs.
func trafficOf(ctx context.Context, l *lab.Lab, f func() error) (all traffic, err error) {
	var stops []func() (traffic, error)
	for _, n := range l.Nodes() {
		stop, err := listenTo(n)
		if err != nil {
			return all, err
		}
		stops = append(stops, stop)
	}
	err = f()
	for _, stop := range stops {
		one, failed := stop()
		all.add(one)
		err = errors.Join(err, failed)
	}
	return all, errors.Join(err, ctx.Err())
}

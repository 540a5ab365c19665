// Command web is the pod that the lab's Services point at: it answers every HTTP request and every UDP datagram with one
// line that says which pod on which node answered, and which client address it saw.
//
//	pod=web-1 node=node2 client=192.168.1.100:40312 proto=tcp
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":8080", "address and port to answer on, TCP (HTTP) and UDP")
	pod := flag.String("pod", os.Getenv("POD_NAME"), "name of the pod in the answer; default $POD_NAME, then the host name")
	node := flag.String("node", os.Getenv("NODE_NAME"), "name of the node in the answer; default $NODE_NAME")
	flag.Parse()
	if *pod == "" {
		*pod, _ = os.Hostname() // an empty name in the answer is all that an error would cost
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, *listen, *pod, *node); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// serve answers until ctx ends.
func serve(ctx context.Context, listen, pod, node string) error {
	udp, err := net.ListenPacket("udp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	tcp, err := net.Listen("tcp", listen)
	if err != nil {
		udp.Close()
		return fmt.Errorf("listening: %w", err)
	}
	line := func(client, proto string) string {
		return fmt.Sprintf("pod=%s node=%s client=%s proto=%s\n", pod, node, client, proto)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, line(r.RemoteAddr, "tcp")) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	ended := make(chan error, 2)
	go func() { ended <- server.Serve(tcp) }()
	go func() { ended <- echo(udp, func(client string) string { return line(client, "udp") }) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-ended:
		ended <- err // so that both can be counted below
	}
	server.Close()
	udp.Close()
	<-ended
	<-ended
	return err
}

// echo answers datagrams until the socket is closed.
func echo(conn net.PacketConn, line func(client string) string) error {
	buf := make([]byte, 2048)
	for {
		_, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a datagram: %w", err)
		}
		if _, err := conn.WriteTo([]byte(line(from.String())), from); err != nil {
			fmt.Fprintln(os.Stderr, "web: answering a datagram:", err) // the next one may be answered
		}
	}
}

package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"github.com/steelyard-lb/steelyard/internal/live"
)

func speakerPod(name, node string, phase corev1.PodPhase, port int) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: name}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{}}},
		Status: corev1.PodStatus{Phase: phase}}
	if port > 0 {
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt(port)}}}
	}
	return p
}

func TestOnePodIsAskedOnEachNode(t *testing.T) {
	now := metav1.Now()
	ending := speakerPod("ending", "b", corev1.PodRunning, 0)
	ending.DeletionTimestamp = &now
	got := onePerNode([]corev1.Pod{
		ending, speakerPod("fresh", "b", corev1.PodRunning, 0), speakerPod("moved", "a", corev1.PodRunning, 4711),
		speakerPod("failed", "c", corev1.PodFailed, 0), speakerPod("nowhere", "", corev1.PodPending, 0)})
	var told []string
	for _, p := range got {
		line := p.node + " " + p.name
		if p.problem != nil {
			line += ": " + p.problem.Error()
		}
		told = append(told, line)
	}
	want := []string{"a moved", "b fresh", "c failed: its Pod failed is Failed"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].port != 4711 || got[1].port != defaultPort {
		t.Errorf("ports %d and %d, want that of the readiness probe, and %d without one", got[0].port, got[1].port, defaultPort)
	}
}

func TestASpeakerThatDoesNotAnswerDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := askAll(t.Context(), []pod{{node: "dead"}, {node: "live"}, {node: "no-pod", problem: errors.New("its Pod is Pending")}},
			func(ctx context.Context, p pod) (live.View, error) {
				if p.node == "dead" {
					<-ctx.Done()
					return live.View{}, ctx.Err()
				}
				return live.View{Node: p.node}, nil
			})
		if took := time.Since(start); took != timeout {
			t.Errorf("took %v, want the %v that one speaker may take", took, timeout)
		}
		if len(r.Views) != 1 || r.Views["live"].Node != "live" || len(r.Silent) != 2 {
			t.Errorf("views %v, silent %v", r.Views, r.Silent)
		}
	})
}

// TestTheQuestionIsPlainHTTP asks a real HTTP server over a connection, as a port-forward is one.
func TestTheQuestionIsPlainHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		packed := r.Header.Get("Accept-Encoding") == "gzip"
		if r.URL.Path != live.Path || strings.Join(r.URL.Query()[live.Why], " ") != "192.0.2.1 2001:db8::1" {
			http.Error(w, "asked for "+r.URL.String(), http.StatusBadRequest)
			return
		}
		if !packed {
			http.Error(w, "it is large: ask for gzip", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"version":1,"node":"a"}`))
		_ = z.Close()
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	v, err := read(t.Context(), conn, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")})
	if err != nil || v.Node != "a" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestAnAnswerThatCannotBeUsedSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"an older speaker", http.StatusNotFound, "404 page not found", "older version"},
		{"one that starts", http.StatusServiceUnavailable, "the speaker is starting", "503: the speaker is starting"},
		{"a newer one", http.StatusOK, `{"version":2}`, "version 2"},
		{"no JSON", http.StatusOK, `<html>`, "reading the answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(c.status, strings.NewReader(c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestADeadNodeCostsNoMoreThanTheTimeout: the API server accepts the connection and answers nothing while it tries to reach the kubelet.
func TestADeadNodeCostsNoMoreThanTheTimeout(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := ask(ctx, &rest.Config{Host: srv.URL}, pod{node: "dead", namespace: "metallb-system", name: "speaker"}, nil)
	if err == nil || !strings.Contains(err.Error(), "no answer within 5s") {
		t.Errorf("error %v, want that there was no answer", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v, want no longer than the context", took)
	}
}

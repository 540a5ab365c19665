package speaker

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/steelyard-lb/steelyard/internal/live"
)

func TestTheAnswerIsPackedForWhoCanUnpackIt(t *testing.T) {
	s, _, _ := reporter(t)
	s.tell(view("node1", "node2"), decision(owned("node1")))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, live.Path, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	s.lastWord.ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, headers %v", err, w.Header())
	}
	var v live.View
	if err := json.NewDecoder(z).Decode(&v); err != nil || v.Node != "node1" {
		t.Errorf("%+v, %v", v, err)
	}
}

// asked is the answer of a speaker.
func asked(t *testing.T, s *Speaker, query string) (int, live.View) {
	t.Helper()
	w := httptest.NewRecorder()
	s.lastWord.ServeHTTP(w, httptest.NewRequest(http.MethodGet, live.Path+query, nil))
	var v live.View
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
	}
	return w.Code, v
}

func TestTheLastDecisionIsToldToWhoAsks(t *testing.T) {
	s, _, _ := reporter(t)
	if code, _ := asked(t, s, ""); code != http.StatusServiceUnavailable {
		t.Errorf("before the first decision: %d, want 503", code)
	}
	s.tell(view("node1", "node2"), decision(owned("node2")))
	s.tell(view("node1", "node2"), decision(owned("node1", "node2")))
	code, v := asked(t, s, "?why="+addr.String())
	if code != http.StatusOK || v.Node != "node1" || len(v.Peers) != 1 || len(v.Addresses) != 1 {
		t.Fatalf("%d %+v", code, v)
	}
	want := live.Address{Address: addr, Services: []string{"default/web"}, Owner: "node1", Cause: "free", Candidates: []live.Candidate{
		{Node: "node2", Interfaces: []string{"eth0"}, Condition: "gone"}, {Node: "node1", Interfaces: []string{"eth0"}, Condition: "gone"}}} // as they rank
	if diff := cmp.Diff(want, v.Addresses[0], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if code, _ := asked(t, s, "?why=nonsense"); code != http.StatusBadRequest {
		t.Errorf("a question about no address: %d, want 400", code)
	}
}

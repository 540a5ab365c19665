package lb

import (
	"testing"
	"time"
)

func TestMayShare(t *testing.T) {
	web := Service{SharingKey: "k", Ports: []Port{{"TCP", 80}}, Selector: "app=web"}
	dns := Service{SharingKey: "k", Ports: []Port{{"UDP", 53}, {"TCP", 53}}, Selector: "app=dns"}
	with := func(s Service, change func(*Service)) Service { change(&s); return s }
	for _, c := range []struct {
		name string
		a, b Service
		want bool
	}{
		{"equal key, disjoint ports", web, dns, true},
		{"no key on either", with(web, func(s *Service) { s.SharingKey = "" }), with(dns, func(s *Service) { s.SharingKey = "" }), false},
		{"different keys", web, with(dns, func(s *Service) { s.SharingKey = "other" }), false},
		{"a key on one only", web, with(dns, func(s *Service) { s.SharingKey = "" }), false},
		{"one port in common", web, with(dns, func(s *Service) { s.Ports = []Port{{"UDP", 53}, {"TCP", 80}} }), false},
		{"the same number of another protocol", web, with(dns, func(s *Service) { s.Ports = []Port{{"UDP", 80}} }), true},
		{"both Local with different selectors", with(web, func(s *Service) { s.Local = true }), with(dns, func(s *Service) { s.Local = true }), false},
		{"both Local with the same selector", with(web, func(s *Service) { s.Local = true }),
			with(dns, func(s *Service) { s.Local = true; s.Selector = "app=web" }), true},
		{"Local beside Cluster with the same selector", with(web, func(s *Service) { s.Local = true }),
			with(dns, func(s *Service) { s.Selector = "app=web" }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := MayShare(c.a, c.b); got != c.want {
				t.Errorf("MayShare = %v, want %v", got, c.want)
			}
			if got := MayShare(c.b, c.a); got != c.want {
				t.Errorf("MayShare the other way round = %v, want %v", got, c.want)
			}
		})
	}
}

func TestOlderServiceHasTheRight(t *testing.T) {
	day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	old := Service{Name: Name{"z", "z"}, UID: "z", Created: day}
	if CompareAge(old, Service{Created: day.Add(time.Second), UID: "a"}) >= 0 {
		t.Error("the younger Service wins over the older one")
	}
	if CompareAge(old, Service{Created: day, UID: "y"}) <= 0 {
		t.Error("of the same age, the greater UID wins")
	}
	if CompareAge(old, Service{Name: Name{"a", "a"}, UID: "z", Created: day}) <= 0 {
		t.Error("of the same age and UID, the greater name wins")
	}
}

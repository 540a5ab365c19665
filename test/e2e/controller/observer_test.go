package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// calm is how long a Service must not have been edited for a write to be judged by what it says now: a status decided just
// before an edit may arrive after it.
const calm = 5 * time.Second

// observer watches every version of every Service of a stage. It knows who has held an address since the last quiet point,
// and keeps every address that was given to one while another, who may not share it, had it.
type observer struct {
	mu     sync.Mutex
	now    map[string]*corev1.Service
	edited map[string]time.Time
	held   map[netip.Addr]map[string]bool
	wrong  []string
}

// observe starts an observer, which ends with the test.
func (s *stage) observe() *observer {
	s.t.Helper()
	o := &observer{now: map[string]*corev1.Service{}, edited: map[string]time.Time{}, held: map[netip.Addr]map[string]bool{}}
	clients, err := kubernetes.NewForConfig(s.lab.RESTConfig())
	if err != nil {
		s.t.Fatal(err)
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(clients.CoreV1().RESTClient(), "services", s.name, fields.Everything()),
		ObjectType:    &corev1.Service{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { o.see(obj.(*corev1.Service)) },
			UpdateFunc: func(_, obj any) { o.see(obj.(*corev1.Service)) },
			DeleteFunc: func(obj any) { o.gone(obj) },
		},
	})
	done := make(chan struct{})
	go func() { informer.RunWithContext(s.ctx); close(done) }()
	s.t.Cleanup(func() { s.cancel(); <-done })
	return o
}

func (o *observer) see(svc *corev1.Service) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.now[svc.Name]
	o.now[svc.Name] = svc
	if before != nil && !sameWish(before, svc) {
		o.edited[svc.Name] = time.Now()
	}
	for _, addr := range holds(svc) {
		if o.held[addr] == nil {
			o.held[addr] = map[string]bool{}
		}
		o.held[addr][svc.Name] = true
		if before == nil || !slices.Contains(holds(before), addr) {
			o.judge(svc, addr)
		}
	}
}

// judge looks at an address that svc has just been given.
func (o *observer) judge(svc *corev1.Service, addr netip.Addr) {
	for _, other := range o.now {
		if other.Name == svc.Name || !slices.Contains(holds(other), addr) || mayShare(svc, other) {
			continue
		}
		if time.Since(o.edited[svc.Name]) > calm && time.Since(o.edited[other.Name]) > calm {
			o.wrong = append(o.wrong, fmt.Sprintf("%v was given to %s while %s held it", addr, svc.Name, other.Name))
		}
	}
}

func (o *observer) gone(obj any) {
	if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.now, obj.(*corev1.Service).Name)
}

// sameWish says that only what controllers write is different.
func sameWish(a, b *corev1.Service) bool {
	strip := func(m map[string]string) map[string]string {
		m = maps.Clone(m)
		delete(m, "metallb.io/ip-allocated-from-pool")
		return m
	}
	return a.UID == b.UID && equality.Semantic.DeepEqual(a.Spec, b.Spec) && maps.Equal(strip(a.Annotations), strip(b.Annotations))
}

// heldBy says whether one of the Services has held the address since the last call of forget.
func (o *observer) heldBy(addr netip.Addr, services map[string]bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name := range o.held[addr] {
		if services[name] {
			return true
		}
	}
	return false
}

// forget begins anew at a quiet point and returns what was wrong until then. Who holds an address now has held it.
func (o *observer) forget() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	wrong := o.wrong
	o.wrong, o.held = nil, map[netip.Addr]map[string]bool{}
	for _, svc := range o.now {
		for _, addr := range holds(svc) {
			if o.held[addr] == nil {
				o.held[addr] = map[string]bool{}
			}
			o.held[addr][svc.Name] = true
		}
	}
	return wrong
}

package wire

import "maps"

// news is what the host said since the last look, as far as the look itself cannot see it. All else is read anew.
type news struct {
	lostLink map[int]bool // by interface index
	deleted  map[int]bool
	missed   bool
}

// note takes down one change and has the links looked at.
func (w *Wire) note(c Change) {
	n := news{missed: c.Missed}
	if c.LostLink {
		n.lostLink = map[int]bool{c.Index: true}
	}
	if c.Deleted {
		n.deleted = map[int]bool{c.Index: true}
	}
	w.addNews(n)
	wake(w.look)
}

// takeNews returns the news and begins anew.
func (w *Wire) takeNews() news {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.news
	w.news = news{}
	return n
}

// addNews adds to the news, such as what could not be acted on.
func (w *Wire) addNews(n news) {
	w.mu.Lock()
	defer w.mu.Unlock()
	merge(&w.news.lostLink, n.lostLink)
	merge(&w.news.deleted, n.deleted)
	w.news.missed = w.news.missed || n.missed
}

func merge(to *map[int]bool, from map[int]bool) {
	if *to == nil {
		*to = map[int]bool{}
	}
	maps.Copy(*to, from)
}

package lb

import "testing"

func TestSelectorMatches(t *testing.T) {
	labels := map[string]string{"zone": "a", "disk": ""}
	for _, c := range []struct {
		name string
		sel  Selector
		want bool
	}{
		{"the empty selector matches everything", nil, true},
		{"In with the value", Selector{{"zone", In, []string{"b", "a"}}}, true},
		{"In without the value", Selector{{"zone", In, []string{"b"}}}, false},
		{"In on a missing label", Selector{{"rack", In, []string{""}}}, false},
		{"NotIn with the value", Selector{{"zone", NotIn, []string{"a"}}}, false},
		{"NotIn on a missing label", Selector{{"rack", NotIn, []string{"a"}}}, true},
		{"Exists with an empty value", Selector{{"disk", Exists, nil}}, true},
		{"Exists on a missing label", Selector{{"rack", Exists, nil}}, false},
		{"DoesNotExist on a missing label", Selector{{"rack", DoesNotExist, nil}}, true},
		{"DoesNotExist on a label", Selector{{"zone", DoesNotExist, nil}}, false},
		{"all requirements must hold", Selector{{"zone", Exists, nil}, {"rack", Exists, nil}}, false},
		{"an unknown operator matches nothing", Selector{{"zone", "Gt", []string{"0"}}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.sel.Matches(labels); got != c.want {
				t.Errorf("Matches = %v, want %v", got, c.want)
			}
		})
	}
	if AnyMatches(nil, labels) {
		t.Error("AnyMatches of no selectors is true; a pool without selectors must be handled by its caller")
	}
}

package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// board is what the tests look at of a dashboard.
type board struct {
	Title         string  `json:"title"`
	UID           string  `json:"uid"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name       string     `json:"name"`
			Datasource datasource `json:"datasource"`
			Expr       string     `json:"expr"`
			Title      string     `json:"titleFormat"`
			Text       string     `json:"textFormat"`
		} `json:"list"`
	} `json:"annotations"`
}

type datasource struct{ Type, UID string }

type variable struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Datasource datasource `json:"datasource"`
	Definition string     `json:"definition"`
}

type panel struct {
	ID         int        `json:"id"`
	Type       string     `json:"type"`
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	Targets    []struct {
		RefID      string     `json:"refId"`
		Datasource datasource `json:"datasource"`
		Expr       string     `json:"expr"`
		Legend     string     `json:"legendFormat"`
	} `json:"targets"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
}

func load(t *testing.T) board {
	t.Helper()
	var b board
	if err := json.NewDecoder(bytes.NewReader([]byte(read(t, dashboard)))).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if len(b.Panels) < 30 {
		t.Fatalf("found %d panels", len(b.Panels))
	}
	return b
}

// inLegend finds the labels of a legend.
var inLegend = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func shownIn(text string) []string {
	var out []string
	for _, m := range inLegend.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// substitute does what Grafana does with its own variables, and with ours when all are chosen.
func (b board) substitute(query string) string {
	pairs := []string{"$__rate_interval", "2m", "$__interval", "1m", "$__range", "6h"}
	for _, v := range b.Templating.List {
		pairs = append(pairs, "$"+v.Name, ".*")
	}
	return strings.NewReplacer(pairs...).Replace(query)
}

func TestPanelsAskForWhatIsExported(t *testing.T) {
	all, b := exported(t), load(t)
	report := func(where, query, legend string) {
		text := b.substitute(query)
		if strings.Contains(text, "$") {
			t.Errorf("%s: a variable that there is not: %s", where, text)
		}
		for _, problem := range check(all, text, shownIn(legend)) {
			t.Errorf("%s: %s: %s", where, problem, query)
		}
	}
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			report(fmt.Sprintf("panel %q, %s", p.Title, target.RefID), target.Expr, target.Legend)
		}
	}
	for _, a := range b.Annotations.List {
		report(fmt.Sprintf("annotation %q", a.Name), a.Expr, a.Title+a.Text)
	}
	values := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	for _, v := range b.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		if m := values.FindStringSubmatch(v.Definition); m == nil {
			t.Errorf("variable %s: cannot read %q", v.Name, v.Definition)
		} else {
			report("variable "+v.Name, m[1], "{{"+m[2]+"}}")
		}
	}
}

func TestTheDashboardTakesItsDataFromTheChosenSource(t *testing.T) {
	b := load(t)
	if !slices.ContainsFunc(b.Templating.List, func(v variable) bool { return v.Name == "datasource" && v.Type == "datasource" }) {
		t.Error("there is no variable for the data source")
	}
	chosen := datasource{"prometheus", "${datasource}"}
	is := func(where string, d datasource) {
		if d != chosen {
			t.Errorf("%s: the data source is %v, want %v", where, d, chosen)
		}
	}
	for _, p := range b.Panels {
		if p.Type != "row" {
			is(p.Title, p.Datasource)
		}
		for _, target := range p.Targets {
			is(p.Title+" "+target.RefID, target.Datasource)
		}
	}
	for _, a := range b.Annotations.List {
		is(a.Name, a.Datasource)
	}
	for _, v := range b.Templating.List {
		if v.Type == "query" {
			is(v.Name, v.Datasource)
		}
	}
}

// Grafana moves what overlaps, and shows one of two panels with the same number.
func TestPanelsHaveAPlaceOfTheirOwn(t *testing.T) {
	const columns = 24
	b := load(t)
	taken, ids := map[[2]int]string{}, map[int]string{}
	for _, p := range b.Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%q and %q have the number %d", other, p.Title, p.ID)
		}
		ids[p.ID] = p.Title
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > columns {
			t.Errorf("%q is at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%q and %q overlap", other, p.Title)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// An operator goes from an alert to the dashboard and back by name.
func TestPanelsNameOnlyAlertsThatThereAre(t *testing.T) {
	text, found := read(t, dashboard), 0
	for _, name := range regexp.MustCompile(`\bSteelyard[A-Z]\w+`).FindAllString(text, -1) {
		found++
		if !slices.ContainsFunc(alerts(t), func(a alert) bool { return a.Alert == name }) {
			t.Errorf("a panel names %s, and there is no such alert", name)
		}
	}
	if found < 10 {
		t.Errorf("panels name %d alerts", found)
	}
}

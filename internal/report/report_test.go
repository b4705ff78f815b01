package report

import (
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"telecommune/internal/htmltest"
)

var sample = Document{
	Title: "A month of 電話",
	Lead:  []string{strings.Repeat("Words that go on and on. ", 8)},
	Tables: []Table{
		{Name: "Nothing", Columns: []Column{{Name: "What"}}},
		{Name: "Figures", Note: "All of them.", Columns: []Column{{Name: "What"}, {Name: "Amount", Figure: true}}, Rows: []Row{
			{Cells: []Cell{{Text: "<b>one\x1b[2J\u202e" + strings.Repeat("長", 60)}, {Text: "9000000000.00", Entries: []int{2, 1, 2}}}},
			{Cells: Cells("two", "1.000001"), Sum: true},
		}},
		{Name: "In the books", Columns: []Column{{Name: "Entry"}, {Name: "What"}}, Rows: []Row{
			{Cells: Cells("1", "first"), Entry: 1}, {Cells: Cells("2", "second"), Entry: 2},
		}},
	},
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := sample.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(b.String()) {
		if w := displaywidth.String(strings.TrimSuffix(l, "\n")); w > Width || strings.ContainsAny(l, "\x1b\u202e") {
			t.Errorf("%d columns: %q", w, l)
		}
	}
	for _, want := range []string{"9000000000.000000  1 2\n", "         1.000001\n", "\nFIGURES\nAll of them.\nWhat", "電話"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "NOTHING") {
		t.Error("a table without rows")
	}
}

func TestPage(t *testing.T) {
	var b strings.Builder
	if err := sample.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	root := htmltest.Check(t, b.String())
	if strings.Contains(b.String(), "<b>one") || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Error("foreign text came through")
	}
	seen := 0
	for _, a := range htmltest.Find(root, "a") {
		seen++
		if id := htmltest.Attr(a, "href")[1:]; !strings.Contains(b.String(), `id="`+id+`"`) {
			t.Errorf("no place %q", id)
		}
	}
	if seen != 3 {
		t.Errorf("%d links to entries", seen)
	}
	one, err := sample.HTML("one-")
	if err != nil {
		t.Fatal(err)
	}
	two, err := sample.HTML("two-")
	if err != nil {
		t.Fatal(err)
	}
	htmltest.Check(t, `<!DOCTYPE html><html lang="en"><head><title>T</title></head><body><main><h1>H</h1>`+string(one+two)+`</main></body></html>`)
}

package htmltest

import (
	"slices"
	"strings"
	"testing"
)

const good = `<!DOCTYPE html><html lang="en"><head><title>T</title></head><body><main><h1>H</h1>` +
	`<table><caption>C</caption><thead><tr><th scope="col">A</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>` +
	`<form action="/login"><label for="a">A</label><input id="a" name="a"></form></main></body></html>`

func TestFaultsCanBeFound(t *testing.T) {
	if faults := Faults(good); len(faults) > 0 {
		t.Fatalf("a good page: %v", faults)
	}
	for _, tc := range []struct{ old, new, want string }{
		{` lang="en"`, ``, "no language"},
		{`<title>T</title>`, ``, "no title"},
		{`<h1>H</h1>`, `<h2>H</h2>`, "h2 after level 0"},
		{`<h1>H</h1>`, `<h1>H</h1><h3>J</h3>`, "h3 after level 1"},
		{`<caption>C</caption>`, ``, "table without caption"},
		{` scope="col"`, ``, "th without scope"},
		{` for="a"`, ``, `field "a" without label`},
		{`for="a"`, `for="b"`, `label for "b"`},
		{`action="/login"`, `action="//host/login"`, "goes elsewhere"},
		{`<h1>H</h1>`, `<h1>H</h1><script></script>`, "element script"},
		{`<h1>H</h1>`, `<h1 onclick="x()">H</h1>`, "attribute onclick"},
		{`</td></tr>`, `</tr>`, "</tr> closes"},
		{`</body></html>`, ``, "not closed"},
		{`<!DOCTYPE html>`, ``, "doctype"},
	} {
		page := strings.Replace(good, tc.old, tc.new, 1)
		if page == good {
			t.Fatalf("%q changes nothing", tc.old)
		}
		if faults := Faults(page); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, tc.want) }) {
			t.Errorf("%s for %s: faults %v, want %q", tc.new, tc.old, faults, tc.want)
		}
	}
}

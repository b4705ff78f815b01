// Package htmltest checks in tests what every page owes its readers: tags that close, a language, a title, headings in
// order, tables that say what they are, fields with labels, and nothing that runs or comes from elsewhere.
package htmltest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Check reports each fault of a whole page as an error of the test and gives the parsed page.
func Check(t testing.TB, page string) *html.Node {
	t.Helper()
	for _, fault := range Faults(page) {
		t.Errorf("page: %s", fault)
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("page: %v", err)
	}
	return root
}

// Faults lists what is wrong with a page.
func Faults(page string) []string {
	faults := nesting(page)
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return append(faults, err.Error())
	}
	c := checker{faults: faults, ids: map[string]int{}}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			c.element(n)
		}
	}
	if strings.TrimSpace(Text(Find(root, "title")...)) == "" {
		c.fault("no title")
	}
	if c.headings[1] != 1 {
		c.fault("%d first-level headings", c.headings[1])
	}
	if len(Find(root, "main")) != 1 {
		c.fault("not one main part")
	}
	for id, n := range c.ids {
		if n > 1 {
			c.fault("id %q %d times", id, n)
		}
	}
	for _, id := range c.labels {
		if c.ids[id] == 0 {
			c.fault("label for %q, which is not there", id)
		}
	}
	for _, id := range c.fields {
		if !slices.Contains(c.labels, id) {
			c.fault("field %q without label", id)
		}
	}
	return c.faults
}

type checker struct {
	faults   []string
	ids      map[string]int
	labels   []string // ids that labels are for
	fields   []string // ids of what needs a label
	headings [7]int
	level    int // of the last heading
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) element(n *html.Node) {
	for _, a := range n.Attr {
		switch {
		case a.Key == "id":
			c.ids[a.Val]++
		case a.Key == "style", strings.HasPrefix(a.Key, "on"):
			c.fault("attribute %s of %s", a.Key, n.Data)
		case slices.Contains([]string{"href", "src", "action", "srcset", "formaction"}, a.Key) &&
			(!strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "?") ||
				strings.HasPrefix(a.Val, "//")):
			c.fault("%s of %s goes elsewhere: %q", a.Key, n.Data, a.Val)
		}
	}
	switch n.Data {
	case "html":
		if Attr(n, "lang") == "" {
			c.fault("no language")
		}
	case "script", "iframe", "object", "embed", "base", "applet", "img":
		c.fault("element %s", n.Data)
	case "h1", "h2", "h3", "h4", "h5", "h6":
		level := int(n.Data[1] - '0')
		if level > c.level+1 {
			c.fault("%s after level %d: %q", n.Data, c.level, Text(n))
		}
		c.level = level
		c.headings[level]++
	case "table":
		if len(Find(n, "caption")) != 1 || len(Find(n, "thead")) != 1 || len(Find(n, "th")) == 0 {
			c.fault("table without caption or heads: %.60q", Text(n))
		}
	case "th":
		if scope := Attr(n, "scope"); !slices.Contains([]string{"col", "row", "rowgroup"}, scope) || strings.TrimSpace(Text(n)) == "" {
			c.fault("th without scope or text: %q", Text(n))
		}
	case "label":
		c.labels = append(c.labels, Attr(n, "for"))
	case "input", "select", "textarea":
		if kind := Attr(n, "type"); kind != "hidden" && kind != "submit" {
			c.fields = append(c.fields, Attr(n, "id"))
		}
	case "a", "button":
		if strings.TrimSpace(Text(n)) == "" {
			c.fault("%s without text", n.Data)
		}
	}
}

// nesting finds tags that do not close, or not in order. The parser itself would put them right.
func nesting(page string) []string {
	var faults, open []string
	z := html.NewTokenizer(strings.NewReader(page))
	if z.Next() != html.DoctypeToken {
		faults = append(faults, "does not begin with a doctype")
	}
	void := []string{"meta", "link", "input", "br", "hr", "img", "col"}
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				faults = append(faults, fmt.Sprintf("not closed: %v", open))
			}
			return faults
		case html.StartTagToken:
			if name, _ := z.TagName(); !slices.Contains(void, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				return append(faults, fmt.Sprintf("</%s> closes %v", name, open))
			}
			open = open[:len(open)-1]
		}
	}
}

// Find gives the elements of a name below a node.
func Find(n *html.Node, name string) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			found = append(found, d)
		}
	}
	return found
}

// Text gives the text in nodes.
func Text(nodes ...*html.Node) string {
	var b strings.Builder
	for _, n := range nodes {
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
	}
	return b.String()
}

// Attr gives an attribute's value, or "".
func Attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

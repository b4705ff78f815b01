package report

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io"
	"strconv"
)

// Style is the style sheet of documents. The page of WriteHTML has it inside; whoever shows HTML on a page of their own
// serves it with that page.
//
//go:embed report.css
var Style string

//go:embed report.html
var source string

var pages = template.Must(template.New("report").Parse(source))

// sheet is a document as a template shows it.
type sheet struct {
	Document

	ID    string       // of its place on a page that has other parts; none: it is the page
	Style template.CSS // our own file
}

// Wide tells whether a table needs another shape on a narrow screen.
func (t Table) Wide() bool { return len(t.Columns) > 3 }

// Anchor is the place of an entry on the page.
func (s sheet) Anchor(entry int) string { return s.ID + "entry-" + strconv.Itoa(entry) }

// WriteHTML writes the document as a page that stands alone: one file, no script, nothing loaded.
func (d Document) WriteHTML(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10) // a template writes in small pieces
	err := pages.ExecuteTemplate(out, "page", sheet{Document: d.printable(), Style: template.CSS(Style)})
	return errors.Join(err, out.Flush())
}

// HTML gives the document as a part of a page, of that id, from a second-level heading on.
func (d Document) HTML(id string) (template.HTML, error) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "part", sheet{Document: d.printable(), ID: id}); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

package statement

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io"

	"telecommune/internal/report"
)

//go:embed statement.css
var style string

// Style is the style sheet of the statement, with that of other documents. The page of WriteHTML has it inside; whoever
// shows HTML on a page of their own serves it with that page.
var Style = report.Style + style

//go:embed statement.html
var source string

var pages = template.Must(template.New("statement").Parse(source))

// WriteHTML writes the statement as a page that stands alone: one file, no script, nothing loaded, made for screen,
// phone and printer.
func (s Statement) WriteHTML(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10) // a template writes in small pieces
	err := pages.ExecuteTemplate(out, "page", struct {
		view
		Style template.CSS // our own file
	}{s.view(), template.CSS(Style)})
	return errors.Join(err, out.Flush())
}

// HTML gives the statement as a part of a page, from its first-level heading on.
func (s Statement) HTML() (template.HTML, error) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "statement", s.view()); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

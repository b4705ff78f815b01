package statement

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
)

// Style is the style sheet of the statement. The page of WriteHTML has it inside; whoever shows HTML on a page of their
// own serves it with that page.
//
//go:embed statement.css
var Style string

//go:embed statement.html
var source string

var pages = template.Must(template.New("statement").Parse(source))

// WriteHTML writes the statement as a page that stands alone: one file, no script, nothing loaded, made for screen,
// phone and printer.
func (s Statement) WriteHTML(w io.Writer) error {
	v := s.view()
	return pages.ExecuteTemplate(w, "page", struct {
		view
		Style template.CSS // our own file
	}{v, template.CSS(Style)})
}

// HTML gives the statement as a part of a page, from its first-level heading on.
func (s Statement) HTML() (template.HTML, error) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "statement", s.view()); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

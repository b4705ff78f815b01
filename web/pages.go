package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"telecommune/billing/statement"
)

//go:embed pages
var files embed.FS

// pages are the templates by name, each within the layout.
var pages = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range []string{"login", "bill", "voucher", "error"} {
		all[name] = template.Must(template.ParseFS(files, "pages/layout.html", "pages/forms.html", "pages/"+name+".html"))
	}
	return all
}()

// styleSheet is that of the statement, and what the pages around it need.
var styleSheet = func() string {
	own, err := files.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // embedded
	}
	return statement.Style + string(own)
}()

// view is what a page shows.
type view struct {
	Title    string
	LoggedIn string // account code
	Problem  string // what went wrong
	Account  string // as typed at the log-in
	Done     string // what was done just now
	Bill     billView
	Vouchers voucherView
}

// show writes a page. It is made whole first: a fault in it is an error, not half a page.
func (s *site) show(w http.ResponseWriter, status int, name string, v view) {
	var b bytes.Buffer
	if err := pages[name].ExecuteTemplate(&b, "layout", v); err != nil {
		s.Log.Error("page failed", "page", name, "err", err)
		http.Error(w, fault, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := b.WriteTo(w); err != nil {
		s.Log.Debug("page broken off", "page", name, "err", err)
	}
}

package web

import (
	"fmt"
	"html/template"
	"io"
	"net/http"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/statement"
)

// rentView is the month of a member on the page of his bill.
type rentView struct {
	commune.MemberMonth

	ID   string // of its place on the page
	Part template.HTML
}

// rents makes the months of the members whose account it is.
func (s *site) rents(r *http.Request, account string, p statement.Period) ([]rentView, error) {
	if s.Months == nil {
		return nil, nil
	}
	months, err := s.Months(r.Context(), account, p, time.Now())
	if err != nil {
		return nil, err
	}
	views := make([]rentView, len(months))
	for i, m := range months {
		views[i] = rentView{MemberMonth: m, ID: fmt.Sprintf("rent-%d-", i+1)}
		if views[i].Part, err = m.HTML(views[i].ID); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// monthForms are the files that a member's month can be had as.
var monthForms = map[string]struct {
	kind  string
	write func(commune.MemberMonth, io.Writer) error
}{
	"txt":  {"text/plain; charset=utf-8", commune.MemberMonth.WriteText},
	"html": {"text/html; charset=utf-8", commune.MemberMonth.WriteHTML},
	"json": {"application/json", writeJSON[commune.MemberMonth]},
}

// rentFile gives the month of a member as a file: of the first one, or the one that is asked for, whose account it is.
func (s *site) rentFile(ext string) http.Handler {
	form := monthForms[ext]
	return s.download("rent", ext, form.kind, func(r *http.Request, code string, w io.Writer) (statement.Period, error) {
		p, _, err := s.period(r, code, time.Now())
		if err != nil {
			return p, err
		}
		views, err := s.rents(r, code, p)
		if err != nil {
			return p, err
		}
		for _, v := range views {
			if asked := r.URL.Query().Get("member"); asked == "" || asked == v.Member {
				return p, form.write(v.MemberMonth, w)
			}
		}
		return p, errNoPage
	})
}

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"telecommune/billing"
	"telecommune/billing/statement"
)

// bill shows the statement of a month, the current one unless another is asked for.
func (s *site) bill(w http.ResponseWriter, r *http.Request) error {
	code, err := s.visitor(r)
	if err != nil {
		return err
	}
	if code == "" {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return nil
	}
	account, err := s.Billing.Account(r.Context(), code)
	if err != nil {
		return err
	}
	st, periods, err := s.statement(r, code)
	if err != nil {
		return err
	}
	part, err := st.HTML()
	if err != nil {
		return err
	}
	v := billView{Account: account, Statement: part, Period: st.Period, Periods: periods}
	if v.Rents, err = s.rents(r, code, st.Period); err != nil {
		return err
	}
	if st.Short {
		v.Numbers = "&numbers=" + shortNumbers
	}
	if i := slices.Index(periods, st.Period); i > 0 {
		v.Later = &periods[i-1]
	}
	if i := slices.Index(periods, st.Period); i < len(periods)-1 {
		v.Earlier = &periods[i+1]
	}
	s.show(w, http.StatusOK, "bill", view{
		Title: "Statement " + st.Period.String(), LoggedIn: code, Done: s.sessions.PopString(r.Context(), doneKey), Bill: v,
		Vouchers: voucherForms(account),
	})
	return nil
}

// billView is what the page of the bill shows beside the statement.
type billView struct {
	Account        billing.Account
	Statement      template.HTML
	Rents          []rentView // of the members whose account it is
	Period         statement.Period
	Periods        []statement.Period // newest first
	Earlier, Later *statement.Period
	Numbers        template.URL // what links add so that numbers stay shortened
}

// shortNumbers is the value of the parameter `numbers` that hides their last digits.
const shortNumbers = "short"

// forms are the files that a statement can be had as.
var forms = map[string]struct {
	kind  string
	write func(statement.Statement, io.Writer) error
}{
	"txt":  {"text/plain; charset=utf-8", statement.Statement.WriteText},
	"pdf":  {"application/pdf", statement.Statement.WritePDF},
	"csv":  {"text/csv; charset=utf-8", statement.Statement.WriteCSV},
	"json": {"application/json", writeJSON[statement.Statement]},
}

func writeJSON[T any](v T, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// file gives a statement as a file.
func (s *site) file(ext string) http.Handler {
	form := forms[ext]
	return s.download("statement", ext, form.kind, func(r *http.Request, code string, w io.Writer) (statement.Period, error) {
		st, _, err := s.statement(r, code)
		if err != nil {
			return statement.Period{}, err
		}
		return st.Period, form.write(st, w)
	})
}

// download gives a file to whoever is logged in. It is written whole before the answer begins: what can't be made is an
// error page.
func (s *site) download(name, ext, kind string, write func(r *http.Request, code string, w io.Writer) (statement.Period, error)) http.Handler {
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		code, err := s.visitor(r)
		if err != nil {
			return err
		}
		if code == "" {
			return errLoggedOut
		}
		var b bytes.Buffer
		period, err := write(r, code, &b)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%s-%s.%s"`, name, code, period, ext))
		if _, err := b.WriteTo(w); err != nil {
			s.Log.Debug("download broken off", "path", r.URL.Path, "err", err)
		}
		return nil
	})
}

// statement makes the statement that a request asks for, and lists the months that there are.
func (s *site) statement(r *http.Request, account string) (statement.Statement, []statement.Period, error) {
	now := time.Now()
	period, periods, err := s.period(r, account, now)
	if err != nil {
		return statement.Statement{}, nil, err
	}
	st, err := s.Statement(r.Context(), account, period, now)
	if r.URL.Query().Get("numbers") == shortNumbers {
		st = st.ShortNumbers()
	}
	return st, periods, err
}

// period is the month that a request asks for, out of those that there are.
func (s *site) period(r *http.Request, account string, now time.Time) (statement.Period, []statement.Period, error) {
	periods, err := s.Periods(r.Context(), account, now)
	if err != nil {
		return statement.Period{}, nil, err
	}
	period := periods[0]
	if asked := r.URL.Query().Get("period"); asked != "" {
		if period, err = statement.ParsePeriod(asked); err != nil {
			return period, nil, err
		}
		if !slices.Contains(periods, period) {
			return period, nil, fmt.Errorf("%s: %w", period, statement.ErrPeriod)
		}
	}
	return period, periods, nil
}

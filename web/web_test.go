package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/web"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const hostile = `Anna </title><script>alert(1)</script> "&'`

// town is a service with two accounts that made a call each, and its pages.
type town struct {
	*billing.Service
	*httptest.Server
	commune *commune.Store
	pins    map[string]string
}

func newTown(t *testing.T) town {
	t.Helper()
	db := pgtest.New(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b := billing.New(db, billing.Options{
		Key: []byte("a key of at least sixteen bytes"), Node: "node-1", Boot: uuid.New(), Spool: t.TempDir(), Log: log,
	})
	s := httptest.NewServer(web.New(options(b, db, log)))
	t.Cleanup(s.Close)
	w := town{b, s, commune.NewStore(db), map[string]string{}}
	for code, number := range map[string]string{"anna": "+380441234567", "bert": "+8613812345678"} {
		name := code
		if code == "anna" {
			name = hostile
		}
		_, err := b.AddAccount(t.Context(), billing.NewAccount{Code: code, Name: name})
		must(t, err)
		_, err = b.TopUp(t.Context(), billing.TopUp{Account: code, Amount: 10 * money.Unit, Text: "till " + hostile})
		must(t, err)
		w.pins[code], err = b.IssuePIN(t.Context(), code)
		must(t, err)
		w.call(t, code, number)
	}
	return w
}

func options(b *billing.Service, db *sqlx.DB, log *slog.Logger) web.Options {
	return web.Options{
		Billing: b, Log: log,
		Periods: func(ctx context.Context, account string, now time.Time) ([]statement.Period, error) {
			return statement.Periods(ctx, db, account, now)
		},
		Statement: func(ctx context.Context, account string, p statement.Period, now time.Time) (statement.Statement, error) {
			return statement.Make(ctx, db, account, p, now)
		},
		Months: func(ctx context.Context, account string, p statement.Period, now time.Time) ([]commune.MemberMonth, error) {
			return commune.NewStore(db).MonthsOf(ctx, account, ledger.Period(p.String()), now)
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call makes a call of a minute: 0.06, of which the carrier gets 0.03.
func (w town) call(t *testing.T, account, number string) {
	t.Helper()
	row := tariff.Row{
		Prefix: "1", Destination: "Far <b>away</b>", RatePerMinute: 60_000, IntervalFirst: 1, IntervalNext: 1,
		RoundingUnit: 100, RoundingMode: money.Up, Deck: "retail@1", Currency: "EUR",
	}
	cost := row
	cost.RatePerMinute = 30_000
	id := uuid.Must(uuid.NewV7())
	_, err := w.Authorise(t.Context(), billing.Request{
		Origin:  billing.Origin{Call: id, AccessCall: uuid.New(), Provider: "pstn", Started: time.Now()},
		Account: account, Number: e164.Number(number), Rate: row, CallLimit: 600,
	})
	must(t, err)
	must(t, w.Settle(t.Context(), billing.Settlement{
		Call: id, Trunk: "alpha", Carrier: "acme", Cost: cost, AnsweredAt: time.Now(), Answered: time.Minute,
		Ended: time.Now(), Outcome: billing.Answered, SIP: 200, Q850: 16,
	}))
}

// browser keeps cookies and does not follow redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type reply struct {
	*http.Response
	body string
}

func (w town) get(t *testing.T, c *http.Client, path string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+path, nil)
	must(t, err)
	return do(t, c, r)
}

func (w town) post(t *testing.T, c *http.Client, path string, form url.Values, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+path, strings.NewReader(form.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(t, c, r)
}

func do(t *testing.T, c *http.Client, r *http.Request) reply {
	t.Helper()
	res, err := c.Do(r)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return reply{res, string(b)}
}

func (w town) login(t *testing.T, c *http.Client, account, pin string) reply {
	t.Helper()
	return w.post(t, c, "/login", url.Values{"account": {account}, "pin": {pin}})
}

func (r reply) want(t *testing.T, status int, location string) {
	t.Helper()
	if r.StatusCode != status || r.Header.Get("Location") != location {
		t.Errorf("%s %s: %d to %q, want %d to %q", r.Request.Method, r.Request.URL.Path, r.StatusCode,
			r.Header.Get("Location"), status, location)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && r.body != "" && r.StatusCode != http.StatusSeeOther {
		htmltest.Check(t, r.body)
	}
}

func TestLogInSeeTheBillLogOut(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.get(t, c, "/").want(t, http.StatusSeeOther, "/login")
	form := w.get(t, c, "/login")
	form.want(t, http.StatusOK, "")
	if len(form.Cookies()) != 0 {
		t.Error("a cookie for somebody who has not logged in")
	}

	pin := w.pins["anna"]
	in := w.login(t, c, " anna ", pin[:4]+" "+pin[4:8]+"-"+pin[8:])
	in.want(t, http.StatusSeeOther, "/")
	cookie := in.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure {
		t.Errorf("cookie %v", cookie)
	}

	bill := w.get(t, c, "/")
	bill.want(t, http.StatusOK, "")
	said := htmltest.Text(htmltest.Check(t, bill.body))
	for _, want := range []string{"9.94 EUR", "+380441234567", "alpha", "0.06", "0.03", "Far <b>away</b>", hostile, "Log out"} {
		if !strings.Contains(said, want) {
			t.Errorf("the bill does not say %q", want)
		}
	}
	if strings.Contains(bill.body, "<script") || strings.Contains(bill.body, "<b>away") {
		t.Error("what people wrote came through as HTML")
	}
	w.get(t, c, "/login").want(t, http.StatusSeeOther, "/")

	period := time.Now().UTC().Format("2006-01")
	text := w.get(t, c, "/statement.txt?period="+period)
	text.want(t, http.StatusOK, "")
	if !strings.Contains(text.body, "Statement "+period) || text.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
		text.Header.Get("Content-Disposition") != `attachment; filename="statement-anna-`+period+`.txt"` {
		t.Errorf("text: %v\n%s", text.Header, text.body)
	}
	var st statement.Statement
	js := w.get(t, c, "/statement.json?period="+period)
	js.want(t, http.StatusOK, "")
	if err := json.Unmarshal([]byte(js.body), &st); err != nil || st.Account != "anna" || st.Closing != 9_940_000 || len(st.Calls) != 1 {
		t.Errorf("JSON: %v, %+v", err, st)
	}

	document := w.get(t, c, "/statement.pdf?period="+period)
	document.want(t, http.StatusOK, "")
	if !strings.HasPrefix(document.body, "%PDF-") || document.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("PDF: %v", document.Header)
	}
	sheet := w.get(t, c, "/statement.csv?period="+period)
	sheet.want(t, http.StatusOK, "")
	if !strings.HasPrefix(sheet.body, "account,row,date,") || !strings.Contains(sheet.body, ",+380441234567,") {
		t.Errorf("CSV: %v\n%s", sheet.Header, sheet.body)
	}

	w.post(t, c, "/logout", nil).want(t, http.StatusSeeOther, "/login")
	w.get(t, c, "/").want(t, http.StatusSeeOther, "/login")
	for _, ext := range []string{"json", "txt", "csv", "pdf"} {
		w.get(t, c, "/statement."+ext).want(t, http.StatusUnauthorized, "")
		w.post(t, c, "/statement."+ext, nil).want(t, http.StatusMethodNotAllowed, "")
	}
	// The cookie from before is worth nothing either.
	old := browser(t)
	u, err := url.Parse(w.URL)
	must(t, err)
	old.Jar.SetCookies(u, []*http.Cookie{cookie})
	w.get(t, old, "/").want(t, http.StatusSeeOther, "/login")
}

// Once numbers are shortened they stay so, in other months and in what is saved.
func TestShortNumbers(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	whole := w.get(t, c, "/")
	whole.want(t, http.StatusOK, "")
	period := time.Now().UTC().Format("2006-01")
	if !strings.Contains(whole.body, `href="/?period=`+period+`&amp;numbers=short"`) {
		t.Errorf("no link to shorten numbers in %s", whole.body)
	}
	short := w.get(t, c, "/?period="+period+"&numbers=short")
	short.want(t, http.StatusOK, "")
	if said := htmltest.Text(htmltest.Check(t, short.body)); !strings.Contains(said, "+380441234xxx") || strings.Contains(said, "234567") {
		t.Errorf("numbers are not shortened: %s", said)
	}
	links := 0
	for _, a := range htmltest.Find(htmltest.Check(t, short.body), "a") {
		path := htmltest.Attr(a, "href")
		if !strings.HasPrefix(path, "/statement.") {
			continue
		}
		links++
		saved := w.get(t, c, path)
		saved.want(t, http.StatusOK, "")
		if strings.Contains(saved.body, "380441234567") || !strings.HasPrefix(path, "/statement.pdf") && !strings.Contains(saved.body, "+380441234xxx") {
			t.Errorf("%s: numbers are not shortened", path)
		}
	}
	if links != 4 {
		t.Errorf("%d files to save", links)
	}
}

func TestOtherAccountsAreOutOfReach(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	for _, path := range []string{
		"/?account=bert", "/?period=&account=bert", "/statement.json?account=bert", "/statement.txt?account=bert", "/statement.csv?account=bert",
	} {
		r := w.get(t, c, path)
		r.want(t, http.StatusOK, "")
		if strings.Contains(r.body, "bert") || strings.Contains(r.body, "8613812345678") || !strings.Contains(r.body, "anna") {
			t.Errorf("%s shows somebody else", path)
		}
	}
	// A second log-in in the same browser changes whose bill it is, and the token.
	before := w.get(t, c, "/").Request.Header.Get("Cookie")
	w.login(t, c, "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	after := w.get(t, c, "/")
	if strings.Contains(after.body, "anna") || after.Request.Header.Get("Cookie") == before {
		t.Error("the second log-in kept something of the first")
	}
}

func TestWrongLogInsLookTheSame(t *testing.T) {
	w, c := newTown(t), browser(t)
	pages := map[string]string{}
	for why, try := range map[string][2]string{
		"wrong PIN":           {"anna", "000000000000"},
		"somebody else's PIN": {"anna", w.pins["bert"]},
		"no such account":     {"nobody", w.pins["anna"]},
		"not a PIN":           {"anna", "1234"},
		"nothing":             {"", ""},
	} {
		r := w.login(t, c, try[0], try[1])
		r.want(t, http.StatusUnauthorized, "")
		if len(r.Cookies()) != 0 {
			t.Errorf("%s: a cookie", why)
		}
		pages[strings.ReplaceAll(r.body, `value="`+try[0]+`"`, "")] = why
	}
	if len(pages) != 1 {
		t.Errorf("%d different answers: %v", len(pages), pages)
	}
	w.get(t, c, "/").want(t, http.StatusSeeOther, "/login")
}

func TestWrongPINsAreLimited(t *testing.T) {
	w, c := newTown(t), browser(t)
	for range 5 { // the limit of billing: a sixth wrong PIN an hour is refused, a right one too
		w.login(t, c, "anna", "000000000000").want(t, http.StatusUnauthorized, "")
	}
	r := w.login(t, c, "anna", w.pins["anna"])
	r.want(t, http.StatusTooManyRequests, "")
	if r.Header.Get("Retry-After") != "3600" {
		t.Errorf("retry after %q", r.Header.Get("Retry-After"))
	}
}

// Whoever guesses at one account from many addresses shuts out that account on the web, and nobody else.
func TestGuessesShutOutOneAccount(t *testing.T) {
	w := newTown(t)
	guess := func(account string) error {
		_, err := w.Login(t.Context(), account, "000000000000", billing.PINSource{Provider: "web:" + account})
		return err
	}
	for range 99 { // the limit of billing for a provider
		if err := guess("anna"); !errors.Is(err, billing.ErrUnknownCaller) {
			t.Fatal(err)
		}
	}
	w.login(t, browser(t), "anna", w.pins["anna"]).want(t, http.StatusTooManyRequests, "")
	w.login(t, browser(t), "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	if _, err := w.ByPIN(t.Context(), w.pins["anna"], billing.PINSource{Caller: "+4915100", Provider: "pstn"}); err != nil {
		t.Errorf("by telephone: %v", err)
	}
}

func TestRevokedPINEndsTheLogIn(t *testing.T) {
	w, anna, bert := newTown(t), browser(t), browser(t)
	w.login(t, anna, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	w.login(t, bert, "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	_, err := w.Block(t.Context(), "anna", true)
	must(t, err)
	w.get(t, anna, "/").want(t, http.StatusOK, "") // who is blocked may see the bill
	_, err = w.RevokePINs(t.Context(), "anna")
	must(t, err)
	pin, err := w.IssuePIN(t.Context(), "anna")
	must(t, err)
	w.get(t, anna, "/statement.json").want(t, http.StatusUnauthorized, "")
	w.get(t, anna, "/").want(t, http.StatusSeeOther, "/login")
	w.get(t, anna, "/login").want(t, http.StatusOK, "")
	w.get(t, bert, "/").want(t, http.StatusOK, "")
	w.login(t, anna, "anna", pin).want(t, http.StatusSeeOther, "/")
	w.get(t, anna, "/").want(t, http.StatusOK, "")
}

func TestLogInsAreLimited(t *testing.T) {
	w, c := newTown(t), browser(t)
	// Rubbish costs no query and still counts.
	for range 10 {
		w.login(t, c, "anna", "rubbish").want(t, http.StatusUnauthorized, "")
	}
	r := w.login(t, c, "anna", w.pins["anna"])
	r.want(t, http.StatusTooManyRequests, "")
	if r.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
}

func TestCrossOriginIsRefused(t *testing.T) {
	w, c := newTown(t), browser(t)
	form := url.Values{"account": {"anna"}, "pin": {w.pins["anna"]}}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		w.post(t, c, "/login", form, headers...).want(t, http.StatusForbidden, "")
	}
	w.post(t, c, "/login", form, "Sec-Fetch-Site", "same-origin", "Origin", w.URL).want(t, http.StatusSeeOther, "/")
	w.post(t, c, "/logout", nil, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden, "")
	w.get(t, c, "/").want(t, http.StatusOK, "") // still logged in
}

func TestHostileRequests(t *testing.T) {
	w, c := newTown(t), browser(t)
	r := w.login(t, c, hostile, "000000000000")
	r.want(t, http.StatusUnauthorized, "")
	if strings.Contains(r.body, "<script") {
		t.Error("the account as typed came through as HTML")
	}
	w.login(t, c, strings.Repeat("a", 5000), "").want(t, http.StatusRequestEntityTooLarge, "")
	w.login(t, c, "anna\x00", w.pins["anna"]).want(t, http.StatusUnauthorized, "")
	w.post(t, c, "/login", url.Values{}, "Content-Type", "text/x;;;").want(t, http.StatusBadRequest, "")
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	for _, path := range []string{
		"/?period=2027-13", "/?period=1999-01", "/?period=9999-12", "/?period=%00", "/?period=%3Cscript%3E",
		"/statement.json?period=x", "/nothing", "/style.css/x", "/favicon.ico",
	} {
		r := w.get(t, c, path)
		r.want(t, http.StatusNotFound, "")
		if strings.Contains(r.body, "<script") {
			t.Errorf("%s: came through as HTML", path)
		}
	}
	w.post(t, c, "/", nil).want(t, http.StatusMethodNotAllowed, "")
	w.get(t, c, "/logout").want(t, http.StatusMethodNotAllowed, "")
}

func TestHeaders(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	for _, path := range []string{"/", "/login", "/nothing", "/statement.txt", "/statement.pdf"} {
		h := w.get(t, c, path).Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
			!strings.Contains(h.Get("Cache-Control"), "no-store") || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
	css := w.get(t, c, "/style.css")
	css.want(t, http.StatusOK, "")
	if !strings.HasPrefix(css.Header.Get("Content-Type"), "text/css") || !strings.Contains(css.body, ".calls") ||
		strings.Contains(css.body, "url(") || strings.Contains(css.body, "@import") {
		t.Errorf("style sheet %v", css.Header)
	}
}

func TestSecure(t *testing.T) {
	db := pgtest.New(t)
	h := web.New(web.Options{Billing: billing.New(db, billing.Options{}), Secure: true})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/login", nil))
	if rec.Code != http.StatusOK || rec.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}

func TestDatabaseAway(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	away := pgtest.New(t)
	must(t, away.Close())
	h := web.New(options(billing.New(away, billing.Options{Key: make([]byte, 16)}), away, slog.New(slog.DiscardHandler)))
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader("account=anna&pin=000000000000"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	h.ServeHTTP(rec, r)
	if rec.Code < 500 {
		t.Errorf("without database: %d", rec.Code)
	}
	htmltest.Check(t, rec.Body.String())
}

// Package web is what people see in a browser: log-in with account and PIN, the bill, a member's part of the rent, and
// vouchers. The pages are made on the server, work without script and load nothing from another host.
package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/statement"
)

const (
	maxBody      = 4 << 10          // a log-in form is the largest thing that anybody sends
	patience     = 10 * time.Second // for the database, a request
	styleCaching = "public, max-age=3600"
)

// Options say what the pages show and how they are reached.
type Options struct {
	Billing *billing.Service
	// Periods lists the months that an account has bills of, newest first; Statement makes one. They are those of
	// billing/statement, on the database.
	Periods   func(ctx context.Context, account string, now time.Time) ([]statement.Period, error)
	Statement func(ctx context.Context, account string, p statement.Period, now time.Time) (statement.Statement, error)
	// Months gives the month of each member of the commune who has named an account as his; none: those of nobody.
	Months func(ctx context.Context, account string, p statement.Period, now time.Time) ([]commune.MemberMonth, error)

	Log    *slog.Logger
	Secure bool // the pages are reached by HTTPS only: cookies are for HTTPS, browsers are told to stay there
	// Proxies are the reverse proxies whose X-Forwarded-For is believed; from all others it means nothing.
	Proxies []netip.Prefix
}

// site is the pages with what they remember.
type site struct {
	Options
	sessions *scs.SessionManager
	logIns   *limiter // by client
	vouchers *limiter // by account: typed and made
}

// New makes the pages.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &site{Options: o, logIns: newLimiter(10, 30*time.Second), vouchers: newLimiter(10, 30*time.Second)}
	s.sessions = newSessions(o.Secure)
	s.sessions.ErrorFunc = s.refuse

	private := http.NewServeMux()
	private.Handle("GET /{$}", s.page(s.bill))
	private.Handle("GET /login", s.page(s.loginForm))
	private.Handle("POST /login", s.page(s.login))
	private.Handle("POST /logout", s.page(s.logout))
	private.Handle("POST /voucher/redeem", s.page(s.redeemVoucher))
	private.Handle("POST /voucher/issue", s.page(s.issueVoucher))
	for _, path := range []string{"/{$}", "/login", "/logout", "/voucher/redeem", "/voucher/issue"} {
		private.Handle(path, s.problem(errMethod))
	}
	for ext := range forms {
		private.Handle("GET /statement."+ext, s.file(ext))
		private.Handle("/statement."+ext, s.problem(errMethod))
	}
	for ext := range monthForms {
		private.Handle("GET /rent."+ext, s.rentFile(ext))
		private.Handle("/rent."+ext, s.problem(errMethod))
	}
	private.Handle("/", s.problem(errNoPage))

	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(s.problem(errCrossOrigin))

	all := http.NewServeMux()
	all.HandleFunc("GET /style.css", style)
	all.Handle("/", sameOrigin.Handler(s.sessions.LoadAndSave(private)))
	return s.headers(http.MaxBytesHandler(all, maxBody))
}

// NewServer makes a server for the pages that no slow client can hold up.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // a long bill on a slow line
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

// headers tells browsers to trust nothing but us and to keep nothing.
func (s *site) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if s.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// page runs a handler with a limited time and shows its error.
func (s *site) page(handle func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		r = r.WithContext(ctx)
		if err := handle(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// problem shows one error, whatever was asked.
func (s *site) problem(err error) http.Handler {
	return s.page(func(http.ResponseWriter, *http.Request) error { return err })
}

var styleTag = func() string {
	sum := sha256.Sum256([]byte(styleSheet))
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}()

func style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", styleCaching)
	w.Header().Set("ETag", styleTag)
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(styleSheet))
}

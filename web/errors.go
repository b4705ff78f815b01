package web

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"telecommune/billing"
	"telecommune/billing/statement"
	"telecommune/internal/money"
)

var (
	errNoPage      = errors.New("no such page")
	errMethod      = errors.New("method not allowed")
	errCrossOrigin = errors.New("request from another site")
	errForm        = errors.New("not a form")
	errLoggedOut   = errors.New("not logged in")
)

// tooFast is the answer to attempts that come too quickly.
type tooFast struct{ wait time.Duration }

func (e tooFast) Error() string { return fmt.Sprintf("too many attempts, wait %s", e.wait) }

// answers is how errors become pages. What is not here is a fault of ours.
var answers = []struct {
	is     error
	status int
	text   string
}{
	{billing.ErrUnknownCaller, http.StatusUnauthorized, "Account and PIN do not belong together."},
	{billing.ErrTooManyPINs, http.StatusTooManyRequests, "There were too many wrong PINs. Try again in an hour."},
	{errLoggedOut, http.StatusUnauthorized, "Log in to see that."},
	{billing.ErrVoucherNumber, http.StatusUnprocessableEntity, "That is not a voucher number: it has 15 digits. Check what you typed."},
	{billing.ErrNoVoucher, http.StatusUnprocessableEntity, "There is no voucher of that number. Check what you typed."},
	{billing.ErrVoucherSpent, http.StatusConflict, "That voucher was redeemed before."},
	{billing.ErrVoucherVoid, http.StatusConflict, "That voucher was made void. Ask whoever gave it to you."},
	{billing.ErrVoucherExpired, http.StatusConflict, "That voucher has expired."},
	{billing.ErrTooManyVouchers, http.StatusTooManyRequests, "There were too many wrong voucher numbers. Try again in an hour."},
	{billing.ErrInsufficientCredit, http.StatusConflict, "There is not so much free on your account."},
	{billing.ErrBlocked, http.StatusForbidden, "This account is blocked."},
	{billing.ErrConflict, http.StatusConflict, "This form was sent before with another amount. Send it again to make another voucher."},
	{billing.ErrAmount, http.StatusUnprocessableEntity, noAmount},
	{money.ErrSyntax, http.StatusUnprocessableEntity, noAmount},
	{money.ErrRange, http.StatusUnprocessableEntity, noAmount},
	{billing.ErrNotFound, http.StatusNotFound, "There is no such account."},
	{statement.ErrPeriod, http.StatusNotFound, "There is no statement for that month."},
	{errNoPage, http.StatusNotFound, "There is no such page."},
	{errMethod, http.StatusMethodNotAllowed, "That can't be done with this page."},
	{errCrossOrigin, http.StatusForbidden, "That came from another site and was not done."},
	{errForm, http.StatusBadRequest, "That was not the form of this page."},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, away},
	{sql.ErrConnDone, http.StatusServiceUnavailable, away},
	{driver.ErrBadConn, http.StatusServiceUnavailable, away},
	{errFull, http.StatusServiceUnavailable, "Too many people are logged in. Try again in some minutes."},
}

const (
	away     = "The books can't be reached just now. Try again in a minute."
	noAmount = "That is not an amount: want one such as 2.50."
	fault    = "Something went wrong on our side. It was noted; try again later."
)

// answer gives status and words for an error.
func answer(err error) (status int, text string) {
	if fast, ok := errors.AsType[tooFast](err); ok {
		return http.StatusTooManyRequests, "There were too many attempts. Try again in " + seconds(fast.wait) + " seconds."
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "That was too long."
	}
	for _, a := range answers {
		if errors.Is(err, a.is) {
			return a.status, a.text
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok || databaseAway(err) {
		return http.StatusServiceUnavailable, away
	}
	return http.StatusInternalServerError, fault
}

// databaseAway tells whether PostgreSQL says that it can't serve now: lost connections (class 08), want of resources
// (53), being shut down or started (57).
func databaseAway(err error) bool {
	state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && slices.Contains([]string{"08", "53", "57"}, fmt.Sprintf("%.2s", state.SQLState()))
}

func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

// refuse shows an error as a page: with the log-in form when logging in may help.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := answer(err)
	switch {
	case status >= 500:
		s.Log.Error("page failed", "path", r.URL.Path, "err", err)
	case status == http.StatusTooManyRequests, status == http.StatusUnauthorized && r.Method == http.MethodPost:
		s.Log.Warn("log-in refused", "client", s.client(r), "err", err)
	}
	retryAfter(w, err)
	v := view{Title: http.StatusText(status), Problem: text}
	name := "error"
	if status == http.StatusUnauthorized || status == http.StatusTooManyRequests {
		name, v.Title = "login", "Log in"
		if r.URL.Path == "/login" {
			v.Account = r.PostFormValue("account")
		}
	}
	s.show(w, status, name, v)
}

// retryAfter tells programs when to try again, where that is known (RFC 9110, 10.2.3).
func retryAfter(w http.ResponseWriter, err error) {
	if fast, ok := errors.AsType[tooFast](err); ok {
		w.Header().Set("Retry-After", seconds(fast.wait))
	}
	if errors.Is(err, billing.ErrTooManyPINs) || errors.Is(err, billing.ErrTooManyVouchers) {
		w.Header().Set("Retry-After", "3600")
	}
}

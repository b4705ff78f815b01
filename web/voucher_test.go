package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
)

// voucherKey gives the key of the form on a page that makes a voucher, or "".
func voucherKey(t *testing.T, page string) string {
	t.Helper()
	for _, input := range htmltest.Find(htmltest.Check(t, page), "input") {
		if htmltest.Attr(input, "name") == "key" {
			return htmltest.Attr(input, "value")
		}
	}
	return ""
}

// made gives the number of the voucher on a page.
func made(t *testing.T, page string) string {
	t.Helper()
	for _, p := range htmltest.Find(htmltest.Check(t, page), "p") {
		if htmltest.Attr(p, "class") == "code" {
			return htmltest.Text(p)
		}
	}
	t.Fatalf("no voucher in %s", page)
	return ""
}

func (w town) balance(t *testing.T, account string, want money.Amount) {
	t.Helper()
	a, err := w.Service.Account(t.Context(), account)
	must(t, err)
	if a.Balance != want {
		t.Errorf("%s has %s, want %s", account, a.Balance, want)
	}
}

// Anna makes a voucher for Bert, who redeems it; each form sent twice does it once.
func TestVoucherFromMemberToMember(t *testing.T) {
	w, anna, bert := newTown(t), browser(t), browser(t)
	w.login(t, anna, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	w.login(t, bert, "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	key := voucherKey(t, w.get(t, anna, "/").body)
	form := url.Values{"key": {key}, "amount": {" 2,50 "}}
	var numbers []string
	for range 2 {
		page := w.post(t, anna, "/voucher/issue", form)
		page.want(t, http.StatusOK, "")
		numbers = append(numbers, made(t, page.body))
		if !strings.Contains(page.body, "2.50 EUR") {
			t.Errorf("the voucher does not say what it is worth: %s", page.body)
		}
	}
	if numbers[0] != numbers[1] {
		t.Errorf("one form, two vouchers: %v", numbers)
	}
	w.balance(t, "anna", 7_440_000)

	for range 2 {
		w.post(t, bert, "/voucher/redeem", url.Values{"number": {numbers[0]}}).want(t, http.StatusSeeOther, "/")
	}
	w.balance(t, "bert", 12_440_000)
	if said := htmltest.Text(htmltest.Check(t, w.get(t, bert, "/").body)); !strings.Contains(said, "redeemed: 2.50 EUR") {
		t.Errorf("nobody tells that it was redeemed: %s", said)
	}
	if again := w.get(t, bert, "/").body; strings.Contains(again, "redeemed: 2.50 EUR") {
		t.Error("it is told twice")
	}
	if next := voucherKey(t, w.get(t, anna, "/").body); next == key {
		t.Error("a new form has the key of the old one")
	}
}

// What is refused is said on a page with the form, and changes nothing.
func TestVouchersRefused(t *testing.T) {
	w, c := newTown(t), browser(t)
	key := func() string { return uuid.NewString() }
	redeem, issue := "/voucher/redeem", "/voucher/issue"
	w.post(t, c, redeem, url.Values{"number": {"1"}}).want(t, http.StatusUnauthorized, "")
	w.post(t, c, issue, url.Values{"key": {key()}, "amount": {"1"}}).want(t, http.StatusUnauthorized, "")
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	used := key()
	w.post(t, c, issue, url.Values{"key": {used}, "amount": {"1"}}).want(t, http.StatusOK, "")
	spent, err := w.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "bert", Amount: money.Unit})
	must(t, err)
	_, err = w.RedeemVoucher(t.Context(), spent.Number, "bert", "")
	must(t, err)
	for _, tt := range []struct {
		path, field, value, key string
		status                  int
		says                    string
	}{
		{redeem, "number", "1234", "", http.StatusUnprocessableEntity, "15 digits"},
		{redeem, "number", hostile, "", http.StatusUnprocessableEntity, "15 digits"},
		{redeem, "number", "00000 00000 00000", "", http.StatusUnprocessableEntity, "no voucher of that number"},
		{redeem, "number", spent.Number, "", http.StatusConflict, "redeemed before"},
		{issue, "amount", "100", key(), http.StatusConflict, "not so much"},
		{issue, "amount", "a lot", key(), http.StatusUnprocessableEntity, "not an amount"},
		{issue, "amount", "-1", key(), http.StatusUnprocessableEntity, "not an amount"},
		{issue, "amount", "2", used, http.StatusConflict, "sent before"},
	} {
		r := w.post(t, c, tt.path, url.Values{tt.field: {tt.value}, "key": {tt.key}})
		r.want(t, tt.status, "")
		page := htmltest.Check(t, r.body)
		if said := htmltest.Text(page); !strings.Contains(said, tt.says) {
			t.Errorf("%s %q: says %s", tt.path, tt.value, said)
		}
		kept := false
		for _, input := range htmltest.Find(page, "input") {
			kept = kept || htmltest.Attr(input, "value") == tt.value && htmltest.Attr(input, "aria-describedby") == "problem"
		}
		if !kept {
			t.Errorf("%s %q: what was typed is gone: %s", tt.path, tt.value, r.body)
		}
	}
	w.balance(t, "anna", 8_940_000)
	w.balance(t, "bert", 9_940_000)
}

func TestVoucherFormsAreGuarded(t *testing.T) {
	w, c := newTown(t), browser(t)
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	form := url.Values{"key": {uuid.NewString()}, "amount": {"1"}, "number": {"1"}}
	for _, path := range []string{"/voucher/redeem", "/voucher/issue"} {
		w.post(t, c, path, form, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden, "")
		w.get(t, c, path).want(t, http.StatusMethodNotAllowed, "")
	}
	w.post(t, c, "/voucher/issue", url.Values{"key": {"till-1"}, "amount": {"1"}}).want(t, http.StatusBadRequest, "")
	// Keys of others, and of the operator, give nobody their vouchers.
	operators, err := w.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "anna", Amount: money.Unit, Key: form.Get("key")})
	must(t, err)
	r := w.post(t, c, "/voucher/issue", form)
	r.want(t, http.StatusOK, "")
	if made(t, r.body) == operators.Number {
		t.Error("the voucher of an operator is shown")
	}
	_, err = w.Block(t.Context(), "anna", true)
	must(t, err)
	if voucherKey(t, w.get(t, c, "/").body) != "" {
		t.Error("a blocked account is offered to make vouchers")
	}
	form.Set("key", uuid.NewString())
	w.post(t, c, "/voucher/issue", form).want(t, http.StatusForbidden, "")
	w.balance(t, "anna", 7_940_000)
}

// After five wrong numbers nothing is looked at for an hour; and who sends forms without pause must wait.
func TestVoucherGuessesAreLimited(t *testing.T) {
	w, anna, bert := newTown(t), browser(t), browser(t)
	w.login(t, anna, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	w.login(t, bert, "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	guess := url.Values{"number": {"00000 00000 00000"}}
	for range 5 {
		w.post(t, anna, "/voucher/redeem", guess).want(t, http.StatusUnprocessableEntity, "")
	}
	good, err := w.IssueVoucher(t.Context(), billing.VoucherIssue{Account: "bert", Amount: money.Unit})
	must(t, err)
	r := w.post(t, anna, "/voucher/redeem", url.Values{"number": {good.Number}})
	r.want(t, http.StatusTooManyRequests, "")
	if r.Header.Get("Retry-After") != "3600" || !strings.Contains(r.body, "too many wrong voucher numbers") {
		t.Errorf("%v %s", r.Header, r.body)
	}
	for i := range 11 {
		r = w.post(t, bert, "/voucher/issue", url.Values{"key": {uuid.NewString()}, "amount": {fmt.Sprint("0.0", i+1)}})
	}
	r.want(t, http.StatusTooManyRequests, "")
	w.post(t, bert, "/voucher/redeem", url.Values{"number": {good.Number}}).want(t, http.StatusTooManyRequests, "")
}

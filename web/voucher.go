package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/money"
)

// voucherView is what the forms about vouchers show.
type voucherView struct {
	Number, Amount string           // as typed, when there was something wrong with it
	Key            string           // of the voucher that the form makes; none: the account may make none
	Currency       money.Currency   // of the account
	Made           *billing.Voucher // just now
}

// voucherForms are empty forms. The key of the one that makes a voucher is in the form, so that sending it twice, or
// loading the answer anew, gives the same voucher.
func voucherForms(a billing.Account) voucherView {
	v := voucherView{Currency: a.Currency}
	if !a.Blocked {
		v.Key = uuid.NewString()
	}
	return v
}

// redeemVoucher turns a voucher into credit of the account that is logged in.
func (s *site) redeemVoucher(w http.ResponseWriter, r *http.Request) error {
	return s.withVoucher(w, r, func(account string) error {
		v, err := s.Billing.TypeVoucher(r.Context(), r.PostFormValue("number"), account, s.client(r))
		if err != nil {
			return err
		}
		s.sessions.Put(r.Context(), doneKey, "The voucher was redeemed: "+v.Amount.String()+" "+string(v.Currency)+".")
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	})
}

// issueVoucher makes a voucher out of the credit of the account that is logged in, and shows its number.
func (s *site) issueVoucher(w http.ResponseWriter, r *http.Request) error {
	return s.withVoucher(w, r, func(account string) error {
		key, err := uuid.Parse(r.PostFormValue("key"))
		if err != nil {
			return errForm
		}
		amount, err := money.Parse(strings.Replace(strings.TrimSpace(r.PostFormValue("amount")), ",", ".", 1))
		if err != nil {
			return err
		}
		v, err := s.Billing.IssueVoucher(r.Context(), billing.VoucherIssue{
			// Nobody can have the vouchers of others shown, nor those that the operator issued, by their keys.
			Account: account, Amount: amount, Key: "web:" + account + ":" + key.String(), Actor: account,
		})
		if err != nil {
			return err
		}
		s.show(w, http.StatusOK, "voucher", view{Title: "Voucher", LoggedIn: account, Vouchers: voucherView{Made: &v}})
		return nil
	})
}

// withVoucher does what a form about vouchers asks for. When that is refused, the form is shown again with the reason.
func (s *site) withVoucher(w http.ResponseWriter, r *http.Request, do func(account string) error) error {
	if err := r.ParseForm(); err != nil {
		return errors.Join(errForm, err)
	}
	code, err := s.visitor(r)
	if err != nil {
		return err
	}
	if code == "" {
		return errLoggedOut
	}
	account, err := s.Billing.Account(r.Context(), code)
	if err != nil {
		return err
	}
	if wait := s.vouchers.take(code, time.Now()); wait > 0 {
		err = tooFast{wait}
	} else {
		err = do(code)
	}
	if err == nil || errors.Is(err, errForm) {
		return err
	}
	status, text := answer(err)
	if status >= http.StatusInternalServerError {
		return err
	}
	s.Log.Warn("voucher refused", "account", code, "client", s.client(r), "err", err)
	retryAfter(w, err)
	forms := voucherForms(account)
	forms.Number, forms.Amount = r.PostFormValue("number"), r.PostFormValue("amount")
	s.show(w, status, "voucher", view{Title: "Vouchers", LoggedIn: code, Problem: text, Vouchers: forms})
	return nil
}

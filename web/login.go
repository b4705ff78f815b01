package web

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"telecommune/billing"
)

var (
	codeSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	pinSyntax  = regexp.MustCompile(`^[0-9]{12}$`)
)

func (s *site) loginForm(w http.ResponseWriter, r *http.Request) error {
	account, err := s.visitor(r)
	if err != nil {
		return err
	}
	if account != "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	s.show(w, http.StatusOK, "login", view{Title: "Log in"})
	return nil
}

// login opens the bill of an account to whoever knows its PIN. A wrong PIN, somebody else's PIN and an account that does
// not exist get one and the same answer.
func (s *site) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return errors.Join(errForm, err)
	}
	client := s.client(r)
	if wait := s.logIns.take(client, time.Now()); wait > 0 {
		return tooFast{wait}
	}
	account := strings.TrimSpace(r.PostFormValue("account"))
	pin := strings.NewReplacer(" ", "", "-", "").Replace(r.PostFormValue("pin")) // people write it in groups
	if !codeSyntax.MatchString(account) || !pinSyntax.MatchString(pin) {
		return billing.ErrUnknownCaller
	}
	// Wrong PINs count for the client and for the account: whoever guesses at one shuts nobody else out.
	ticket, err := s.Billing.Login(r.Context(), account, pin, billing.PINSource{Caller: client, Provider: "web:" + account})
	if err != nil {
		return err
	}
	// A new token, so that one that somebody planted in this browser before is worth nothing.
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		return err
	}
	s.sessions.Put(r.Context(), accountKey, ticket.Account)
	s.sessions.Put(r.Context(), pinKey, ticket.PIN)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// visitor is the account whose bill a request may see, or none. A log-in ends when its PIN is revoked: that may have been
// done because somebody else knew it.
func (s *site) visitor(r *http.Request) (account string, err error) {
	ticket := billing.Ticket{
		Account: s.sessions.GetString(r.Context(), accountKey), PIN: s.sessions.GetBytes(r.Context(), pinKey),
	}
	if ticket.Account == "" {
		return "", nil
	}
	good, err := s.Billing.Good(r.Context(), ticket)
	if err != nil {
		return "", err
	}
	if !good {
		return "", s.sessions.Destroy(r.Context())
	}
	return ticket.Account, nil
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) error {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

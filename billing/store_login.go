package billing

import (
	"context"
	"fmt"
)

// Ticket is what somebody has who logged in: it is good as long as the PIN is.
type Ticket struct {
	Account string
	PIN     []byte // the HMAC that the database keeps of it
}

// Login is ByPIN for somebody who names the account as well: a PIN of another account is a wrong one.
func (s *Service) Login(ctx context.Context, account, pin string, from PINSource) (Ticket, error) {
	if account == "" {
		return Ticket{}, ErrUnknownCaller
	}
	c, err := s.login(ctx, account, pin, from)
	if err != nil {
		return Ticket{}, err
	}
	mac, err := s.key.mac("PIN", pin)
	return Ticket{c.Account, mac}, err
}

// Good tells whether the PIN that a ticket was given for still opens its account.
func (s *Service) Good(ctx context.Context, t Ticket) (good bool, err error) {
	err = s.db.GetContext(ctx, &good, `
		SELECT EXISTS (SELECT FROM pin WHERE hmac = $1 AND account = $2 AND revoked_at IS NULL)`, t.PIN, t.Account)
	if err != nil {
		return false, fmt.Errorf("log-in of %.40q: %w", t.Account, err)
	}
	return good, nil
}

package tariff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// SetExchangeRate sets what one unit of the commune's currency buys of another from an instant on (zero: from now), up to
// the next rate. A rate from the same instant is replaced; calls keep the one they were stamped with. ErrOwnCurrency.
func (s *Store) SetExchangeRate(ctx context.Context, r DatedRate) (DatedRate, error) {
	if r.From.IsZero() {
		r.From = time.Now()
	}
	r.From = r.From.UTC().Truncate(time.Microsecond)
	err := s.setExchangeRate(ctx, r)
	if err != nil {
		return DatedRate{}, fmt.Errorf("set the exchange rate of %.10q: %w", r.Currency, err)
	}
	return r, nil
}

func (s *Store) setExchangeRate(ctx context.Context, r DatedRate) error {
	switch {
	case !currencySyntax.MatchString(string(r.Currency)):
		return errors.New("want a currency of three capital letters, such as USD")
	case r.Rate <= 0 || r.Rate > maxExchangeRate:
		return ErrExchangeRate
	}
	_, err := s.db.ExecContext(ctx, `
		INSERT INTO exchange_rate (home, currency, effective_from, rate) SELECT currency, $1, $2, $3 FROM commune
		ON CONFLICT (home, currency, effective_from) DO UPDATE SET rate = EXCLUDED.rate, set_at = now()`,
		r.Currency, r.From, int64(r.Rate))
	if postgres.Constraint(err) == "exchange_rate_foreign" {
		return ErrOwnCurrency
	}
	return err
}

// ExchangeRates lists all exchange rates into the commune's currency, by currency, newest first.
func (s *Store) ExchangeRates(ctx context.Context) ([]DatedRate, error) {
	_, rates, err := s.exchangeRates(ctx)
	return rates, err
}

func (s *Store) exchangeRates(ctx context.Context) (money.Currency, []DatedRate, error) {
	var home money.Currency
	rates := []DatedRate{}
	err := errors.Join(
		sqlx.GetContext(ctx, s.db, &home, `SELECT currency FROM commune`),
		sqlx.SelectContext(ctx, s.db, &rates, `
			SELECT e.currency, e.effective_from, e.rate FROM exchange_rate e JOIN commune c ON c.currency = e.home
			ORDER BY e.currency COLLATE "C", e.effective_from DESC`),
	)
	if err != nil {
		return "", nil, fmt.Errorf("exchange rates: %w", err)
	}
	for i := range rates {
		rates[i].From = rates[i].From.UTC()
	}
	return home, rates, nil
}

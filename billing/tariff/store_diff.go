package tariff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

const (
	fetchedRows = 2000 // of each deck at a time
	pricedCalls = 2000 // at a time
)

// Diff compares two versions of decks of one kind, at the instant at which the second one comes into force, or now:
// ErrNoExchangeRate when they can't be compared.
func (s *Store) Diff(ctx context.Context, before, after Version, c Compare) (*Diff, error) {
	var d *Diff
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) (err error) {
		at := time.Now()
		if after.ActiveFrom != nil {
			at = latest(at, *after.ActiveFrom)
		}
		d, err = s.compare(ctx, tx, before, after, at, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", before, after, err)
	}
	return d, nil
}

// compare reads the versions side by side, in the transaction that may just have stored one. Without a version before, its
// number is 0.
func (s *Store) compare(ctx context.Context, tx *sqlx.Tx, before, after Version, at time.Time, c Compare) (*Diff, error) {
	at = at.Truncate(time.Microsecond).UTC()
	in, err := s.exchangeAt(ctx, before, after, at)
	if err != nil {
		return nil, err
	}
	d := differ{Compare: c, at: at, home: in.home, diff: &Diff{
		Kind: after.Kind, After: after.String(), Currency: after.Currency, At: at, Worst: []Difference{},
	}}
	if before.Number > 0 {
		d.diff.Before = before.String()
	}
	if d.medians, err = medians(ctx, tx, after.ID, at); err != nil {
		return nil, err
	}
	var retail Version
	if after.Kind == Trunk && c.Against != "" {
		retail, err = versionAt(ctx, tx, Retail, c.Against, at)
		if err != nil && !errors.Is(err, ErrNotFound) { // without one nothing is said of margins
			return nil, err
		}
	}
	for _, side := range []struct {
		*side
		of Version
	}{{&d.before, before}, {&d.after, after}, {&d.retail, retail}} {
		var stop func()
		*side.side, stop = newSide(in.rows(fetchRates(ctx, tx, side.of), side.of))
		defer stop()
	}
	if err := d.run(); err != nil {
		return nil, err
	}
	if c.Calls == nil {
		return d.diff, nil
	}
	d.diff.Effect, err = s.effect(ctx, tx, before, after, at, c)
	return d.diff, err
}

// comparedMoney brings rows of two versions into one currency.
type comparedMoney struct {
	exchange exchange
	at       time.Time
	mixed    bool // they are in different currencies
}

func (s *Store) exchangeAt(ctx context.Context, before, after Version, at time.Time) (comparedMoney, error) {
	home, rates, err := s.exchangeRates(ctx)
	m := comparedMoney{newExchange(home, rates), at, before.Number > 0 && before.Currency != after.Currency}
	if err != nil || !m.mixed {
		return m, err
	}
	for _, v := range []Version{before, after} {
		if _, ok := m.exchange.at(v.Currency, at); !ok {
			return m, fmt.Errorf("%s: %w", v.Currency, ErrNoExchangeRate)
		}
	}
	return m, nil
}

// home gives a row with the exchange rate into the commune's currency, if there is one.
func (m comparedMoney) home(row Row) (Row, bool) {
	rate, ok := m.exchange.at(row.Currency, m.at)
	row.ExchangeRate = rate
	return row, ok
}

// rows stamps the rows of a version with its currency and, if both versions need it, with its exchange rate.
func (m comparedMoney) rows(rows Rows, v Version) Rows {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			row.Currency = v.Currency
			if m.mixed {
				row, _ = m.home(row)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// fetchRates reads a version by a cursor of the server's, so that several can be read at once in one transaction. None is
// read for a version with number 0.
func fetchRates(ctx context.Context, tx *sqlx.Tx, v Version) Rows {
	return func(yield func(Row, error) bool) {
		if v.Number == 0 {
			return
		}
		cursor := pq.QuoteIdentifier("rates of " + v.ID.String() + uuid.NewString())
		if _, err := tx.ExecContext(ctx, `DECLARE `+cursor+` NO SCROLL CURSOR FOR `+selectRates+inOrder, v.ID); err != nil {
			yield(Row{}, err)
			return
		}
		for {
			rows, err := queryRates(ctx, tx, fmt.Sprintf(`FETCH %d FROM %s`, fetchedRows, cursor))
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if len(rows) < fetchedRows {
				return
			}
		}
	}
}

func queryRates(ctx context.Context, tx *sqlx.Tx, query string, args ...any) (rows []Row, err error) {
	found, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		row, err := scanRate(found)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

// medians gives the median rate of each country in a version, by country code.
func medians(ctx context.Context, tx *sqlx.Tx, deck uuid.UUID, at time.Time) (found map[string]money.Amount, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT prefix, rate_per_minute FROM rate WHERE deck_id = $1 AND effective_to > $2 ORDER BY prefix COLLATE "C"`, deck, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var m medianSum
	for rows.Next() {
		var prefix string
		var rate money.Amount
		if err := rows.Scan(&prefix, &rate); err != nil {
			return nil, err
		}
		m.add(prefix, rate)
	}
	return m.end(), rows.Err()
}

// effect prices the calls of the last month by two versions, some at a time, with the rows that these need.
func (s *Store) effect(ctx context.Context, tx *sqlx.Tx, before, after Version, at time.Time, c Compare) (*Effect, error) {
	sum := effectSum{by: map[string]*DestinationEffect{}}
	sum.Since = time.Now().UTC().AddDate(0, 0, -effectDays).Truncate(time.Second)
	home, rates, err := s.exchangeRates(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(after.Zone)
	if err != nil {
		return nil, err
	}
	price := func(calls []PastCall) error {
		old, err := pickDeck(ctx, tx, before, calls)
		if err != nil {
			return err
		}
		next, err := pickDeck(ctx, tx, after, calls)
		if err != nil {
			return err
		}
		oldDecks, nextDecks := NewDecks([]Deck{old}).In(home, rates), NewDecks([]Deck{next}).In(home, rates)
		for _, call := range calls {
			when := afterwards(call.AnsweredAt, at, zone)
			was, had := oldDecks.row(after.Kind, before.Name, call, when)
			is, has := nextDecks.row(after.Kind, after.Name, call, when)
			sum.add(was, is, had, has, call.Seconds)
		}
		return nil
	}
	var calls []PastCall
	for call, err := range c.Calls(after.Kind, after.Name, sum.Since) {
		if err != nil {
			return nil, err
		}
		if calls = append(calls, call); len(calls) == pricedCalls {
			if err := price(calls); err != nil {
				return nil, err
			}
			calls = calls[:0]
		}
	}
	if err := price(calls); err != nil {
		return nil, err
	}
	return sum.result(c.Worst), nil
}

func (d *Decks) row(kind Kind, name string, call PastCall, at time.Time) (Row, bool) {
	if kind == Trunk {
		return d.Trunk(name, call.Number, at)
	}
	return d.Retail(name, call.Number, at)
}

// pickDeck reads the part of a version that may price some calls, as if it had been in force since ever.
func pickDeck(ctx context.Context, tx *sqlx.Tx, v Version, calls []PastCall) (d Deck, err error) {
	if v.Number == 0 || len(calls) == 0 {
		return Deck{}, nil
	}
	if d.Spec, err = v.spec(); err != nil {
		return Deck{}, err
	}
	d.ActiveFrom, d.Version = time.Time{}, v.Number
	if d.Holidays, err = holidaysOf(ctx, tx, v.ID); err != nil {
		return Deck{}, err
	}
	var prefixes []string
	for _, call := range calls {
		digits := call.Number.Digits()
		for n := range min(len(digits), e164.MaxDigits) {
			prefixes = append(prefixes, digits[:n+1])
		}
	}
	slices.Sort(prefixes)
	d.Rows, err = queryRates(ctx, tx, selectRates+` AND prefix = ANY ($2)`+inOrder, v.ID, pq.Array(slices.Compact(prefixes)))
	return d, err
}

package tariff

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"telecommune/internal/money"
)

// Load reads all decks that can still matter to a call: versions in force, or in force up to an hour ago, for calls
// that a reload overtakes, and those to come.
func (s *Store) Load(ctx context.Context) (*Decks, error) { return s.Reload(ctx, nil) }

// Reload is Load that does not read again what the picture before, which may be nil, has: the rows of a version are written
// once and never changed.
func (s *Store) Reload(ctx context.Context, before *Decks) (*Decks, error) {
	return s.load(ctx, before, time.Now().Add(-time.Hour))
}

// LoadAt reads the decks that are in force at an instant or come into force later. Instants are cut to microseconds, as
// PostgreSQL keeps them; it would round.
func (s *Store) LoadAt(ctx context.Context, at time.Time) (*Decks, error) {
	return s.load(ctx, nil, at.Truncate(time.Microsecond))
}

func (s *Store) load(ctx context.Context, before *Decks, at time.Time) (*Decks, error) {
	if before == nil {
		before = NewDecks(nil)
	}
	var versions []Version
	err := s.db.SelectContext(ctx, &versions, `
		SELECT id, kind, name, version, currency, zone, active_from, ended_at FROM deck d
		WHERE active_from IS NOT NULL AND (ended_at IS NULL OR ended_at > $1) AND NOT EXISTS (
			SELECT FROM deck later WHERE later.kind = d.kind AND later.name = d.name AND later.active_from <= $1
				AND later.ended_at IS NULL AND (later.active_from, later.version) > (d.active_from, d.version))`, at)
	if err != nil {
		return nil, fmt.Errorf("load decks: %w", err)
	}
	editions := make([]edition, 0, len(versions))
	for _, v := range versions {
		e := edition{sheet: before.sheet(v), active: v.ActiveFrom.UTC()}
		if e.sheet == nil {
			if e.sheet, e.listing, err = s.sheet(ctx, v); err != nil {
				return nil, fmt.Errorf("load deck %s@%d: %w", v.Name, v.Number, err)
			}
		}
		editions = append(editions, e)
	}
	for _, b := range comebacks(versions) {
		e := editions[b.version]
		e.active = b.at
		editions = append(editions, e)
	}
	home, rates, err := s.exchangeRates(ctx)
	if err != nil {
		return nil, err
	}
	return newDecks(before, editions).In(home, rates), nil
}

// sheet finds a version that was loaded before.
func (d *Decks) sheet(v Version) *sheet {
	for _, known := range d.of(v.Kind).of(v.Name) {
		if known.number == v.Number {
			return known.sheet
		}
	}
	return nil
}

// sheet reads a version ready for look-ups. A row comes as one text, and what many prefixes have in common is read once:
// a million values by themselves would take the driver longer than the database.
func (s *Store) sheet(ctx context.Context, v Version) (_ *sheet, _ listing, err error) {
	deck, err := s.spec(ctx, v)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.db.QueryContext(ctx, `
		SELECT concat_ws(E'\t', prefix, rate_per_minute, connect_fee, interval_first, interval_next, grace_seconds,
			minimum_charge, rounding_unit, rounding_mode, effective_from, effective_to, time_window, allow_loss, destination)
		FROM rate WHERE deck_id = $1`, v.ID)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	var rows []term
	var entries []entry
	number := map[string]uint32{} // of the row that a text without its prefix stands for
	for found.Next() {
		var text sql.RawBytes
		if err := found.Scan(&text); err != nil {
			return nil, nil, err
		}
		prefix, rest, _ := bytes.Cut(text, []byte("\t"))
		n, ok := number[string(rest)]
		if !ok {
			row, err := readRow(string(rest))
			if err != nil {
				return nil, nil, fmt.Errorf("prefix %s: %w", prefix, err)
			}
			n = uint32(len(rows))
			rows, number[string(rest)] = append(rows, term{Row: row}), n
		}
		entries = append(entries, entry{keyOf(string(prefix)), n})
	}
	if err := found.Err(); err != nil {
		return nil, nil, err
	}
	sheet, listing := makeSheet(deck, rows, entries)
	return sheet, listing, nil
}

// readRow reads what the database tells of a row without its prefix. Destinations may have tabs.
func readRow(text string) (Row, error) {
	const fields = 13
	f := strings.SplitN(text, "\t", fields)
	if len(f) < fields {
		return Row{}, errors.New("not a row of a deck")
	}
	r := Row{RoundingMode: money.Mode(f[7]), Window: Window(f[10]), AllowLoss: f[11] == "t", Destination: f[12]}
	var bad []error
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		bad = append(bad, err)
		return n
	}
	r.RatePerMinute, r.ConnectFee = money.Amount(number(f[0])), money.Amount(number(f[1]))
	r.IntervalFirst, r.IntervalNext, r.GraceSeconds = int(number(f[2])), int(number(f[3])), int(number(f[4]))
	r.MinimumCharge, r.RoundingUnit = money.Amount(number(f[5])), money.Amount(number(f[6]))
	for i, into := range []*time.Time{&r.EffectiveFrom, &r.EffectiveTo} {
		if s := f[8+i]; strings.TrimPrefix(s, "-") != "infinity" {
			t, err := time.Parse("2006-01-02 15:04:05.999999-07", s) // ISO style, in UTC, as the driver asks for
			bad = append(bad, err)
			*into = t.UTC()
		}
	}
	return r, errors.Join(bad...)
}

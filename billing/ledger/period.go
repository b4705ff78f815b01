package ledger

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Period is a month of the commune's zone, written 2027-06. Periods compare as strings do. The zero value means "none".
type Period string

const monthOnly = "2006-01"

// ParsePeriod reads a month written 2027-06; anything else is ErrPeriod.
func ParsePeriod(s string) (Period, error) {
	if t, err := time.Parse(monthOnly, s); err != nil || t.Format(monthOnly) != s || t.Year() < 1 {
		return "", fmt.Errorf("%.20q: %w", s, ErrPeriod)
	}
	return Period(s), nil
}

// PeriodOf gives the month of a day.
func PeriodOf(d Date) Period { return Period(d[:max(0, len(d)-len("-01"))]) }

// First gives the first day of the month.
func (p Period) First() Date { return Date(p + "-01") }

// Last gives its last day.
func (p Period) Last() Date { return Date(p.next().AddDate(0, 0, -1).Format(time.DateOnly)) }

// Words gives the month for people, such as June 2027.
func (p Period) Words() string { return p.next().AddDate(0, -1, 0).Format("January 2006") }

// Next gives the month after it.
func (p Period) Next() Period { return Period(p.next().Format(monthOnly)) }

// Previous gives the month before it.
func (p Period) Previous() Period { return Period(p.next().AddDate(0, -2, 0).Format(monthOnly)) }

// AddMonths gives the month so many months after it, or before it if they are negative.
func (p Period) AddMonths(n int) Period { return Period(p.next().AddDate(0, n-1, 0).Format(monthOnly)) }

// MonthsBetween counts the months from one to another, negative if that is the earlier one.
func MonthsBetween(from, to Period) int {
	a, b := from.next(), to.next()
	return (b.Year()-a.Year())*12 + int(b.Month()-a.Month())
}

// next is the first day of the month after it. A period that is none gives year 1, which is always over.
func (p Period) next() time.Time {
	first, err := time.Parse(monthOnly, string(p))
	if err != nil {
		return time.Time{}
	}
	return first.AddDate(0, 1, 0)
}

// Seal is the end of the chain of hashes of a closed month.
type Seal []byte

// String writes a seal in hexadecimal digits.
func (s Seal) String() string { return hex.EncodeToString(s) }

// MarshalText writes a seal as String does.
func (s Seal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeal reads what String writes, or ErrSeal.
func ParseSeal(text string) (Seal, error) {
	seal, err := hex.DecodeString(text)
	if err != nil || len(seal) != sealSize {
		return nil, fmt.Errorf("%.80q: %w", text, ErrSeal)
	}
	return seal, nil
}

// Month is a period as the books have it.
type Month struct {
	Period   Period     `json:"period" db:"month"`
	State    string     `json:"state" db:"state"`     // open or closed
	Entries  int64      `json:"entries" db:"entries"` // that count in it
	ClosedAt *time.Time `json:"closed_at" db:"closed_at"`
	ClosedBy string     `json:"closed_by" db:"closed_by"`
	Seal     Seal       `json:"seal" db:"seal"` // none while it is open
}

// The states of a month.
const (
	Open   = "open"
	Closed = "closed"
)

// Periods lists the months from that of the first entry up to now, or to that of the last entry if it is dated later.
func Periods(ctx context.Context, db sqlx.QueryerContext, now time.Time) ([]Month, error) {
	months, err := periods(ctx, db, now)
	if err != nil {
		return nil, fmt.Errorf("periods: %w", err)
	}
	return months, nil
}

func periods(ctx context.Context, db sqlx.QueryerContext, now time.Time) ([]Month, error) {
	c, err := readCalendar(ctx, db, "")
	if err != nil {
		return nil, err
	}
	next, err := c.next(ctx, db, now)
	if err != nil {
		return nil, err
	}
	months := []Month{}
	err = sqlx.SelectContext(ctx, db, &months, `
		SELECT month, 'closed' AS state, entries, closed_at, closed_by, seal FROM period
		UNION ALL
		SELECT to_char(business_date, 'YYYY-MM'), 'open', count(*), NULL, '', ''::bytea FROM entry WHERE business_date >= $1::date
		GROUP BY 1
		ORDER BY 1`, string(c.OpenFrom))
	if err != nil {
		return nil, err
	}
	return withEmpty(months, next, PeriodOf(DateOf(now, c.location))), nil
}

// OpenPeriod gives the month that is closed next. now decides as long as there is no entry.
func OpenPeriod(ctx context.Context, db sqlx.QueryerContext, now time.Time) (Period, error) {
	c, err := readCalendar(ctx, db, "")
	if err != nil {
		return "", fmt.Errorf("open period: %w", err)
	}
	return c.next(ctx, db, now)
}

// withEmpty adds the open months without entry, from next to last.
func withEmpty(months []Month, next, last Period) []Month {
	var all []Month
	for _, m := range months {
		for m.State == Open && next < m.Period {
			all = append(all, Month{Period: next, State: Open})
			next = next.Next()
		}
		all = append(all, m)
		if m.State == Open {
			next = next.Next()
		}
	}
	for ; next <= last; next = next.Next() {
		all = append(all, Month{Period: next, State: Open})
	}
	return all
}

// Opening is the kind of the entry that books begin with which were kept elsewhere before.
const Opening = "opening"

// Begin makes a month the first of the books, once their opening is posted in it: no day before takes entries.
func Begin(ctx context.Context, tx *sqlx.Tx, first Period) error {
	if _, err := tx.ExecContext(ctx, `UPDATE commune SET open_from = $1::date`, string(first.First())); err != nil {
		return fmt.Errorf("begin the books: %w", err)
	}
	return nil
}

// readCalendar reads what the commune says of days. lock is "" or FOR UPDATE.
func readCalendar(ctx context.Context, db sqlx.QueryerContext, lock string) (*calendar, error) {
	var c calendar
	if err := sqlx.GetContext(ctx, db, &c, `SELECT zone, open_from FROM commune `+lock); err != nil {
		return nil, err
	}
	return &c, c.found()
}

// Calendar says which days take entries.
type Calendar struct {
	Zone *time.Location
	From Date   // the first day that is not closed
	Open Period // the month that is closed next
}

// LockCalendar reads the calendar and keeps it as it is until tx ends: no month is closed meanwhile, and nobody else has
// it locked. now decides which month is next as long as there is no entry. The locks are taken in the order of a close.
func LockCalendar(ctx context.Context, tx *sqlx.Tx, now time.Time) (Calendar, error) {
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, closeLock); err != nil {
		return Calendar{}, fmt.Errorf("calendar: %w", err)
	}
	c, err := readCalendar(ctx, tx, "FOR UPDATE")
	if err != nil {
		return Calendar{}, fmt.Errorf("calendar: %w", err)
	}
	next, err := c.next(ctx, tx, now)
	if err != nil {
		return Calendar{}, fmt.Errorf("calendar: %w", err)
	}
	return Calendar{Zone: c.location, From: c.OpenFrom, Open: next}, nil
}

// next is the month that is closed next: the one after the last closed, at first that of the first entry, now's before
// there is any.
func (c *calendar) next(ctx context.Context, db sqlx.QueryerContext, now time.Time) (Period, error) {
	if c.OpenFrom != always {
		return PeriodOf(c.OpenFrom), nil
	}
	var first Date
	err := sqlx.GetContext(ctx, db, &first, `SELECT COALESCE(min(business_date), $1::date) FROM entry`,
		string(DateOf(now, c.location)))
	return PeriodOf(first), err
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/money"
	"telecommune/internal/postgres"
)

// closeLock is the key of the advisory lock that a close holds alone and every posting shares (migration 00002).
const closeLock = 1668050803

// Order is an order to close a month.
type Order struct {
	Period Period
	Actor  string
	Now    time.Time // when it is given
	Early  bool      // also a month that is not over: what happens on its other days will count in the next
	DryRun bool      // find out what it comes to, and change nothing; also for a month that runs

	Progress func(doing string) // is told what is done next, if it is set: a close of many calls takes its time

	// Steps are done one after the other; each posts what it finds to be posted. None: the enterprises' results alone.
	Steps []Step
}

// Step is a part of a close.
type Step func(context.Context, *Closing) error

// Outcome is what a close came to.
type Outcome struct {
	Month

	Posted []Posted `json:"posted"` // what it posted, or would post; none when the month was closed before
}

var errDryRun = errors.New("dry run")

// Close closes a month: its steps post what there is to post on its last day, then its entries are sealed and none is
// taken any more. It happens whole or not at all, and however many programs close at once, it happens once: closing a
// closed month changes nothing and posts nothing. Postings wait while it lasts, so it is complete. ErrPeriodOpen for a
// month that is not the next, ErrPeriodRuns.
func Close(ctx context.Context, db *sqlx.DB, o Order) (Outcome, error) {
	if o.Steps == nil {
		o.Steps = []Step{EnterpriseResults}
	}
	var out Outcome
	err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) (err error) {
		out, err = o.close(ctx, tx)
		if err == nil && o.DryRun {
			return errDryRun
		}
		return err
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return Outcome{}, fmt.Errorf("close %s: %w", o.Period, err)
	}
	return out, nil
}

// LockBooks waits for the postings in flight, and keeps all others waiting until tx ends. It comes before LockCalendar.
func LockBooks(ctx context.Context, tx *sqlx.Tx) error {
	// New postings queue up behind one who waits for those in flight: not for long, he would rather try again.
	if _, err := tx.ExecContext(ctx, `SET LOCAL lock_timeout = '1s'`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, closeLock)
	return err
}

func (o Order) close(ctx context.Context, tx *sqlx.Tx) (Outcome, error) {
	if !o.DryRun {
		if err := LockBooks(ctx, tx); err != nil {
			return Outcome{}, err
		}
	}
	// The row's lock keeps the zone as it is, and closes apart whose steps post nothing.
	today, err := readCalendar(ctx, tx, "FOR UPDATE")
	if err != nil {
		return Outcome{}, err
	}
	next, err := today.next(ctx, tx, o.Now)
	switch {
	case err != nil:
		return Outcome{}, err
	case o.Period < next:
		return closedBefore(ctx, tx, o.Period)
	case o.Period > next:
		return Outcome{}, fmt.Errorf("%w: the next to close is %s", ErrPeriodOpen, next)
	case !o.Early && !o.DryRun && DateOf(o.Now, today.location) <= o.Period.Last():
		return Outcome{}, ErrPeriodRuns
	}
	c := &Closing{Tx: tx, Period: o.Period, From: today.OpenFrom, At: o.Now, Actor: o.Actor, Keys: "close:" + string(o.Period) + ":", progress: o.Progress}
	for _, step := range o.Steps {
		if err := step(ctx, c); err != nil {
			return Outcome{}, err
		}
	}
	out := Outcome{Month: Month{Period: o.Period, State: Open}, Posted: c.posted}
	if o.DryRun {
		return out, nil
	}
	c.Say("sealing the entries")
	chain, err := today.seal(ctx, tx, o.Period)
	if err != nil {
		return Outcome{}, fmt.Errorf("seal: %w", err)
	}
	err = tx.GetContext(ctx, &out.Month, `
		WITH moved AS (UPDATE commune SET open_from = $1::date)
		INSERT INTO period (month, closed_at, closed_by, entries, seal) VALUES ($2, $3, $4, $5, $6)
		RETURNING month, 'closed' AS state, entries, closed_at, closed_by, seal`,
		string(o.Period.Next().First()), o.Period, o.Now, o.Actor, chain.entries, chain.seal[:])
	return out, err
}

// closedBefore is the outcome of closing a month again. A month before the commune's first counts as closed.
func closedBefore(ctx context.Context, tx *sqlx.Tx, p Period) (Outcome, error) {
	out := Outcome{Month: Month{Period: p, State: Closed}, Posted: []Posted{}}
	var found []Month
	err := tx.SelectContext(ctx, &found, `
		SELECT month, 'closed' AS state, entries, closed_at, closed_by, seal FROM period WHERE month = $1`, p)
	if err == nil && len(found) == 1 {
		out.Month = found[0]
	}
	return out, err
}

// Closing is a close at work, as its steps see it.
type Closing struct {
	Tx     *sqlx.Tx
	Period Period
	From   Date      // the first day that was open until now; nothing is dated before it that is not closed already
	At     time.Time // when it happens
	Actor  string
	Keys   string // what the keys of its entries begin with

	posted   []Posted
	progress func(string)
}

// Say tells who waits for the close what is done next.
func (c *Closing) Say(doing string) {
	if c.progress != nil {
		c.progress(doing)
	}
}

// Post adds an entry dated the month's last day. key is one of its own among the entries of this close. Without lines
// there is no entry.
func (c *Closing) Post(ctx context.Context, key, kind, text string, lines []Line) error {
	if len(lines) == 0 {
		return nil
	}
	e := Entry{
		Key: c.Keys + key, Kind: kind, Text: text, Actor: c.Actor, At: c.At, Date: c.Period.Last(), Lines: lines,
	}
	id, err := Post(ctx, c.Tx, e)
	if err != nil {
		return err
	}
	c.posted = append(c.posted, Posted{
		ID: id, Key: e.Key, Kind: e.Kind, Text: e.Text, Actor: e.Actor, At: e.At, Date: e.Date, Lines: lines,
	})
	return nil
}

// Posted are the entries so far.
func (c *Closing) Posted() []uuid.UUID {
	ids := make([]uuid.UUID, len(c.posted))
	for i, p := range c.posted {
		ids[i] = p.ID
	}
	return ids
}

// EnterpriseResults is the step that closes the book of every enterprise.
func EnterpriseResults(ctx context.Context, c *Closing) error {
	var books []string
	if err := c.Tx.SelectContext(ctx, &books, `SELECT code FROM enterprise ORDER BY code COLLATE "C"`); err != nil {
		return err
	}
	for _, book := range books {
		c.Say("the result of " + book)
		if err := c.Result(ctx, book); err != nil {
			return err
		}
	}
	return nil
}

// Result brings what an enterprise earned and spent up to the month's last day, 4xxx and 5xxx, to its retained result
// 3900, in one entry (scenario format 7.8). Each close did so, so the balances are what was posted since.
func (c *Closing) Result(ctx context.Context, book string) error {
	var balances []struct {
		Account string       `db:"account"`
		Balance money.Amount `db:"balance"`
	}
	err := c.Tx.SelectContext(ctx, &balances, `
		SELECT l.account, sum(l.amount)::bigint AS balance
		FROM entry e JOIN line l ON l.entry_id = e.id
		WHERE e.business_date BETWEEN $2::date AND $3::date AND l.book = $1 AND left(l.account, 1) IN ('4', '5')
		GROUP BY l.account HAVING sum(l.amount) <> 0
		ORDER BY l.account COLLATE "C"`, book, string(c.From), string(c.Period.Last()))
	if err != nil {
		return fmt.Errorf("result of %s: %w", book, translate(err))
	}
	var lines []Line
	var result money.Amount
	for _, b := range balances {
		lines = append(lines, Line{book, b.Account, -b.Balance})
		if result, err = result.Add(b.Balance); err != nil {
			return fmt.Errorf("result of %s: %w", book, err)
		}
	}
	if result != 0 {
		lines = append(lines, Line{book, "3900", result})
	}
	return c.Post(ctx, "result:"+book, "close", fmt.Sprintf("Result of %s %s", book, c.Period), lines)
}

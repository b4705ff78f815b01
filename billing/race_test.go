package billing_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// authoriser is Service.Authorise, or the naive one below.
type authoriser func(context.Context, billing.Request) (billing.Hold, error)

// bounds are what lets one call of a minute through, and no second one, with what the others are told.
var bounds = []struct {
	name    string
	credit  money.Amount
	limits  billing.Limits
	refused error
}{
	{"credit", 6 * money.Cent, billing.Limits{}, billing.ErrInsufficientCredit},
	{"calls at once", money.Unit, billing.Limits{MaxCalls: 1}, billing.ErrTooManyCalls},
	{"an hour", money.Unit, billing.Limits{MaxPerHour: 6 * money.Cent}, billing.ErrSpendLimit},
	{"a day", money.Unit, billing.Limits{MaxPerDay: 6 * money.Cent}, billing.ErrSpendLimit},
}

// racers is how many calls race.
func racers() int {
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		return 200
	}
	return 8
}

func TestCallsAtOnceDontSpendTwice(t *testing.T) {
	h := newHouse(t)
	authorise := twoPrograms(t, h)
	for i, b := range bounds {
		t.Run(b.name, func(t *testing.T) {
			for round := range 20 {
				code := fmt.Sprintf("race-%d-%d", i, round)
				h.limited(t, code, b.credit, b.limits)
				if n := admitted(t, h, code, racers(), authorise, b.refused); n != 1 {
					t.Errorf("round %d: %d of %d calls admitted where there is room for one", round, n, racers())
				}
			}
		})
	}
	h.wantBooks(t)
}

// A call that ends takes its price from what is held to what was charged. Whoever authorises meanwhile sees it in one of
// the two.
func TestEndOfACallMakesNoRoom(t *testing.T) {
	h := newHouse(t)
	authorise := twoPrograms(t, h)
	for round := range 20 {
		code := fmt.Sprintf("end-%d", round)
		if n := admittedAtAnEnd(t, h, code, racers(), authorise); n != 0 {
			t.Errorf("round %d: %d of %d calls admitted when all was spent", round, n, racers())
		}
		h.wantAccount(t, code, money.Unit-6*money.Cent, 0)
	}
	h.wantBooks(t)
}

// The two tests above must be able to fail: here what runs and what was spent is looked up with the eyes of the statement,
// which sees it as it was before it waited.
func TestRaceFindsStaleEyes(t *testing.T) {
	h := newHouse(t)
	pgtest.Owner(t, h.db).MustExec(`ALTER FUNCTION calls_at_once(text) STABLE; ALTER FUNCTION charged(text, interval) STABLE`)
	atOnce := bounds[1]
	for name, passes := range map[string]func(code string) bool{
		"calls at once": func(code string) bool {
			h.limited(t, code, atOnce.credit, atOnce.limits)
			return admitted(t, h, code, 8, h.Authorise, atOnce.refused) > 1
		},
		"a call that ends": func(code string) bool {
			return admittedAtAnEnd(t, h, code, 8, h.Authorise) > 0
		},
	} {
		found := false
		for round := 0; round < 500 && !found; round++ {
			found = passes(fmt.Sprintf("stale-%d-%d", len(name), round))
		}
		if !found {
			t.Errorf("%s: 500 rounds of stale eyes without one call too many: the race is no race", name)
		}
	}
}

// The first test must be able to fail for the credit too: this does what it forbids.
func TestRaceFindsReadBeforeWrite(t *testing.T) {
	h := newHouse(t)
	naive := func(ctx context.Context, r billing.Request) (billing.Hold, error) {
		var b struct{ Balance, Held money.Amount }
		err := h.db.GetContext(ctx, &b, `SELECT balance, held FROM balance WHERE account = $1`, billing.CreditAccount(r.Account))
		if err != nil {
			return billing.Hold{}, err
		}
		price, err := r.Rate.Price(r.CallLimit)
		if err != nil || b.Balance-b.Held < price {
			return billing.Hold{}, errors.Join(err, billing.ErrInsufficientCredit)
		}
		_, err = h.db.ExecContext(ctx, `UPDATE balance SET held = $2 WHERE account = $1`,
			billing.CreditAccount(r.Account), b.Held+price)
		return billing.Hold{}, err
	}
	for round := range 500 {
		code := fmt.Sprintf("naive-%d", round)
		h.account(t, code, 6*money.Cent)
		if admitted(t, h, code, 8, naive, billing.ErrInsufficientCredit) > 1 {
			return
		}
	}
	t.Error("500 rounds of a naive authorise without one double spending: the race is no race")
}

// twoPrograms authorises now by h, now by another program that has a pool of its own.
func twoPrograms(t *testing.T, h house) authoriser {
	t.Helper()
	pool, _ := throughLine(t, h.db)
	other := onDatabase(t, pool, h.spool, "node-2")
	warm(t, pool, racers()/2)
	var turn atomic.Int64
	return func(ctx context.Context, r billing.Request) (billing.Hold, error) {
		if turn.Add(1)%2 == 0 {
			return other.Authorise(ctx, r)
		}
		return h.Authorise(ctx, r)
	}
}

// admittedAtAnEnd lets racers calls start at the moment at which one ends that cost all that its account may spend, and
// tells how many got through.
func admittedAtAnEnd(t *testing.T, h house, code string, racers int, authorise authoriser) int {
	t.Helper()
	h.limited(t, code, money.Unit, billing.Limits{MaxPerHour: 6 * money.Cent, MaxPerDay: 7 * money.Cent})
	ending := request(code, 60)
	if _, err := h.Authorise(t.Context(), ending); err != nil {
		t.Fatal(err)
	}
	return admitted(t, h, code, racers, func(ctx context.Context, r billing.Request) (billing.Hold, error) {
		if r.Call != ending.Call {
			return authorise(ctx, r)
		}
		if err := h.Settle(ctx, settlement(r.Call, time.Minute)); err != nil {
			return billing.Hold{}, err
		}
		return billing.Hold{}, billing.ErrSpendLimit // it is no racer
	}, billing.ErrSpendLimit, ending)
}

// admitted starts racers calls of one minute at the same moment, beside others, and tells how many got through. The
// others are refused for one reason.
func admitted(t *testing.T, h house, code string, racers int, authorise authoriser, refused error, beside ...billing.Request) int {
	t.Helper()
	warm(t, h.db, racers)
	requests := beside
	for range racers {
		requests = append(requests, request(code, 60))
	}
	n, errs := race(t.Context(), requests, authorise)
	for _, err := range errs {
		if !errors.Is(err, refused) {
			t.Errorf("%s: %v, want %v", code, err, refused)
		}
	}
	return n
}

// race authorises requests, all at the same moment.
func race(ctx context.Context, requests []billing.Request, authorise authoriser) (admitted int, refused []error) {
	errs := make([]error, len(requests))
	start := make(chan struct{})
	var racing sync.WaitGroup
	for i, r := range requests {
		racing.Go(func() {
			<-start
			_, errs[i] = authorise(ctx, r)
		})
	}
	close(start)
	racing.Wait()
	refused = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return len(requests) - len(refused), refused
}

// warm opens as many connections as the racers can use: on a cold pool they would come one after the other.
func warm(t *testing.T, db *sqlx.DB, racers int) {
	t.Helper()
	if err := warmUp(t.Context(), db, racers); err != nil {
		t.Fatal(err)
	}
}

func warmUp(ctx context.Context, db *sqlx.DB, racers int) error {
	conns := make([]*sql.Conn, min(racers, db.Stats().MaxOpenConnections))
	for i := range conns {
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		conns[i] = c
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

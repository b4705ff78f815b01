package billing_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/internal/money"
)

// authoriser is Service.Authorise, or the naive one below.
type authoriser func(context.Context, billing.Request) (billing.Hold, error)

func TestCallsAtOnceDontSpendTwice(t *testing.T) {
	racers := 2
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		racers = 200
	}
	h := newHouse(t)
	// Two programs with a pool each.
	pool, _ := throughLine(t, h.db)
	other := onDatabase(t, pool, h.spool, "node-2")
	warm(t, pool, racers/2)
	var turn atomic.Int64
	authorise := func(ctx context.Context, r billing.Request) (billing.Hold, error) {
		if turn.Add(1)%2 == 0 {
			return other.Authorise(ctx, r)
		}
		return h.Authorise(ctx, r)
	}
	for round := range 20 {
		if n := admitted(t, h, round, racers, authorise); n != 1 {
			t.Errorf("round %d: %d of %d calls admitted on credit for one", round, n, racers)
		}
	}
	h.wantBooks(t)
}

// The test above must be able to fail: this does what it forbids.
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
		if admitted(t, h, round, 8, naive) > 1 {
			return
		}
	}
	t.Error("500 rounds of a naive authorise without one double spending: the race is no race")
}

// admitted starts racers calls at the same moment on an account with credit for one minute, each of one minute, and
// tells how many got through.
func admitted(t *testing.T, h house, round, racers int, authorise authoriser) int {
	t.Helper()
	code := fmt.Sprintf("race-%d", round)
	h.account(t, code, 6*money.Cent)
	warm(t, h.db, racers)
	requests := make([]billing.Request, racers)
	for i := range requests {
		requests[i] = request(code, 60)
	}
	var got struct {
		sync.Mutex
		n int
	}
	start := make(chan struct{})
	var racing sync.WaitGroup
	for _, r := range requests {
		racing.Go(func() {
			<-start
			_, err := authorise(t.Context(), r)
			got.Lock()
			defer got.Unlock()
			switch {
			case err == nil:
				got.n++
			case !errors.Is(err, billing.ErrInsufficientCredit):
				t.Errorf("round %d: %v", round, err)
			}
		})
	}
	close(start)
	racing.Wait()
	return got.n
}

// warm opens as many connections as the racers can use: on a cold pool they would come one after the other.
func warm(t *testing.T, db *sqlx.DB, racers int) {
	t.Helper()
	conns := make([]*sql.Conn, min(racers, db.Stats().MaxOpenConnections))
	for i := range conns {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

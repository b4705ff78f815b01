package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/statement"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// billFigure is a line of `bench statement`.
type billFigure struct {
	Calls    int     `json:"calls"`
	Measured string  `json:"measured"`
	Millis   int64   `json:"ms"`
	Bytes    int64   `json:"bytes"`
	Ratio    float64 `json:"ratio"` // to the bill as text
}

const billRounds = 5

func benchStatement() *cobra.Command {
	var calls int
	c := &cobra.Command{
		Use:   "statement",
		Short: "Measure the making of a long bill, in a database of its own that goes afterwards.",
		Long: `Measure the making of a long bill, in a database of its own that goes afterwards.

The calls go to 60 destinations through holds and settlement as real ones do, which takes the most time and is not
measured. "read" makes the bill from the database and checks it against the books, the others write it. The figures are
medians of rounds in turn.`,
		Example: "  telecommune bench statement --calls 10000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if calls > 1_000_000 {
				return usagef("--calls %d: want 1 to 1000000", calls)
			}
			dir, err := demoState()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			c := Config{State: dir, Node: "bench"}
			db, err := openDB(cmd.Context(), c, false, quiet())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			service, err := newBilling(cmd.Context(), db, make([]byte, keyBytes), c, nil, quiet())
			if err != nil {
				return err
			}
			period, err := callALot(cmd.Context(), service, calls)
			if err != nil {
				return err
			}
			read := func() (statement.Statement, error) {
				return statement.Make(cmd.Context(), db.DB, "bench", period, time.Now())
			}
			return lists(billFigures(calls, read))(cmd)
		},
	}
	calls = 10_000
	parsedFlag(c.Flags(), &calls, "calls", parsePositive, "`NUMBER` of calls on the bill")
	return c
}

// callALot has an account make calls, and gives the month in which they count.
func callALot(ctx context.Context, service *billing.Service, calls int) (statement.Period, error) {
	_, err := service.AddAccount(ctx, billing.NewAccount{Code: "bench", Name: "Bench", CallLimit: 600})
	if err == nil {
		_, err = service.TopUp(ctx, billing.TopUp{Account: "bench", Amount: 1_000_000 * money.Unit, Text: "Top-up"})
	}
	if err != nil {
		return statement.Period{}, err
	}
	const atOnce = 32
	now := time.Now().UTC()
	work, failed := make(chan int), make([]error, atOnce)
	var callers sync.WaitGroup
	for n := range atOnce {
		callers.Go(func() {
			for i := range work {
				if failed[n] == nil {
					failed[n] = callOnce(ctx, service, i, now)
				}
			}
		})
	}
	for i := range calls {
		work <- i
	}
	close(work)
	callers.Wait()
	return statement.PeriodOf(now), errors.Join(failed...)
}

func callOnce(ctx context.Context, service *billing.Service, i int, ended time.Time) error {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	destination := random.IntN(60)
	answered := time.Duration(1+random.IntN(590)) * time.Second
	row := tariff.Retail.Defaults()
	row.Prefix, row.Destination, row.Deck, row.Currency = fmt.Sprintf("38%03d", destination), fmt.Sprintf("Destination %d", destination), "retail@1", "EUR"
	row.RatePerMinute, row.IntervalFirst, row.IntervalNext = 19_000+money.Amount(destination)*100, 60, 6
	cost := tariff.Trunk.Defaults()
	cost.Prefix, cost.RatePerMinute, cost.Deck, cost.Currency = row.Prefix, 8_000, "alpha@1", "EUR"
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = service.Authorise(ctx, billing.Request{
		Origin:  billing.Origin{Call: id, AccessCall: id, Started: ended.Add(-answered - 5*time.Second)},
		Account: "bench", Number: e164.Number(fmt.Sprintf("+%s%07d", row.Prefix, random.IntN(10_000_000))),
		Rate: row, VAT: 19_000_000, CallLimit: 600,
	})
	if err != nil {
		return err
	}
	return service.Settle(ctx, billing.Settlement{
		Call: id, Trunk: "alpha", Carrier: "acme", Cost: cost, AnsweredAt: ended.Add(-answered), Answered: answered,
		Ended: ended, Outcome: billing.Answered, SIP: 200, Q850: 16,
	})
}

// billFigures measures reading and each of the formats, in turns.
func billFigures(calls int, read func() (statement.Statement, error)) ([]billFigure, error) {
	bill, err := read()
	if err != nil {
		return nil, err
	}
	names := []string{"text", "html", "pdf", formatCSV, formatJSON}
	figures := []billFigure{{Calls: calls, Measured: "read"}}
	contenders := []*contender{{do: func(int) {
		_, again := read()
		err = errors.Join(err, again)
	}}}
	for i, name := range names {
		figures = append(figures, billFigure{Calls: calls, Measured: name})
		contenders = append(contenders, &contender{do: func(int) {
			size := counter(0)
			err = errors.Join(err, bills[name](bill, &size))
			figures[i+1].Bytes = int64(size)
		}})
	}
	race(billRounds, 1, contenders...)
	text := median(contenders[1+slices.Index(names, "text")].took)
	for i, c := range contenders {
		took := median(c.took)
		figures[i].Millis, figures[i].Ratio = took.Milliseconds(), ratio(int64(took), int64(text))
	}
	return figures, err
}

// counter counts what is written to it.
type counter int64

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

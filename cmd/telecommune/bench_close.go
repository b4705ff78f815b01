package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// closeFigure is a line of `bench close`.
type closeFigure struct {
	Measured  string  `json:"measured"`
	Members   int     `json:"members"`
	Calls     int     `json:"calls"`
	Assets    int     `json:"assets"`
	Seconds   float64 `json:"seconds"`
	Megabytes int64   `json:"megabytes"` // that the program had taken from the system by then, the server's not counted
}

func benchClose() *cobra.Command {
	var size closeFigure
	c := &cobra.Command{
		Use:   "close",
		Short: "Measure the close of a month of the commune: usage, rents, split, results, seal.",
		Long: `Measure the close of a month of the commune: usage, rents, split, results, seal.

It fills a database of its own with members, trunks that are let, and a month of calls over them, each with its usage; then
it looks at what the close would come to, and closes. Postings wait during the close.`,
		Example: "  telecommune bench close --members 10000 --calls 1000000",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var figures []closeFigure
			err := withScratch(cmd.Context(), func(db scratch) (err error) {
				figures, err = closeFigures(cmd.Context(), db, size)
				return err
			})
			if err != nil {
				return err
			}
			return list(cmd, figures)
		},
	}
	size = closeFigure{Members: 10_000, Calls: 1_000_000, Assets: 8}
	parsedFlag(c.Flags(), &size.Members, "members", parsePositive, "`NUMBER` of members")
	parsedFlag(c.Flags(), &size.Calls, "calls", parsePositive, "`NUMBER` of calls")
	parsedFlag(c.Flags(), &size.Assets, "assets", parsePositive, "`NUMBER` of trunks that they go over, at most 8 of them used")
	return c
}

func closeFigures(ctx context.Context, db scratch, size closeFigure) ([]closeFigure, error) {
	if err := daysOfCalls(ctx, db.owner, 31, size.Calls); err != nil {
		return nil, err
	}
	if err := letTrunks(ctx, db, size); err != nil {
		return nil, err
	}
	s := commune.NewStore(db.app)
	order := ledger.Order{Period: "2027-01", Actor: "bench", Now: time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC)}
	var figures []closeFigure
	for _, f := range []struct {
		measured string
		dry      bool
	}{{"dry run", true}, {"close", false}} {
		order.DryRun = f.dry
		start := time.Now()
		out, err := s.Close(ctx, order)
		if err != nil {
			return nil, err
		}
		if len(out.Figures.Dividends) != size.Members {
			return nil, fmt.Errorf("%d dividends for %d members", len(out.Figures.Dividends), size.Members)
		}
		line := size
		line.Measured, line.Seconds = f.measured, math.Round(100*time.Since(start).Seconds())/100
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		line.Megabytes = int64(memory.Sys >> 20)
		figures = append(figures, line)
	}
	return figures, nil
}

// letTrunks makes the members, and the trunks that the calls went over: given, let to CALL, their rent ordered to be paid.
func letTrunks(ctx context.Context, db scratch, size closeFigure) error {
	at := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, q := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO member (code) SELECT 'm-' || i FROM generate_series(1, $1) AS i`, []any{size.Members}},
		{`INSERT INTO contribution (key, member, day, kind) SELECT code, code, '2026-01-01', 'founding' FROM member`, nil},
		{`INSERT INTO share (member, issued_on, contribution) SELECT code, '2026-01-01', code FROM member`, nil},
		{`INSERT INTO asset_usage (key, asset, enterprise, day, units)
		  SELECT key, 'trunk-' || row_number() OVER (ORDER BY id) % LEAST($1::integer, 8), 'CALL', business_date, 61 FROM entry`, []any{size.Assets}},
		{`VACUUM ANALYZE asset_usage, share`, nil},
	} {
		if _, err := db.owner.ExecContext(ctx, q.statement, q.args...); err != nil {
			return fmt.Errorf("make the members: %w", err)
		}
	}
	return commune.NewStore(db.app).Do(ctx, func(c *commune.Commune) error {
		_, err := ledger.Post(ctx, c.Tx(), ledger.Entry{Key: "cash", Kind: "topup", At: at, Lines: []ledger.Line{
			ledger.Debit("CALL", "1000", 1e9*money.Unit), ledger.Credit("CALL", "3900", 1e9*money.Unit),
		}})
		for i := range size.Assets {
			act := func(kind string) commune.Act {
				return commune.Act{Key: fmt.Sprint(kind, i), Actor: "bench", At: at, Date: "2027-01-01"}
			}
			trunk, agreement := fmt.Sprint("trunk-", i), fmt.Sprint("R", i)
			err = errors.Join(err,
				c.AcceptGift(ctx, act("gift"), commune.Gift{
					Value: 1000 * money.Unit, Thing: commune.Thing{Asset: trunk, Kind: "trunk", Life: 48, Meter: commune.Seconds},
					Agreement: &commune.Offered{Code: agreement, Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 100 * money.Unit, Rate: 3000}},
				}),
				c.PayRent(ctx, act("pay"), commune.RentPayment{Agreement: agreement, Period: "2027-01"}))
		}
		return err
	})
}

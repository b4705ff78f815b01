package billing

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/billing/commune"
	"telecommune/internal/postgres"
)

var assetsSQL = postgres.Prepared(`SELECT code, asset FROM trunk WHERE code = ANY ($1) AND asset IS NOT NULL`)

// meter writes down the use of assets by calls that are settled: the seconds that the month's rent is reckoned by
// (economics.md T-03). Most trunks are no assets, and then this is one look at the trunks of the group.
func meter(ctx context.Context, tx *sqlx.Tx, ends []end, rows []closedCall) error {
	var trunks []string
	for _, r := range rows {
		if r.Answered > 0 && r.Trunk != "" {
			trunks = append(trunks, r.Trunk)
		}
	}
	if len(trunks) == 0 {
		return nil
	}
	var owned []struct {
		Trunk string `db:"code"`
		Asset string `db:"asset"`
	}
	err := tx.SelectContext(ctx, &owned, assetsSQL, pq.Array(trunks))
	if err != nil {
		return fmt.Errorf("assets of trunks: %w", err)
	}
	assets := map[string]string{}
	for _, t := range owned {
		assets[t.Trunk] = t.Asset
	}
	var carried []commune.Carried
	for i, r := range rows {
		asset, is := assets[r.Trunk]
		if !is || r.Answered == 0 {
			continue
		}
		use := commune.Carried{
			Key: "call:" + r.ID.String(), Asset: asset, Enterprise: ends[i].held.Book, Seconds: int64(r.Answered), Ended: r.EndedAt,
		}
		if r.Entry != nil {
			use.Entry = r.Entry.String()
		}
		carried = append(carried, use)
	}
	if len(carried) == 0 {
		return nil
	}
	if err := commune.MeterCalls(ctx, tx, carried...); err != nil {
		return fmt.Errorf("use of assets: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func bondCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bond",
		Short: "Auction the bonds that buy an asset, and see who holds them.",
	}
	c.AddCommand(bondAuction(), bondList(), bondShow(), bondBids(), bondHolders(), bondStatement(), bondDefault())
	return c
}

func bondDefault() *cobra.Command {
	c := &cobra.Command{
		Use:   "default SERIES",
		Short: "Give an asset up for its bondholders: its rent did not come, nobody else rents it, and they lack a coupon.",
		Long: `Give an asset up for its bondholders: its rent did not come, nobody else rents it, and they lack a coupon.

It can then be sold ("telecommune asset sell"). It is refused before its day ("telecommune commune policy list").`,
		Example: "  telecommune bond default S1",
		Args:    takes(1),
	}
	return acting(c, func(d *doing) error { return d.Default(d.ctx, d.act, d.args[0]) },
		func(d *doing) (commune.Issue, error) { return d.s.commune.Issue(d.ctx, d.args[0]) })
}

func bondAuction() *cobra.Command {
	o := commune.Offer{Unit: money.Unit}
	var bids string
	c := &cobra.Command{
		Use:   "auction SERIES",
		Short: "Sell bonds for a requested asset to the lowest rates that are bid; everybody gets the one rate that clears.",
		Long: `Sell bonds for a requested asset to the lowest rates that are bid; everybody gets the one rate that clears.

The bids are a CSV file with the columns bidder, rate_bps and amount: sealed bids with their deposits paid, in the order in
which they came. The lowest rates are taken until the offer is reached; at the last rate bids are cut in proportion. Bids
that don't reach the offer at the cap make it a failed auction: all deposits go back, and the asset may be asked for again.

It is refused when the rent that is guaranteed would not carry redemption and interest at the cap, or when the bonds would
outlive the asset.`,
		Example: "  telecommune bond auction S1 --asset alpha --offer 120.00 --cap-bps 800 --term 12 --bids docs/examples/bond-bids.csv",
		Args:    takes(1),
	}
	c.Flags().StringVar(&o.Asset, "asset", "", "`CODE` of the asset that was requested")
	parsedFlag(c.Flags(), &o.Offer, "offer", parsePrice, "`AMOUNT` to be borrowed")
	parsedFlag(c.Flags(), &o.CapBPS, "cap-bps", parseCount, "highest rate a year in `BASIS-POINTS`: 800 is 8 %")
	parsedFlag(c.Flags(), &o.Unit, "unit", parsePrice, "`AMOUNT` of one bond")
	parsedFlag(c.Flags(), &o.Term, "term", parsePositive, "`MONTHS` over which they are redeemed")
	c.Flags().StringVar(&bids, "bids", "", "`FILE` with the bids")
	require(c, "asset", "offer", "cap-bps", "term", "bids")
	var out commune.Auction
	acting(c, func(d *doing) (err error) {
		o.Series = d.args[0]
		if o.Bids, err = readFile(bids, commune.ReadBids); err != nil {
			return err
		}
		out, err = d.AuctionBonds(d.ctx, d.act, o)
		return err
	}, func(*doing) (commune.Auction, error) { return out, nil })
	do := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := do(cmd, args); err != nil || outputFormat(cmd) != formatTable {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout())
		return list(cmd, allotments(out))
	}
	return c
}

// allotment is a line of what an auction came to, for people.
type allotment struct {
	Bidder   string       `json:"bidder"`
	Allotted money.Amount `json:"allotted"`
	Refunded money.Amount `json:"refunded"`
}

func allotments(a commune.Auction) (rows []allotment) {
	bidders := maps.Clone(a.Allotted)
	maps.Copy(bidders, a.Refunds)
	for _, b := range slices.Sorted(maps.Keys(bidders)) {
		rows = append(rows, allotment{b, a.Allotted[b], a.Refunds[b]})
	}
	return rows
}

func bondList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the series of bonds, with what is outstanding.",
		Example: "  telecommune bond list",
	}
	return listing(c, func(ctx context.Context, s services, _ ledger.Date) ([]commune.Issue, error) {
		return s.commune.Issues(ctx)
	})
}

func bondShow() *cobra.Command {
	c := &cobra.Command{
		Use:     "show SERIES",
		Short:   "Show a series of bonds.",
		Example: "  telecommune bond show S1",
	}
	return showing(c, func(ctx context.Context, s services, _ ledger.Date, code string) (commune.Issue, error) {
		return s.commune.Issue(ctx, code)
	})
}

func bondBids() *cobra.Command {
	return &cobra.Command{
		Use:     "bids SERIES",
		Short:   "List all bids of an auction of bonds without names, as they are published.",
		Example: "  telecommune bond bids S1",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.commune.Bids(ctx, args[0]))(cmd)
			})
		},
	}
}

func bondHolders() *cobra.Command {
	var series, holder string
	c := &cobra.Command{
		Use:     "holders",
		Short:   "List who holds bonds: what is outstanding, was redeemed and paid as interest.",
		Example: "  telecommune bond holders --holder X",
	}
	c.Flags().StringVar(&series, "series", "", "`CODE` of a series")
	c.Flags().StringVar(&holder, "holder", "", "`CODE` of a holder")
	return listing(c, func(ctx context.Context, s services, _ ledger.Date) ([]commune.Holding, error) {
		return s.commune.Holdings(ctx, series, holder)
	})
}

func bondStatement() *cobra.Command {
	c := &cobra.Command{
		Use:     "statement HOLDER",
		Short:   "Show a holder what he lent and what became of it, entry by entry.",
		Example: "  telecommune bond statement xenia\n  telecommune bond statement xenia -o html --file xenia.html",
		Args:    takes(1),
	}
	return documenting(c, func(ctx context.Context, s services, args []string) (commune.HolderStatement, error) {
		return s.commune.HolderStatement(ctx, args[0])
	})
}

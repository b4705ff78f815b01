package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func assetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "asset",
		Short: "Look after what the commune owns: asked for, bought with bonds, let, sold.",
	}
	c.AddCommand(assetRequest(), assetAcquire(), assetGift(), assetUse(), assetReport(), assetWaive(), assetLet(), assetSell(), assetList(), assetShow(), assetLife())
	return c
}

// thingFlags are those of what an asset is.
type thingFlags struct {
	kind string
	life int
}

func (f *thingFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.kind, "kind", "", "`WORD` for what it is: trunk, server, handset")
	c.Flags().Var(&choice{string(commune.None), []string{string(commune.Seconds), string(commune.Quantity), string(commune.None)}}, "meter",
		"`METER` of its use: seconds of calls, a quantity that is reported, or none")
	parsedFlag(c.Flags(), &f.life, "life", parsePositive, "`MONTHS` of useful life")
	require(c, "kind", "life")
}

func (f *thingFlags) thing(c *cobra.Command, code string) commune.Thing {
	return commune.Thing{Asset: code, Kind: f.kind, Life: f.life, Meter: commune.Meter(c.Flag("meter").Value.String())}
}

// termFlags are those of a rental agreement.
type termFlags struct {
	code, included string
	lessee         commune.Lessee
	terms          commune.Terms
}

func (f *termFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.code, "agreement", "", "`CODE` of the rental agreement")
	c.Flags().StringVar(&f.lessee.Enterprise, "lessee", "", "`CODE` of the enterprise that rents it")
	c.Flags().StringVar(&f.lessee.Member, "lessee-member", "", "`CODE` of the member who rents it")
	f.addTerms(c)
	c.MarkFlagsMutuallyExclusive("lessee", "lessee-member")
}

func (f *termFlags) addTerms(c *cobra.Command) {
	parsedFlag(c.Flags(), &f.terms.Fixed, "fixed", parseLimit, "`AMOUNT` a month")
	parsedFlag(c.Flags(), &f.terms.Minimum, "minimum", parseLimit, "least `AMOUNT` a month")
	parsedFlag(c.Flags(), &f.terms.Rate, "rate", parseLimit, "`AMOUNT` a minute, or a unit of quantity")
	c.Flags().StringVar(&f.included, "included", "", "`SECONDS` or quantity that the fixed part includes")
}

func (f *termFlags) offered(meter commune.Meter) (o commune.Offered, err error) {
	o = commune.Offered{Code: f.code, Lessee: f.lessee, Terms: f.terms}
	o.Included, err = parseUnits(meter, f.included)
	return o, err
}

// parseUnits reads whole seconds, or a quantity with up to six decimals.
func parseUnits(meter commune.Meter, s string) (int64, error) {
	n, err := commune.ParseUnits(meter, s)
	if err != nil {
		err = usageError{err}
	}
	return n, err
}

func assetRequest() *cobra.Command {
	var q commune.Request
	var thing thingFlags
	var terms termFlags
	c := &cobra.Command{
		Use:   "request CODE",
		Short: "File a member's request for something, with its price by a quote and the rental agreement that is offered for it.",
		Long: `File a member's request for something, with its price by a quote and the rental agreement that is offered for it.

The commune acquires on request only. The agreement's guaranteed rent must carry the bonds: "telecommune bond auction"
tests that. Nothing is paid yet.`,
		Example: `  telecommune asset request alpha --member anna --kind trunk --price 120.00 --life 24 --meter seconds --agreement RA --lessee CALL --fixed 11.00 --rate 0.003`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&q.Member, "member", "", "`CODE` of the member who asks for it")
	parsedFlag(c.Flags(), &q.Price, "price", parsePrice, "`AMOUNT` of the quote")
	thing.add(c)
	terms.add(c)
	require(c, "member", "price", "agreement")
	c.MarkFlagsOneRequired("lessee", "lessee-member")
	return acting(c, func(d *doing) (err error) {
		q.Thing = thing.thing(c, d.args[0])
		if q.Agreement, err = terms.offered(q.Meter); err != nil {
			return err
		}
		return d.RequestAsset(d.ctx, d.act, q)
	}, shownAsset)
}

func shownAsset(d *doing) (commune.Held, error) { return d.s.commune.Asset(d.ctx, d.day, d.args[0]) }

func assetAcquire() *cobra.Command {
	var cost money.Amount
	c := &cobra.Command{
		Use:     "acquire CODE",
		Short:   "Buy a requested asset with the money its bonds brought; what is left redeems bonds. Its agreement starts.",
		Example: "  telecommune asset acquire alpha --cost 118.50",
		Args:    takes(1),
	}
	parsedFlag(c.Flags(), &cost, "cost", parsePrice, "`AMOUNT` it cost with delivery (default: the price of the quote)")
	return acting(c, func(d *doing) error { return d.Acquire(d.ctx, d.act, d.args[0], cost) }, shownAsset)
}

func assetGift() *cobra.Command {
	var g commune.Gift
	var thing thingFlags
	var terms termFlags
	c := &cobra.Command{
		Use:     "gift CODE",
		Short:   "Take over something that is given to the commune, and let it if an agreement comes with it.",
		Example: `  telecommune asset gift disk --kind server --value 300.00 --life 36 --meter quantity --agreement RD --lessee CALL --rate 0.05`,
		Args:    takes(1),
	}
	parsedFlag(c.Flags(), &g.Value, "value", parsePrice, "`AMOUNT` it is worth")
	thing.add(c)
	terms.add(c)
	require(c, "value")
	c.MarkFlagsRequiredTogether("agreement", "lessee")
	return acting(c, func(d *doing) error {
		g.Thing = thing.thing(c, d.args[0])
		if terms.code != "" {
			o, err := terms.offered(g.Meter)
			if err != nil {
				return err
			}
			g.Agreement = &o
		}
		return d.AcceptGift(d.ctx, d.act, g)
	}, shownAsset)
}

// waivedShown is what `asset waive` shows.
type waivedShown struct {
	Asset  string `json:"asset"`
	Waived int    `json:"waived"` // uses
}

func assetWaive() *cobra.Command {
	var reason string
	var out waivedShown
	c := &cobra.Command{
		Use:     "waive CODE",
		Short:   "Let calls over an asset go that nobody rented in the open month: nobody pays rent for them.",
		Example: `  telecommune asset waive alpha --text "test calls before it was let"`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&reason, "text", "", "`TEXT` that says why")
	require(c, "text")
	return acting(c, func(d *doing) (err error) {
		out.Asset = d.args[0]
		out.Waived, err = d.WaiveUsage(d.ctx, d.act, d.args[0], reason)
		return err
	}, func(*doing) (waivedShown, error) { return out, nil })
}

// letShown is what `asset let` shows.
type letShown struct {
	Asset string `json:"asset"`
	commune.LetOutcome
}

func assetLet() *cobra.Command {
	var l commune.Letting
	var terms termFlags
	var reserve money.Amount
	var bids string
	c := &cobra.Command{
		Use:   "let CODE",
		Short: "Let a vacant asset to the best bidder; what nobody wants at the reserve may be sold.",
		Long: `Let a vacant asset to the best bidder; what nobody wants at the reserve may be sold.

The bids are a CSV file with the columns bidder, enterprise and amount: sealed bids of members for an enterprise, in the
order in which they came. The highest that reaches the reserve wins and pays what it bid a month, the earlier of equal
ones. Without --reserve it is what the asset's bonds need a month.`,
		Example: "  telecommune asset let disk --agreement RD2 --bids docs/examples/rental-bids.csv",
		Args:    takes(1),
	}
	c.Flags().StringVar(&l.Agreement, "agreement", "", "`CODE` of the new rental agreement")
	c.Flags().StringVar(&bids, "bids", "", "`FILE` with the bids")
	parsedFlag(c.Flags(), &l.Start, "start", ledger.ParseDate, "first `DATE` of the agreement (default: today)")
	parsedFlag(c.Flags(), &reserve, "reserve", parseLimit, "least `AMOUNT`")
	c.Flags().BoolVar(&l.Minimum, "bid-is-minimum", false, "the bid becomes the least rent instead of the fixed part")
	parsedFlag(c.Flags(), &l.Rate, "rate", parseLimit, "`AMOUNT` a minute, or a unit of quantity")
	c.Flags().StringVar(&terms.included, "included", "", "`SECONDS` or quantity that the fixed part includes")
	require(c, "agreement", "bids")
	out := letShown{}
	return acting(c, func(d *doing) (err error) {
		l.Asset, out.Asset = d.args[0], d.args[0]
		if c.Flags().Changed("reserve") {
			l.Reserve = &reserve
		}
		meter, err := d.MeterOf(d.ctx, l.Asset)
		if err != nil {
			return err
		}
		if l.Included, err = parseUnits(meter, terms.included); err != nil {
			return err
		}
		if l.Bids, err = readFile(bids, commune.ReadRentalBids); err != nil {
			return err
		}
		out.LetOutcome, err = d.LetByAuction(d.ctx, d.act, l)
		return err
	}, func(*doing) (letShown, error) { return out, nil })
}

func assetSell() *cobra.Command {
	c := &cobra.Command{
		Use:   "sell CODE PRICE",
		Short: "Sell an asset that nobody wants to rent: bondholders first, the rest is the pool's.",
		Long: `Sell an asset that nobody wants to rent: bondholders first, the rest is the pool's.

PRICE is net of the costs of the sale. What the holders of its bonds don't get is extinguished: nobody stands in for an
asset but the asset itself.`,
		Example: "  telecommune asset sell disk 40.00",
		Args:    takes(2),
	}
	return acting(c, func(d *doing) error {
		price, err := argument("PRICE", d.args[1], parsePrice)
		if err != nil {
			return err
		}
		_, err = d.Liquidate(d.ctx, d.act, d.args[0], price)
		return err
	}, shownAsset)
}

func assetList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List what the commune owns, owned, and is asked for.",
		Example: "  telecommune asset list",
	}
	return listing(c, func(ctx context.Context, s services, day ledger.Date) ([]commune.Held, error) {
		return s.commune.Assets(ctx, day)
	})
}

// assetShown is an asset with its whole life: every entry that touched it.
type assetShown struct {
	commune.Held

	Moments []commune.Moment `json:"life"`
}

func assetShow() *cobra.Command {
	c := &cobra.Command{
		Use:     "show CODE",
		Short:   "Show an asset and its whole life: each entry of the books that touched it.",
		Example: "  telecommune asset show alpha",
		Args:    takes(1),
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			day, err := today(ctx, s)
			if err != nil {
				return err
			}
			a := assetShown{}
			if a.Held, err = s.commune.Asset(ctx, day, args[0]); err != nil {
				return err
			}
			if a.Moments, err = s.commune.Life(ctx, args[0]); err != nil {
				return err
			}
			if err := show(cmd, a); err != nil || outputFormat(cmd) != formatTable {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return list(cmd, a.Moments)
		})
	}
	return c
}

func assetLife() *cobra.Command {
	c := &cobra.Command{
		Use:   "life CODE",
		Short: "Tell the life of an asset: who wanted it, who paid for it, who rented it, what it earned, with each entry of the books.",
		Long: `Tell the life of an asset: who wanted it, who paid for it, who rented it, what it earned, with each entry of the books.

All holders of its bonds are one line of an entry: who they are is not everybody's business.`,
		Example: "  telecommune asset life alpha\n  telecommune asset life alpha -o html --file alpha.html",
		Args:    takes(1),
	}
	return documenting(c, func(ctx context.Context, s services, args []string) (commune.AssetLife, error) {
		day, err := today(ctx, s)
		if err != nil {
			return commune.AssetLife{}, err
		}
		return s.commune.AssetLife(ctx, day, args[0])
	})
}

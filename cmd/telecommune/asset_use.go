package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func assetUse() *cobra.Command {
	var u commune.Reported
	c := &cobra.Command{
		Use:   "use CODE QUANTITY",
		Short: "Report what a lessee used of an asset: GB-months, numbers, sheets, or seconds of what is no trunk.",
		Long: `Report what a lessee used of an asset: GB-months, numbers, sheets, or seconds of what is no trunk.

The seconds of calls are metered as they are settled. Give each report a --key: repeated, it counts once. "telecommune asset
report" takes many from a file.`,
		Example: "  telecommune asset use disk 12.5 --on 2027-06-30 --key disk-june --enterprise HOST",
		Args:    takes(2),
	}
	c.Flags().StringVar(&u.Enterprise, "enterprise", "", "`CODE` of the enterprise that used it (default: the one that rents it)")
	c.Flags().StringVar(&u.Text, "text", "", "`TEXT` that says what for")
	return acting(c, func(d *doing) (err error) {
		u.Asset, u.Key, u.Day = d.args[0], d.act.Key, d.act.Date
		if u.Quantity, err = money.Parse(d.args[1]); err != nil || u.Quantity <= 0 {
			return usagef("%.40q is not a quantity over zero: want a decimal such as 12.5", d.args[1])
		}
		_, err = d.ReportAll(d.ctx, d.act, []commune.Reported{u}, nil)
		return err
	}, shownAsset)
}

// usesReported is what `asset report` shows.
type usesReported struct {
	Reported int               `json:"reported"`
	Repeated int               `json:"repeated"` // known before by their keys: they counted then
	DryRun   bool              `json:"dry_run"`
	Assets   []commune.Metered `json:"assets"`
}

var errDryUse = errors.New("dry run")

func assetReport() *cobra.Command {
	var dryRun bool
	var on ledger.Date
	c := &cobra.Command{
		Use:   "report FILE",
		Short: "Report what lessees used of assets from a CSV file: all of it, or nothing when a line is wrong.",
		Long: `Report what lessees used of assets from a CSV file: all of it, or nothing when a line is wrong.

The columns, in any order: asset, quantity and key; at choice enterprise (default: the one that rents it), text, and one of
day (2027-06-30) and at (an instant, which counts on its day). Without day the report counts on --on. A quantity is in the
asset's own measure: seconds, or a decimal such as 12.5.

Each line counts once by its key, however often the file is reported. A key that was used for something else refuses the
file.`,
		Example: "  telecommune asset report docs/examples/host-use.csv --dry-run",
		Args:    takes(1),
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would be reported, and change nothing")
	parsedFlag(c.Flags(), &on, "on", ledger.ParseDate, "`DATE` of the lines without day (default: today)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			zone, err := communeZone(ctx, s)
			if err != nil {
				return err
			}
			rows, err := readFile(args[0], func(r io.Reader) ([]commune.Reported, error) { return commune.ReadUses(r, zone) })
			if err != nil {
				return err
			}
			out := usesReported{DryRun: dryRun}
			if out.Assets, err = reportUses(ctx, cmd, s, rows, commune.Act{Actor: operator(), At: now(ctx), Date: on}, dryRun); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, a := range out.Assets {
				out.Reported, out.Repeated = out.Reported+a.Reported, out.Repeated+a.Repeated
			}
			if err := show(cmd, out); err != nil || outputFormat(cmd) != formatTable {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return list(cmd, out.Assets)
		})
	}
	return c
}

// reportUses reports in one transaction, which a dry run takes back.
func reportUses(ctx context.Context, cmd *cobra.Command, s services, rows []commune.Reported, act commune.Act, dryRun bool) (came []commune.Metered, err error) {
	for i := range rows {
		if rows[i].Key, err = actKey(rows[i].Key); err != nil {
			return nil, err
		}
	}
	p := newProgress(cmd.ErrOrStderr())
	defer p.end()
	err = s.commune.Do(ctx, func(c *commune.Commune) error {
		if came, err = c.ReportAll(ctx, act, rows, func(n int) { p.rows("reported", n) }); err == nil && dryRun {
			err = errDryUse
		}
		return err
	})
	if errors.Is(err, errDryUse) {
		err = nil
	}
	return came, err
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// importFlags are those of `deck import`.
type importFlags struct {
	whose
	from                   moment
	zone, holidays, format string
	currency               money.Currency
	storing                storing
	draft, changes         bool
}

func deckImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a rate deck as the next version of its name, all of it or nothing.",
		Long: `Import a rate deck as the next version of its name, all of it or nothing.

The file is CSV with a header row; columns by name in any order: prefix (digits, no +) and rate_per_minute are needed;
destination, connect_fee, interval_first, interval_next (seconds), grace_seconds, minimum_charge, rounding_unit,
rounding_mode (up, half_up), effective_from, effective_to, window, allow_loss (yes, no: whether a call goes out that costs
more than the caller pays) may be there. Callers' prices include VAT. Whatever a carrier sends otherwise, XLSX too, is read
by a format: see "telecommune deck format add --help".

A window is days and hours in the zone, such as "mon-fri 08:00-18:00; sat": the row counts only then, and the prefix's row
without window at all other times. Holidays are CSV as well: date, counts_as (mon to sun, or hol for a kind of day of its
own; sun when left out) and name. A deck without --holidays keeps those of its version before.

With --changes the rows take the place of those of the same prefixes in the version in force, from their dates on; all
others are kept, and prefixes that the file marks as closed end. Prices that would go up by more than 30 % are refused
without --accept; --dry-run shows them, and what the calls of the last 30 days would have cost.`,
		Example: `  telecommune deck import alpha.csv --trunk alpha --currency USD --dry-run
  telecommune deck import retail.csv --retail retail --from 2027-07-01 --holidays holidays.csv
  telecommune deck import june.xlsx --trunk beta --format beta-weekly --draft`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) (err error) {
				file, err := openDeckFile(args[0])
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, file.Close()) }()
				in, err := f.read(ctx, s, file)
				if err != nil {
					return err
				}
				return f.storing.store(cmd, s, in)
			})
		},
	}
	f.add(c, "the file has")
	c.MarkFlagsOneRequired("trunk", "retail")
	flags := c.Flags()
	parsedFlag(flags, &f.from, "from", parseMoment, "`TIME` from which it counts, an instant or a date in its zone (default: now)")
	parsedFlag(flags, &f.currency, "currency", billing.ParseCurrency, "`CURRENCY` of the prices, ISO 4217 (default: the format's, or the commune's)")
	flags.StringVar(&f.zone, "zone", "", "time `ZONE` of dates and windows in the file, such as Europe/Berlin (default: the commune's)")
	flags.StringVar(&f.holidays, "holidays", "", "`FILE` with the days that count as others (default: those of the version before)")
	flags.StringVar(&f.format, "format", "", "`NAME` of the format that the file has (default: the plain CSV)")
	completeFlag(c, "format", formatNames)
	flags.BoolVar(&f.draft, "draft", false, "store it, to be activated later")
	flags.BoolVar(&f.changes, "changes", false, "the file has only what changes")
	f.storing.add(flags)
	c.MarkFlagsMutuallyExclusive("draft", "from")
	return c
}

// read makes an import of a file and the flags.
func (f *importFlags) read(ctx context.Context, s services, file *deckFile) (tariff.Import, error) {
	var in tariff.Import
	commune, err := s.billing.Commune(ctx)
	if err != nil {
		return in, err
	}
	zone, err := loadZone(cmp.Or(f.zone, commune.Zone))
	if err != nil {
		return in, err
	}
	in.Spec = tariff.Spec{Zone: zone, ActiveFrom: f.from.in(zone), Source: filepath.Base(file.Name())}
	in.Kind, in.Name = f.deck()
	in.Draft, in.Changes = f.draft, f.changes
	if in.Holidays, err = readHolidays(ctx, s.decks, in.Spec, f.holidays); err != nil {
		return in, err
	}
	if f.format == "" {
		in.Currency = cmp.Or(f.currency, commune.Currency)
		in.Rows = file.named(func() tariff.Rows { return tariff.ReadCSV(file.reader(), in.Spec) })
		return in, nil
	}
	stored, err := s.decks.Format(ctx, f.format)
	if err != nil {
		return in, err
	}
	format, err := tariff.ParseFormat(stored.Text)
	if err != nil {
		return in, fmt.Errorf("deck format %s: %w", f.format, err)
	}
	if f.currency != "" && format.Currency != "" && f.currency != format.Currency {
		return in, fmt.Errorf("the format %s has prices in %s: import it without --currency %s", f.format, format.Currency, f.currency)
	}
	in.Currency = cmp.Or(f.currency, format.Currency, commune.Currency)
	in.Source += ", format " + f.format
	if f.changes {
		in.Closed = new(tariff.Closed)
	}
	in.Rows = file.named(func() tariff.Rows { return format.Read(file, file.size, in.Spec, in.Closed) })
	return in, nil
}

// deckFile is a file that can be read more than once.
type deckFile struct {
	*os.File
	size int64
	temp bool
}

// openDeckFile opens a file; what can be read only once, such as a pipe, is copied first.
func openDeckFile(name string) (f *deckFile, err error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if info.Mode().IsRegular() {
		return &deckFile{in, info.Size(), false}, nil
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	copied, err := os.CreateTemp("", "telecommune-deck-")
	if err != nil {
		return nil, err
	}
	f = &deckFile{copied, 0, true}
	if f.size, err = io.Copy(copied, io.LimitReader(in, tariff.MaxFile+1)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close closes the file, and removes a copy.
func (f *deckFile) Close() error {
	err := f.File.Close()
	if f.temp {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func (f *deckFile) reader() io.Reader { return io.NewSectionReader(f, 0, f.size) }

// named reads rows anew each time, and names the file in their errors.
func (f *deckFile) named(read func() tariff.Rows) tariff.Rows {
	return func(yield func(tariff.Row, error) bool) {
		for row, err := range read() {
			if err != nil {
				err = fmt.Errorf("%s: %w", f.Name(), err)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// readHolidays reads a list of holidays, or takes over that of the version before.
func readHolidays(ctx context.Context, s *tariff.Store, spec tariff.Spec, file string) ([]tariff.Holiday, error) {
	if file == "" {
		return s.Holidays(ctx, spec.Kind, spec.Name)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	days, err := tariff.ParseHolidays(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return days, errors.Join(err, f.Close())
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
)

func deckDiff() *cobra.Command {
	var f comparing
	c := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Show what one version of a rate deck changes against another.",
		Long: `Show what one version of a rate deck changes against another: new, gone, dearer and cheaper prefixes, oddities, and
what the calls of the last 30 days would cost by each.

A version is written alpha@3; alpha is the one in force. Rows are compared by what calls of 30, 61 and 180 seconds cost when
the second version comes into force. A prefix that is new or gone is compared with the shorter one that carries its calls
otherwise. Odd is what goes up by more than 30 %, is over five times the median of its country, or leaves no margin: a
carrier's row by which 180 seconds cost more than callers pay without VAT.`,
		Example:           "  telecommune deck diff alpha alpha@3",
		Args:              takes(2),
		ValidArgsFunction: completeFrom(deckVersions),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := argument("BEFORE", args[0], parseDeckRef)
			if err != nil {
				return err
			}
			after, err := argument("AFTER", args[1], parseDeckRef)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return f.diff(cmd, s, before, after)
			})
		},
	}
	f.add(c.Flags())
	return c
}

func (f *comparing) diff(cmd *cobra.Command, s services, before, after deckRef) error {
	ctx := cmd.Context()
	old, err := before.version(ctx, s)
	if err != nil {
		return err
	}
	if after.kind == "" {
		after.kind = old.Kind
	}
	next, err := after.version(ctx, s)
	if err != nil {
		return err
	}
	if next.Kind != old.Kind {
		return usagef("%s is a %s deck and %s a %s deck: want two of one kind", old, old.Kind, next, next.Kind)
	}
	compare, err := f.compare(ctx, s, true)
	if err != nil {
		return err
	}
	told := newProgress(cmd.ErrOrStderr())
	defer told.end()
	compare.Progress = told.rows
	if outputFormat(cmd) == formatCSV {
		all := newCSVWriter[tariff.Difference](cmd.OutOrStdout())
		compare.Each = all.write
		if _, err := s.decks.Diff(ctx, old, next, compare); err != nil {
			return err
		}
		return all.end()
	}
	diff, err := s.decks.Diff(ctx, old, next, compare)
	if err != nil {
		return err
	}
	told.end()
	if outputFormat(cmd) == formatJSON {
		return show(cmd, diff)
	}
	return showDiff(cmd, diff)
}

func deckActivate() *cobra.Command {
	var f comparing
	var at moment
	var accept bool
	c := &cobra.Command{
		Use:   "activate DECK@VERSION",
		Short: "Bring a stored version of a rate deck into force, now or at a time to come.",
		Long: `Bring a stored version of a rate deck into force, now or at a time to come.

That is one step: each call is priced by the version before or by this one, whole. A version that is still to come can be
given another time.`,
		Example:           "  telecommune deck activate alpha@3 --at 2027-07-01",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(deckVersions),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := argument("DECK@VERSION", args[0], parseDeckVersion)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if ref, err = ref.deck(ctx, s); err != nil {
					return err
				}
				v, err := s.decks.Version(ctx, ref.kind, ref.name, ref.number)
				if err != nil {
					return err
				}
				zone, err := loadZone(v.Zone)
				if err != nil {
					return err
				}
				a := tariff.Activation{Kind: ref.kind, Name: ref.name, Version: ref.number, At: at.in(zone), Accept: accept}
				if a.Compare, err = f.compare(ctx, s, false); err != nil {
					return err
				}
				if v, err = s.decks.Activate(ctx, a); err != nil {
					return err
				}
				return show(cmd, v)
			})
		},
	}
	f.worst = 3
	parsedFlag(c.Flags(), &at, "at", parseMoment, "`TIME` from which it counts, an instant or a date in its zone (default: now)")
	c.Flags().BoolVar(&accept, "accept", false, "take prices that go up by more than 30 %")
	return c
}

// rolledBack is what `deck rollback` shows.
type rolledBack struct {
	RolledBack string       `json:"rolled_back"`
	State      tariff.State `json:"state"`    // of it now: rolled_back, or draft when it was still to come
	InForce    string       `json:"in_force"` // empty: none yet
}

func deckRollback() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback DECK",
		Short: "Take the version of a rate deck that is in force back, so that the one before counts again.",
		Long: `Take the version of a rate deck that is in force back, so that the one before counts again, at once and whole.

Calls that were answered meanwhile keep their prices. A version that is still to come is named with its number, such as
alpha@4; it becomes a draft again. To bring a version that was rolled back into force once more, import it again.`,
		Example:           "  telecommune deck rollback alpha",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(deckVersions),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := argument("DECK", args[0], parseDeckRef)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if ref, err = ref.deck(ctx, s); err != nil {
					return err
				}
				back, now, err := s.decks.Rollback(ctx, ref.kind, ref.name, ref.number)
				if err != nil {
					return err
				}
				info := rolledBack{RolledBack: back.String(), State: back.State}
				if now.Number > 0 {
					info.InForce = now.String()
				}
				return show(cmd, info)
			})
		},
	}
}

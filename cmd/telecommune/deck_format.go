package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func deckFormat() *cobra.Command {
	c := &cobra.Command{
		Use:   "format",
		Short: "Look after the formats that carriers send their rate decks in.",
	}
	c.AddCommand(formatAdd(), formatList(), formatShow(), formatRemove())
	return c
}

func formatAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add NAME FILE",
		Short: "Keep a format of carriers' decks under a name.",
		Long: `Keep a format of carriers' decks under a name, for "telecommune deck import --format NAME".

The file is TOML and declares how a carrier writes; nothing is guessed:

  file = "csv"               # or "xlsx"; then sheet = "Rates" when it has more than one, and no encoding and delimiter
  encoding = "windows-1252"  # utf-8, utf-16, windows-1252 or iso-8859-1
  delimiter = ";"            # or "tab"
  skip = 3                   # lines before the header
  header = true              # the columns below are its names; without a header they are letters, A to ZZ
  end_at_blank = true        # what follows the first blank line is no deck
  currency = "USD"
  decimal = ","              # and thousands = "." if there are such marks
  per = "minute"             # what the rate is for, or "second"
  round = "up"               # or "half_up": prices with more than six decimals; without it they are refused
  date = "dd/mm/yyyy"        # dd, mm and yyyy in any order; a spreadsheet's own dates need no more

  [columns]                  # prefix and rate are needed
  prefix = "Code"
  country_code = "CC"
  destination = "Destination"
  rate = "Price"
  connect_fee = "Setup"
  increments = "Billing"     # 60/1; or interval_first and interval_next
  effective_from = "Valid from"
  effective_to = "Valid to"
  mark = "Status"

  [codes]                    # how a cell with codes is written
  separator = ","            # 38,39
  range = "-"                # 4420-4429
  country_first = true       # 61 38,39
  plus = "+"                 # what stands before a country code

  [marks]                    # the words of the column mark
  valid = ["", "New", "Increase", "Decrease"]
  closed = ["Closed"]        # no row; with "deck import --changes" the prefix ends

  [defaults]                 # of rows that don't say
  interval_first = 60
  interval_next = 1`,
		Example: "  telecommune deck format add beta-weekly beta-weekly.toml",
		Args:    takes(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readText(args[1])
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				f, err := s.decks.AddFormat(ctx, args[0], text)
				if err != nil {
					return err
				}
				return show(cmd, addedFormat{f.Name, f.AddedAt})
			})
		},
	}
}

// addedFormat is what `deck format add` shows.
type addedFormat struct {
	Name    string    `json:"name"`
	AddedAt time.Time `json:"added_at"`
}

// readText reads a small file.
func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(text), nil
}

func formatList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the formats of carriers' decks.",
		Example: "  telecommune deck format list",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.decks.Formats(ctx))(cmd, "name", "added_at")
			})
		},
	}
}

func formatShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Write a format of carriers' decks as the file that it was added from.",
		Example:           "  telecommune deck format show beta-weekly > beta-weekly.toml",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(formatNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				f, err := s.decks.Format(ctx, args[0])
				if err != nil {
					return err
				}
				if outputFormat(cmd) != formatTable {
					return show(cmd, f)
				}
				_, err = io.WriteString(cmd.OutOrStdout(), f.Text)
				return err
			})
		},
	}
}

// removedFormat is what `deck format remove` shows.
type removedFormat struct {
	Name    string `json:"name"`
	Removed bool   `json:"removed"`
}

func formatRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Take a format of carriers' decks away; decks that were imported by it stay.",
		Example:           "  telecommune deck format remove beta-weekly",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(formatNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.decks.RemoveFormat(ctx, args[0]); err != nil {
					return err
				}
				return show(cmd, removedFormat{args[0], true})
			})
		},
	}
}

func formatNames(ctx context.Context, s services) ([]string, error) {
	formats, err := s.decks.Formats(ctx)
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names, err
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// doing is a command at work that does something in the commune, in one transaction.
type doing struct {
	*commune.Commune

	ctx  context.Context
	act  commune.Act
	args []string
	s    services
	day  ledger.Date // of today
}

// acting makes a command of an operation and of what is shown after it. It adds the flags that all of them have.
func acting[T any](c *cobra.Command, op func(*doing) error, then func(*doing) (T, error)) *cobra.Command {
	var key string
	var on ledger.Date
	c.Flags().StringVar(&key, "key", "", "`KEY` under which it is done once, however often it is repeated")
	parsedFlag(c.Flags(), &on, "on", ledger.ParseDate, "`DATE` that it counts on, in the month that is open (default: today)")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			d := &doing{ctx: ctx, args: args, s: s, act: commune.Act{Actor: operator(), At: now(ctx), Date: on}}
			var err error
			if d.day, err = today(ctx, s); err != nil {
				return err
			}
			if d.act.Key, err = actKey(key); err != nil {
				return err
			}
			err = s.commune.Do(ctx, func(c *commune.Commune) error {
				d.Commune = c
				return op(d)
			})
			if err != nil {
				return err
			}
			return shows(then(d))(cmd)
		})
	}
	return c
}

// actKey is the key of an act. Without one of his own each repetition is another act.
func actKey(key string) (string, error) {
	if key == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return "", err
		}
		key = id.String()
	}
	return "act:" + key, nil
}

// today is the day in the commune's zone.
func today(ctx context.Context, s services) (ledger.Date, error) {
	zone, err := communeZone(ctx, s)
	if err != nil {
		return "", err
	}
	return ledger.DateOf(now(ctx), zone), nil
}

// listing makes a command that lists what there is today.
func listing[T any](c *cobra.Command, read func(context.Context, services, ledger.Date) ([]T, error), columns ...string) *cobra.Command {
	c.Args = takes(0)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			day, err := today(ctx, s)
			if err != nil {
				return err
			}
			return lists(read(ctx, s, day))(cmd, columns...)
		})
	}
	return c
}

// showing makes a command that shows one thing as it is today.
func showing[T any](c *cobra.Command, read func(context.Context, services, ledger.Date, string) (T, error)) *cobra.Command {
	c.Args = takes(1)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, func(ctx context.Context, s services) error {
			day, err := today(ctx, s)
			if err != nil {
				return err
			}
			return shows(read(ctx, s, day, args[0]))(cmd)
		})
	}
	return c
}

// parsePrice reads an amount of whole cents that is over zero.
func parsePrice(s string) (money.Amount, error) {
	a, err := money.Parse(s)
	if err == nil && (a <= 0 || a%money.Cent != 0) {
		err = fmt.Errorf("%w: want a positive amount of whole cents", commune.ErrAmount)
	}
	return a, err
}

// readFile reads a file of another's making by what understands it.
func readFile[T any](name string, read func(io.Reader) (T, error)) (v T, err error) {
	f, err := os.Open(name)
	if err != nil {
		return v, err
	}
	defer f.Close()
	if v, err = read(f); err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

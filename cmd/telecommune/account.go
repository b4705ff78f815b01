package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"telecommune/billing"
	"telecommune/internal/money"
)

func accountCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "account",
		Short: "Look after the callers' prepaid accounts.",
	}
	c.AddCommand(accountAdd(), accountList(), accountShow(), accountSet(),
		accountSwitch("block", "Keep an account from making calls; running calls end within what is held.", true),
		accountSwitch("unblock", "Let an account make calls again.", false))
	c.AddCommand(accountBookings()...)
	return c
}

// accountColumns are what the table of accounts has room for.
var accountColumns = []string{"code", "name", "balance", "held", "free", "limit", "currency", "blocked"}

// accountFlags are those of `account add` and `account set`.
type accountFlags struct {
	name, tariff string
	limit        money.Amount
	callLimit    int
}

func (f *accountFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "`NAME` of the holder, as it stands on the bill")
	parsedFlag(flags, &f.limit, "limit", parseLimit, "`AMOUNT` by which it may go below zero (default 0.00)")
	parsedFlag(flags, &f.callLimit, "call-limit", parsePositive, "most `SECONDS` of one call (default 7200)")
	flags.StringVar(&f.tariff, "tariff", "", "`DECK` with its prices (default retail)")
}

func accountAdd() *cobra.Command {
	var f accountFlags
	c := &cobra.Command{
		Use:     "add CODE",
		Short:   "Open an account.",
		Example: `  telecommune account add anna --name "Anna Arendt" --call-limit 3600`,
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				a, err := s.billing.AddAccount(ctx, billing.NewAccount{
					Code: args[0], Name: f.name, Tariff: f.tariff, CallLimit: f.callLimit, Limit: f.limit,
				})
				if err != nil {
					return err
				}
				return show(cmd, a)
			})
		},
	}
	f.add(c.Flags())
	return c
}

func accountList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the accounts with their credit.",
		Example: "  telecommune account list -o csv",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				accounts, err := s.billing.Accounts(ctx)
				if err != nil {
					return err
				}
				return list(cmd, accounts, accountColumns...)
			})
		},
	}
}

func accountShow() *cobra.Command {
	return accountAction("show CODE", "Show an account and its credit.", "show anna",
		func(ctx context.Context, s services, code string) (billing.Account, error) {
			return s.billing.Account(ctx, code)
		})
}

func accountSet() *cobra.Command {
	var f accountFlags
	c := accountAction("set CODE", "Change an account.", "set anna --limit 5.00", nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var change billing.AccountChange
		given := cmd.Flags().Changed
		if given("name") {
			change.Name = &f.name
		}
		if given("tariff") {
			change.Tariff = &f.tariff
		}
		if given("limit") {
			change.Limit = &f.limit
		}
		if given("call-limit") {
			change.CallLimit = &f.callLimit
		}
		return with(cmd, func(ctx context.Context, s services) error {
			a, err := s.billing.SetAccount(ctx, args[0], change)
			if err != nil {
				return err
			}
			return show(cmd, a)
		})
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("name", "tariff", "limit", "call-limit")
	return c
}

func accountSwitch(name, short string, blocked bool) *cobra.Command {
	return accountAction(name+" CODE", short, name+" anna",
		func(ctx context.Context, s services, code string) (billing.Account, error) {
			return s.billing.Block(ctx, code, blocked)
		})
}

// accountAction is a command that does something with one account and shows it afterwards.
func accountAction(use, short, example string,
	do func(ctx context.Context, s services, code string) (billing.Account, error),
) *cobra.Command {
	return &cobra.Command{
		Use:               use,
		Short:             short,
		Example:           "  telecommune account " + example,
		Args:              takes(1),
		ValidArgsFunction: completeFrom(accountCodes),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				a, err := do(ctx, s, args[0])
				if err != nil {
					return err
				}
				return show(cmd, a)
			})
		},
	}
}

func accountCodes(ctx context.Context, s services) ([]string, error) {
	accounts, err := s.billing.Accounts(ctx)
	var codes []string
	for _, a := range accounts {
		codes = append(codes, a.Code)
	}
	return codes, err
}

// accountFlag declares the flag that names the account a thing belongs to.
func accountFlag(c *cobra.Command, to *string, usage string) {
	c.Flags().StringVar(to, "account", "", usage)
	completeFlag(c, "account", accountCodes)
}

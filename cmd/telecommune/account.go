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
	limits       billing.Limits
}

// limitsHelp is what `account add` and `account set` say of the account's limits.
const limitsHelp = `

Besides its credit an account may have limits, each of which "none" takes away again: how many calls it may make at
once (--max-calls), what a minute may cost (--max-rate, without the connection fee), what calls may cost within an hour
and within 24 hours (--max-per-hour, --max-per-day), and which countries may be called (--countries). A call that a limit
does not allow is refused, and the caller is told why; one that an hour or a day leaves too little for is shorter. Calls
that run go on within what is held for them.`

func (f *accountFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "`NAME` of the holder, as it stands on the bill")
	parsedFlag(flags, &f.limit, "limit", parseLimit, "`AMOUNT` by which it may go below zero (default 0.00)")
	parsedFlag(flags, &f.callLimit, "call-limit", parsePositive, "most `SECONDS` of one call (default 7200)")
	flags.StringVar(&f.tariff, "tariff", "", "`DECK` with its prices (default retail)")
	parsedFlag(flags, &f.limits.MaxCalls, "max-calls", orNone(parsePositive), "most `CALLS` at once, or none")
	parsedFlag(flags, &f.limits.MaxRate, "max-rate", orNone(parseSum), "most that a minute may cost, an `AMOUNT` or none")
	parsedFlag(flags, &f.limits.MaxPerHour, "max-per-hour", orNone(parseSum), "most that calls may cost within an hour, an `AMOUNT` or none")
	parsedFlag(flags, &f.limits.MaxPerDay, "max-per-day", orNone(parseSum), "most that calls may cost within 24 hours, an `AMOUNT` or none")
	parsedFlag(flags, &f.limits.Countries, "countries", orNone(billing.ParseCountries), "`COUNTRIES` that may be called, such as DE,UA, or none for all")
}

func accountAdd() *cobra.Command {
	var f accountFlags
	c := &cobra.Command{
		Use:   "add CODE",
		Short: "Open an account.",
		Long:  "Open an account." + limitsHelp,
		Example: `  telecommune account add anna --name "Anna Arendt" --call-limit 3600
  telecommune account add office --max-calls 4 --max-per-day 20.00 --countries DE,PL,UA`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				a, err := s.billing.AddAccount(ctx, billing.NewAccount{
					Code: args[0], Name: f.name, Tariff: f.tariff, CallLimit: f.callLimit, Limit: f.limit,
					Limits: f.limits,
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
				return lists(s.billing.Accounts(ctx))(cmd, accountColumns...)
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
	c := accountAction("set CODE", "Change an account.", "set anna --limit 5.00 --max-per-hour 2.50 --countries none", nil)
	c.Long = "Change an account." + limitsHelp
	c.RunE = func(cmd *cobra.Command, args []string) error {
		change := billing.AccountChange{
			Name: given(cmd, "name", &f.name), Tariff: given(cmd, "tariff", &f.tariff),
			Limit: given(cmd, "limit", &f.limit), CallLimit: given(cmd, "call-limit", &f.callLimit),
			LimitsChange: billing.LimitsChange{
				MaxCalls: given(cmd, "max-calls", &f.limits.MaxCalls), MaxRate: given(cmd, "max-rate", &f.limits.MaxRate),
				MaxPerHour: given(cmd, "max-per-hour", &f.limits.MaxPerHour), MaxPerDay: given(cmd, "max-per-day", &f.limits.MaxPerDay),
				Countries: given(cmd, "countries", &f.limits.Countries),
			},
		}
		return with(cmd, func(ctx context.Context, s services) error {
			return shows(s.billing.SetAccount(ctx, args[0], change))(cmd)
		})
	}
	f.add(c.Flags())
	c.MarkFlagsOneRequired("name", "tariff", "limit", "call-limit", "max-calls", "max-rate", "max-per-hour", "max-per-day", "countries")
	return c
}

// given is a flag's value, or nil when the flag was not used.
func given[T any](cmd *cobra.Command, flag string, value *T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return value
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
				return shows(do(ctx, s, args[0]))(cmd)
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

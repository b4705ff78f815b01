package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/money"
)

// bookings are the commands that move money on an account, each by one entry.
var bookings = []struct {
	kind                 billing.BookingKind
	name, short, example string
	long                 string // what is to be known of it beside the key
	reason               bool   // --text must be given
}{
	{
		billing.PaidIn, "topup", "Pay money into an account.", "topup anna 10.00 --key till-2027-118", "", false,
	},
	{
		billing.Refund, "refund", "Pay unused credit back to the holder of an account.", "refund anna 4.10 --key bank-2027-33",
		"It takes the account's own credit that is not held for a call, never its limit, and no more than the bank account has.", false,
	},
	{
		billing.Goodwill, "credit", "Give an account credit at the enterprise's cost.",
		`credit anna 0.50 --text goodwill --key case-2027-7`, "", true,
	},
	{
		billing.Adjustment, "debit", "Take credit out of an account, for the enterprise.",
		`debit anna 0.50 --text fee --key case-2027-8`,
		"A wrong entry is taken back whole by \"telecommune books reverse\" instead.", true,
	},
	{
		billing.Lapse, "expire", "Book credit that its holder has no more right to as earned: breakage.",
		`expire anna 1.37 --text unused-since-2024 --key lapse-anna`, "It takes the account's own credit that is not held for a call.", true,
	},
	{
		billing.WriteOff, "write-off", "Give up what an account with a credit limit owes and won't pay.",
		`write-off shop 12.40 --text insolvent --key loss-2027-1`,
		"Block the account as well, or its limit can be used again.", true,
	},
	{
		billing.Transfer, "transfer", "Pass credit from one account to another.", "transfer anna bert 5.00 --key gift-1",
		"It takes what is free for calls, as a voucher does, and not of a blocked account.", false,
	},
}

const repeatable = `Give each a --key of your own, such as the number of its receipt. When the answer gets lost nobody knows whether it was
done; the same command with the same key can then be given again, and is done once. Without a key each repetition is done
again.`

func accountBookings() []*cobra.Command {
	var commands []*cobra.Command
	for _, of := range bookings {
		b := billing.Booking{Kind: of.kind}
		parties, names := "CODE", 1
		if of.kind == billing.Transfer {
			parties, names = "FROM TO", 2
		}
		if of.long != "" {
			of.long += "\n\n"
		}
		c := &cobra.Command{
			Use:     fmt.Sprintf("%s %s AMOUNT", of.name, parties),
			Short:   of.short,
			Long:    of.short + "\n\n" + of.long + repeatable,
			Example: "  telecommune account " + of.example,
		}
		c.Args, c.ValidArgsFunction = takes(names+1), completeFirst(names, accountCodes)
		c.RunE = func(cmd *cobra.Command, args []string) error {
			amount, err := argument("AMOUNT", args[names], money.Parse)
			if err != nil {
				return err
			}
			b.Account, b.Amount, b.Actor = args[0], amount, operator()
			if names == 2 {
				b.Into = args[1]
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.Book(ctx, b))(cmd)
			})
		}
		keyFlag(c, &b.Key)
		c.Flags().StringVar(&b.Text, "text", "", "`REASON`, for the bill and the books")
		if of.reason {
			require(c, "text")
		}
		commands = append(commands, c)
	}
	return commands
}

// keyFlag declares the flag that makes a command repeatable.
func keyFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "key", "", "`KEY` of your own, such as a receipt's number: it is done once however often it is repeated")
}

package main

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func voucherCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "voucher",
		Short: "Pass credit from account to account on paper.",
	}
	c.AddCommand(voucherIssue(), voucherBatch(), voucherRedeem(), voucherList(), voucherBatches(), voucherVoid(), voucherExpire())
	return c
}

// issueFlags are those of `voucher issue` and `voucher batch`.
func issueFlags(c *cobra.Command, i *billing.VoucherIssue) {
	accountFlag(c, &i.Account, "`CODE` of the account that pays")
	parsedFlag(c.Flags(), &i.ExpiresOn, "expires", ledger.ParseDate, "last `DATE` on which it can be redeemed (default: it stays good)")
	keyFlag(c, &i.Key)
	require(c, "account")
}

func voucherIssue() *cobra.Command {
	var i billing.VoucherIssue
	c := &cobra.Command{
		Use:   "issue AMOUNT",
		Short: "Take an amount out of an account and print a voucher for it, whose code is shown this once.",
		Long: `Take an amount out of an account and print a voucher for it, whose code is shown this once.

Give each voucher a --key of your own. When the answer gets lost, the money is gone and the code is not known; the same
command with the same key then shows the same voucher again. Without a key each repetition is another voucher.`,
		Example: "  telecommune voucher issue 5.00 --account anna --key counter-2027-118",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if i.Amount, err = argument("AMOUNT", args[0], money.Parse); err != nil {
				return err
			}
			i.Actor = operator()
			return withKey(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.IssueVoucher(ctx, i))(cmd)
			})
		},
	}
	issueFlags(c, &i)
	return c
}

func voucherBatch() *cobra.Command {
	var i billing.VoucherIssue
	c := &cobra.Command{
		Use:   "batch",
		Short: "Take the amount of many vouchers out of an account, and list their codes for printing.",
		Long: `Take the amount of many vouchers out of an account, and list their codes for printing.

The account is that of whoever sells them: a shop that pays before has it paid in with "telecommune account topup", one
that pays later has a credit limit.

The codes are shown to nobody again, except by the same command with the same --key: give each batch one, and keep it as
safe as the vouchers.`,
		Example: "  telecommune voucher batch --account shop --count 500 --amount 5.00 --expires 2029-12-31 --key print-7 -o csv --file vouchers.csv",
		Args:    takes(0),
	}
	file := fileFlag(c.Flags())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		i.Actor = operator()
		return withKey(cmd, func(ctx context.Context, s services) error {
			vouchers, err := s.billing.IssueVouchers(ctx, i)
			if err != nil {
				return err
			}
			return writeOut(cmd, *file, func(w io.Writer) error {
				return listTo(w, outputFormat(cmd), vouchers, "batch", "serial", "code", "amount", "currency", "expires_on", "state")
			})
		})
	}
	issueFlags(c, &i)
	parsedFlag(c.Flags(), &i.Count, "count", parsePositive, "`NUMBER` of vouchers, at most 10000")
	parsedFlag(c.Flags(), &i.Amount, "amount", money.Parse, "`AMOUNT` of each")
	require(c, "count", "amount")
	return c
}

func voucherRedeem() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "redeem CODE",
		Short:   "Turn a voucher into credit of an account.",
		Example: "  telecommune voucher redeem 12345-67890-12347 --account oksana",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKey(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.RedeemVoucher(ctx, args[0], account, operator()))(cmd)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that gets the credit")
	require(c, "account")
	return c
}

func voucherList() *cobra.Command {
	var f billing.VoucherFilter
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the vouchers, the oldest first; their codes are not known any more.",
		Example: "  telecommune voucher list --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				vouchers, err := s.billing.Vouchers(ctx, f)
				if err != nil {
					return err
				}
				return list(cmd, vouchers, "batch", "serial", "amount", "currency", "expires_on", "state", "issued_by", "issued_at",
					"redeemed_by", "redeemed_at")
			})
		},
	}
	accountFlag(c, &f.Account, "`CODE` of the account that issued or redeemed them")
	parsedFlag(c.Flags(), &f.Batch, "batch", parseBatch, "`ID` of their batch")
	completeFlag(c, "batch", batchIDs)
	return c
}

func voucherBatches() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "batches",
		Short:   "List the batches of vouchers with what became of them, the oldest first.",
		Example: "  telecommune voucher batches --account shop",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.VoucherBatches(ctx, account))(cmd, batchColumns...)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that issued them")
	return c
}

// batchColumns are what the table of batches has room for.
var batchColumns = []string{
	"id", "issued_by", "issued_at", "amount", "currency", "expires_on", "count", "open", "redeemed", "void", "expired",
}

func voucherVoid() *cobra.Command {
	var text string
	c := &cobra.Command{
		Use:   "void BATCH",
		Short: "Make the vouchers of a batch worthless that were not redeemed, and give their credit back.",
		Long: `Make the vouchers of a batch worthless that were not redeemed, and give their credit back.

It goes to the account that it came from. A single voucher is a batch of one. Doing it again changes nothing.`,
		Example:           "  telecommune voucher void 01987a3c-5f2e-7c1d-8a4b-0123456789ab --text lost-in-the-post",
		Args:              takes(1),
		ValidArgsFunction: completeFrom(batchIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			batch, err := argument("BATCH", args[0], parseBatch)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return shows(s.billing.VoidVouchers(ctx, batch, text, operator()))(cmd)
			})
		},
	}
	c.Flags().StringVar(&text, "text", "", "`REASON`, for the bill and the books")
	require(c, "text")
	return c
}

func voucherExpire() *cobra.Command {
	return &cobra.Command{
		Use:   "expire",
		Short: "Book what vouchers come to whose last day is over, as expired credit.",
		Long: `Book what vouchers come to whose last day is over, as expired credit.

They can't be redeemed from the day after their last one on; until this is done they stand in the books as outstanding, and
their batch can still be made void, which gives the credit back. It lists the batches that it booked.`,
		Example: "  telecommune voucher expire",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.ExpireVouchers(ctx, operator()))(cmd, batchColumns...)
			})
		},
	}
}

func batchIDs(ctx context.Context, s services) ([]string, error) {
	batches, err := s.billing.VoucherBatches(ctx, "")
	var ids []string
	for _, b := range batches {
		if b.Open > 0 {
			ids = append(ids, b.ID.String())
		}
	}
	return ids, err
}

func parseBatch(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, errors.New("not the id of a batch, which `telecommune voucher batches` shows")
	}
	return id, nil
}

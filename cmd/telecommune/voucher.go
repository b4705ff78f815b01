package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/money"
)

func voucherCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "voucher",
		Short: "Pass credit from account to account on paper.",
	}
	c.AddCommand(voucherIssue(), voucherRedeem(), voucherList())
	return c
}

func voucherIssue() *cobra.Command {
	var account, key string
	c := &cobra.Command{
		Use:   "issue AMOUNT",
		Short: "Take an amount out of an account and print a voucher for it, whose code is shown this once.",
		Long: `Take an amount out of an account and print a voucher for it, whose code is shown this once.

Give each voucher a --key of your own. When the answer gets lost, the money is gone and the code is not known; the same
command with the same key then shows the same voucher again. Without a key each repetition is another voucher.`,
		Example: "  telecommune voucher issue 5.00 --account anna --key counter-2027-118",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount, err := argument("AMOUNT", args[0], money.Parse)
			if err != nil {
				return err
			}
			return withKey(cmd, func(ctx context.Context, s services) error {
				v, err := s.billing.IssueVoucher(ctx, billing.VoucherIssue{
					Account: account, Amount: amount, Key: key, Actor: operator(),
				})
				if err != nil {
					return err
				}
				return show(cmd, v)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that pays for it")
	c.Flags().StringVar(&key, "key", "", "`KEY` of this voucher, which is issued once however often it is repeated")
	require(c, "account")
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
				v, err := s.billing.RedeemVoucher(ctx, args[0], account, operator())
				if err != nil {
					return err
				}
				return show(cmd, v)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that gets the credit")
	require(c, "account")
	return c
}

func voucherList() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the vouchers, the oldest first; their codes are not known any more.",
		Example: "  telecommune voucher list --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				vouchers, err := s.billing.Vouchers(ctx, account)
				if err != nil {
					return err
				}
				return list(cmd, vouchers)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account that issued or redeemed them")
	return c
}

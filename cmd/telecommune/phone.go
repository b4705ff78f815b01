package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/e164"
)

func phoneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "phone",
		Short: "Look after the calling numbers that open an account without PIN.",
	}
	c.AddCommand(phoneAdd(), phoneList(), phoneRemove())
	return c
}

func phoneAdd() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "add NUMBER",
		Short:   "Let a calling number open an account.",
		Example: "  telecommune phone add +4915112345678 --account anna",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				p := billing.Phone{Number: number, Account: account}
				if err := s.billing.AddPhone(ctx, p); err != nil {
					return err
				}
				return show(cmd, p)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account")
	require(c, "account")
	return c
}

func phoneList() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the calling numbers.",
		Example: "  telecommune phone list --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.Phones(ctx, account))(cmd)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account whose numbers are listed")
	return c
}

func phoneRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NUMBER",
		Short:   "Let a calling number open no account any more.",
		Example: "  telecommune phone remove +4915112345678",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := argument("NUMBER", args[0], e164.Parse)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, s services) error {
				return s.billing.RemovePhone(ctx, number)
			})
		},
	}
}

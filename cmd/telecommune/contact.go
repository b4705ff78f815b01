package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/internal/e164"
)

func contactCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "contact",
		Short: "Look after contacts: access numbers that stand for one far number, for each account its own.",
	}
	c.AddCommand(contactAdd(), contactList(), contactRemove())
	return c
}

func contactAdd() *cobra.Command {
	var entry billing.ContactEntry
	c := &cobra.Command{
		Use:     "add",
		Short:   "Let an access number stand for a far number on an account, in place of what it stood for.",
		Example: "  telecommune contact add --account anna --access-number +49305550101 --to +380441234567 --label Oksana",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.billing.SetContact(ctx, entry); err != nil {
					return err
				}
				return show(cmd, entry)
			})
		},
	}
	accountFlag(c, &entry.Account, "`CODE` of the account")
	parsedFlag(c.Flags(), &entry.AccessNumber, "access-number", e164.Parse, "access `NUMBER` that the caller dials")
	parsedFlag(c.Flags(), &entry.Number, "to", e164.Parse, "far `NUMBER` that it stands for")
	c.Flags().StringVar(&entry.Label, "label", "", "`LABEL`, for people")
	require(c, "account", "access-number", "to")
	return c
}

func contactList() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the contacts.",
		Example: "  telecommune contact list --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return lists(s.billing.Contacts(ctx, account))(cmd)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account whose contacts are listed")
	return c
}

func contactRemove() *cobra.Command {
	var account string
	var access e164.Number
	c := &cobra.Command{
		Use:     "remove",
		Short:   "Let an access number stand for nobody on an account.",
		Example: "  telecommune contact remove --account anna --access-number +49305550101",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				return s.billing.RemoveContact(ctx, account, access)
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account")
	parsedFlag(c.Flags(), &access, "access-number", e164.Parse, "access `NUMBER`")
	require(c, "account", "access-number")
	return c
}

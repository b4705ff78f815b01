package main

import (
	"context"

	"github.com/spf13/cobra"
)

// issuedPIN is what `pin issue` shows, this once.
type issuedPIN struct {
	Account string `json:"account"`
	PIN     string `json:"pin"`
}

// revokedPINs is what `pin revoke` shows.
type revokedPINs struct {
	Account string `json:"account"`
	Revoked int    `json:"revoked"`
}

func pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin",
		Short: "Look after the PINs that open an account from any phone.",
	}
	c.AddCommand(pinIssue(), pinRevoke())
	return c
}

func pinIssue() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "issue",
		Short:   "Issue another PIN for an account and print it, this once: it is not stored.",
		Example: "  telecommune pin issue --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKey(cmd, func(ctx context.Context, s services) error {
				pin, err := s.billing.IssuePIN(ctx, account)
				if err != nil {
					return err
				}
				return show(cmd, issuedPIN{account, pin})
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account")
	require(c, "account")
	return c
}

func pinRevoke() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:     "revoke",
		Short:   "Make all PINs of an account useless.",
		Example: "  telecommune pin revoke --account anna",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, s services) error {
				n, err := s.billing.RevokePINs(ctx, account)
				if err != nil {
					return err
				}
				return show(cmd, revokedPINs{account, n})
			})
		},
	}
	accountFlag(c, &account, "`CODE` of the account")
	require(c, "account")
	return c
}

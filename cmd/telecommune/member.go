package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

func memberCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "member",
		Short: "Look after the members of the commune: who works, owns it, and gets an equal part.",
	}
	c.AddCommand(memberJoin(), memberLeave(), memberList(), memberShow(), memberSet(), memberPay())
	return c
}

func memberJoin() *cobra.Command {
	var j commune.Joining
	c := &cobra.Command{
		Use:   "join CODE",
		Short: "Issue a share to somebody for work in one of the enterprises; there is no other way to one.",
		Long: `Issue a share to somebody for work in one of the enterprises; there is no other way to one.

Another active member attests the work; only the first member needs nobody. Nobody who worked can be refused. A former
member joins anew by new work.`,
		Example: `  telecommune member join anna --name "Anna Arendt" --enterprise CALL --attested-by bert --text "answered the phones"`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&j.Enterprise, "enterprise", "", "`CODE` of the enterprise in which the work was done")
	c.Flags().StringVar(&j.AttestedBy, "attested-by", "", "`CODE` of another active member who saw it")
	c.Flags().StringVar(&j.Name, "name", "", "`NAME` of the person")
	c.Flags().StringVar(&j.Text, "text", "", "`TEXT` that says what work it was")
	require(c, "enterprise")
	return acting(c, func(d *doing) error {
		j.Member = d.args[0]
		return d.Join(d.ctx, d.act, j)
	}, shownMember)
}

func shownMember(d *doing) (commune.Member, error) {
	return d.s.commune.Member(d.ctx, d.day, d.args[0])
}

func memberLeave() *cobra.Command {
	c := &cobra.Command{
		Use:     "leave CODE",
		Short:   "Cancel a member's share; the days before it still count in the month's split.",
		Example: "  telecommune member leave anna --on 2027-06-30",
		Args:    takes(1),
	}
	return acting(c, func(d *doing) error { return d.Leave(d.ctx, d.act, d.args[0]) }, shownMember)
}

func memberList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the members, with the dividends they have not been paid.",
		Example: "  telecommune member list",
	}
	return listing(c, func(ctx context.Context, s services, day ledger.Date) ([]commune.Member, error) {
		return s.commune.Members(ctx, day)
	})
}

func memberShow() *cobra.Command {
	c := &cobra.Command{
		Use:     "show CODE",
		Short:   "Show a member.",
		Example: "  telecommune member show anna",
	}
	return showing(c, func(ctx context.Context, s services, day ledger.Date, code string) (commune.Member, error) {
		return s.commune.Member(ctx, day, code)
	})
}

func memberSet() *cobra.Command {
	var name, iban, account string
	c := &cobra.Command{
		Use:     "set CODE",
		Short:   "Set a member's name, bank account, or the caller's account that takes dividends as credit.",
		Example: "  telecommune member set anna --iban DE02120300000000202051",
		Args:    takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := func(flag string, value *string) *string {
				if cmd.Flags().Changed(flag) {
					return value
				}
				return nil
			}
			return with(cmd, func(ctx context.Context, s services) error {
				if err := s.commune.SetMember(ctx, args[0], given("name", &name), given("iban", &iban), given("account", &account)); err != nil {
					return err
				}
				day, err := today(ctx, s)
				if err != nil {
					return err
				}
				return shows(s.commune.Member(ctx, day, args[0]))(cmd)
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "`NAME` of the person")
	parsedFlag(c.Flags(), &iban, "iban", commune.ParseIBAN, "`IBAN` that dividends are paid to")
	accountFlag(c, &account, "`CODE` of the caller's account")
	c.MarkFlagsOneRequired("name", "iban", "account")
	return c
}

// paidDividend is what `member pay` shows.
type paidDividend struct {
	Member string       `json:"member"`
	Amount money.Amount `json:"amount"`
	To     string       `json:"to"` // bank, or the account
}

func memberPay() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use:   "pay CODE",
		Short: "Pay a member all dividends that are payable, by the bank or as call credit.",
		Long: `Pay a member all dividends that are payable, by the bank or as call credit.

Without --credit they go to the member's bank account: "telecommune period payments" writes the file for the bank. Former
members are paid like others.`,
		Example: "  telecommune member pay anna --credit anna --key june-anna",
		Args:    takes(1),
	}
	c.Flags().StringVar(&account, "credit", "", "`CODE` of the caller's account that it becomes credit of")
	completeFlag(c, "credit", accountCodes)
	paid := paidDividend{To: "bank"}
	return acting(c, func(d *doing) (err error) {
		e := commune.Election{Member: d.args[0]}
		if account != "" {
			a, err := d.s.billing.Account(d.ctx, account)
			if err != nil {
				return err
			}
			e.Enterprise, e.Account, paid.To = a.Enterprise, billing.CreditAccount(account), account
		}
		paid.Member = d.args[0]
		paid.Amount, err = d.PayDividend(d.ctx, d.act, e)
		return err
	}, func(*doing) (paidDividend, error) { return paid, nil })
}

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
	c.AddCommand(memberJoin(), memberLeave(), memberList(), memberShow(), memberSet(), memberPay(), memberWork(), memberLapse(), memberEnd(), memberForfeit())
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

func memberWork() *cobra.Command {
	var j commune.Joining
	c := &cobra.Command{
		Use:   "work CODE",
		Short: "Write down that a member worked; a membership without work lapses.",
		Long: `Write down that a member worked; a membership without work lapses.

Another active member attests it, as for joining. "telecommune member list" shows when a membership may lapse.`,
		Example: `  telecommune member work anna --enterprise CALL --attested-by bert --text "July, 40 hours"`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&j.Enterprise, "enterprise", "", "`CODE` of the enterprise in which the work was done")
	c.Flags().StringVar(&j.AttestedBy, "attested-by", "", "`CODE` of another active member who saw it")
	c.Flags().StringVar(&j.Text, "text", "", "`TEXT` that says what work it was")
	require(c, "enterprise")
	return acting(c, func(d *doing) error {
		j.Member = d.args[0]
		return d.Work(d.ctx, d.act, j)
	}, shownMember)
}

func memberLapse() *cobra.Command {
	c := &cobra.Command{
		Use:   "lapse CODE",
		Short: "End the membership of somebody who has not worked for so many months as the members voted.",
		Long: `End the membership of somebody who has not worked for so many months as the members voted.

It is refused before its day, which "telecommune member list" shows for each member. New work makes a new share.`,
		Example: "  telecommune member lapse anna",
		Args:    takes(1),
	}
	return acting(c, func(d *doing) error { return d.Lapse(d.ctx, d.act, d.args[0]) }, shownMember)
}

func memberEnd() *cobra.Command {
	var e commune.Ending
	c := &cobra.Command{
		Use:     "end CODE",
		Short:   "End a membership by a decision of the members, or because the member died; dividends up to then stay.",
		Example: `  telecommune member end anna --text "excluded by the assembly of 12 July: sold the tools"`,
		Args:    takes(1),
	}
	c.Flags().BoolVar(&e.Death, "death", false, "the member died")
	c.Flags().StringVar(&e.Text, "text", "", "`TEXT` of the reason")
	require(c, "text")
	return acting(c, func(d *doing) error {
		e.Member = d.args[0]
		return d.End(d.ctx, d.act, e)
	}, shownMember)
}

// forfeited is what `member forfeit` shows.
type forfeited struct {
	Member string       `json:"member"`
	Amount money.Amount `json:"amount"` // that is the pool's again
}

func memberForfeit() *cobra.Command {
	var f forfeited
	c := &cobra.Command{
		Use:     "forfeit CODE",
		Short:   "Bring dividends back to the pool that nobody claimed for so many months as the members voted.",
		Example: "  telecommune member forfeit anna",
		Args:    takes(1),
	}
	return acting(c, func(d *doing) (err error) {
		f.Member = d.args[0]
		f.Amount, err = d.Forfeit(d.ctx, d.act, d.args[0])
		return err
	}, func(*doing) (forfeited, error) { return f, nil })
}

func memberList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the members, with the dividends they have not been paid, and when a membership may lapse.",
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

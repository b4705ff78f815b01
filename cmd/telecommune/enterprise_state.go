package main

import (
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

func shownEnterprise(d *doing) (commune.Enterprise, error) {
	return d.s.commune.Enterprise(d.ctx, d.args[0])
}

func enterprisePropose() *cobra.Command {
	var p commune.Proposal
	c := &cobra.Command{
		Use:     "propose CODE",
		Short:   "Write down that a member proposes an enterprise; it may do nothing before it is started.",
		Example: `  telecommune enterprise propose NEWS --name "Newsletter" --member anna`,
		Args:    takes(1),
	}
	c.Flags().StringVar(&p.Name, "name", "", "`NAME` of the enterprise")
	c.Flags().StringVar(&p.Member, "member", "", "`CODE` of the member who proposes it")
	require(c, "name", "member")
	return acting(c, func(d *doing) error {
		p.Code = d.args[0]
		return d.ProposeEnterprise(d.ctx, d.act, p)
	}, shownEnterprise)
}

// resolution makes a command that moves an enterprise by a decision.
func resolution(c *cobra.Command, op func(*commune.Commune, context.Context, commune.Act, commune.Resolution) error) *cobra.Command {
	c.Args = takes(1)
	var r commune.Resolution
	decisionFlag(c, &r.Text)
	return acting(c, func(d *doing) error {
		r.Enterprise = d.args[0]
		return op(d.Commune, d.ctx, d.act, r)
	}, shownEnterprise)
}

func decisionFlag(c *cobra.Command, text *string) {
	c.Flags().StringVar(text, "text", "", "`TEXT` of the decision, with who took it")
	require(c, "text")
}

func enterpriseMoves() []*cobra.Command {
	return []*cobra.Command{
		resolution(&cobra.Command{
			Use:     "start CODE",
			Short:   "Let a proposed enterprise begin.",
			Example: `  telecommune enterprise start NEWS --text "assembly of 12 July"`,
		}, (*commune.Commune).StartEnterprise),
		resolution(&cobra.Command{
			Use:   "suspend CODE",
			Short: "Stop an enterprise that owes rent and has returned all that it rented.",
			Long: `Stop an enterprise that owes rent and has returned all that it rented.

Its callers make no calls, and it rents nothing and takes nobody on; credit is refunded, debts and wages are paid as before.
It may go on when its rents are settled ("telecommune enterprise resume"), or is wound up.`,
			Example: `  telecommune enterprise suspend HOST --text "assembly of 12 July"`,
		}, (*commune.Commune).SuspendEnterprise),
		resolution(&cobra.Command{
			Use:     "resume CODE",
			Short:   "Let a suspended enterprise go on, when it owes no rent any more.",
			Example: `  telecommune enterprise resume HOST --text "assembly of 9 August"`,
		}, (*commune.Commune).ResumeEnterprise),
	}
}

// woundUp is what `enterprise wind-up` shows.
type woundUp struct {
	commune.Enterprise

	NetAssets money.Amount `json:"net_assets"`
}

func enterpriseWindUp() *cobra.Command {
	var r commune.Resolution
	var w woundUp
	c := &cobra.Command{
		Use:   "wind-up CODE",
		Short: "End a suspended enterprise: what it has is the commune's, and its book is closed for good.",
		Long: `End a suspended enterprise: what it has is the commune's, and its book is closed for good.

First all that it owes or is owed must be settled: rents, wages, carriers, VAT, callers' credit, vouchers. What it has then
pays the commune's share in it back, the rest is the pool's at the month's close; what the share lacks, all bear.`,
		Example: `  telecommune enterprise wind-up HOST --text "assembly of 9 August"`,
		Args:    takes(1),
	}
	decisionFlag(c, &r.Text)
	return acting(c, func(d *doing) (err error) {
		r.Enterprise = d.args[0]
		w.NetAssets, err = d.WindUp(d.ctx, d.act, r)
		return err
	}, func(d *doing) (woundUp, error) {
		var err error
		w.Enterprise, err = shownEnterprise(d)
		return w, err
	})
}

func enterpriseDistribute() *cobra.Command {
	var v commune.Distribution
	c := &cobra.Command{
		Use:   "distribute CODE AMOUNT",
		Short: "Give surplus of an enterprise to the pool, by a vote of its workers.",
		Long: `Give surplus of an enterprise to the pool, by a vote of its workers.

Without a vote surplus stays where it was earned. It can be given out of results of closed months, and not while the
enterprise owes rent: rent serves bonds first.`,
		Example: `  telecommune enterprise distribute CALL 5.00 --text "workers of CALL, 3 July, unanimous"`,
		Args:    takes(2),
	}
	decisionFlag(c, &v.Text)
	return acting(c, func(d *doing) (err error) {
		v.Enterprise = d.args[0]
		if v.Amount, err = argument("AMOUNT", d.args[1], parsePrice); err != nil {
			return err
		}
		return d.Distribute(d.ctx, d.act, v)
	}, shownEnterprise)
}

package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "See the policies of the commune that are numbers, and record votes on them.",
	}
	c.AddCommand(policyList(), policyVotes(), policyVote())
	return c
}

func policyList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the policies that are numbers, with the value that counts today.",
		Example: "  telecommune commune policy list",
	}
	return listing(c, func(ctx context.Context, s services, day ledger.Date) ([]commune.PolicyNow, error) {
		return s.commune.PoliciesOn(ctx, day)
	})
}

func policyVotes() *cobra.Command {
	var policy string
	c := &cobra.Command{
		Use:     "votes",
		Short:   "List the votes on policies in their order; a later one takes the place of those before it from its day on.",
		Example: "  telecommune commune policy votes --policy idle-months",
	}
	c.Flags().StringVar(&policy, "policy", "", "`NAME` of the policy")
	return listing(c, func(ctx context.Context, s services, _ ledger.Date) ([]commune.Voted, error) {
		return s.commune.Votes(ctx, policy)
	})
}

func policyVote() *cobra.Command {
	var v commune.Vote
	c := &cobra.Command{
		Use:   "vote NAME VALUE",
		Short: "Record a vote of the members on a policy: its value from a day on.",
		Long: `Record a vote of the members on a policy: its value from a day on.

The vote stands in the minute book for good. It takes the place of all votes before it from its day on; what was closed
before stays as it was closed. The renewal levy of a single month is voted with "telecommune period levy".`,
		Example: `  telecommune commune policy vote idle-months 6 --from 2027-08-01 --text "assembly of 12 July, 9 to 1"`,
		Args:    takes(2),
	}
	parsedFlag(c.Flags(), &v.From, "from", ledger.ParseDate, "first `DATE` on which it counts (default: the day it counts on)")
	c.Flags().StringVar(&v.Text, "text", "", "`TEXT` that says where and how it was taken")
	require(c, "text")
	return acting(c, func(d *doing) (err error) {
		v.Policy = d.args[0]
		if v.Value, err = argument("VALUE", d.args[1], parseCount); err != nil {
			return err
		}
		return d.VotePolicy(d.ctx, d.act, v)
	}, func(d *doing) (commune.Vote, error) {
		v.From = cmp.Or(v.From, d.act.Date, d.day)
		return v, nil
	})
}

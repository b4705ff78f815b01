package replay

import (
	"context"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/internal/money"
)

// The events of members and of what is paid between them, the enterprises and the commune.

// act is what the commune needs to know of an event.
func (r *run) act(e *event) commune.Act {
	return commune.Act{Key: r.key(e.n), Actor: "replay", At: e.at, Date: e.date}
}

func (r *run) memberJoin(ctx context.Context, e *event) error {
	id := e.ident("member")
	j := commune.Joining{Member: r.name(id)}
	if e.has("contribution") {
		work := e.object.object("contribution")
		j.Enterprise = r.book(work.ident("enterprise"))
		j.AttestedBy = r.name(work.optText("attested_by", ""))
		e.keep(work.done())
	}
	if err := e.done(); err != nil {
		return err
	}
	if err := r.commune.Join(ctx, r.act(e), j); err != nil {
		return refused(e, err)
	}
	if _, known := r.world.members[id]; !known {
		r.world.members[id] = member{joined: e.date} // who may rent something from now on
	}
	return nil
}

func (r *run) memberLeave(ctx context.Context, e *event) error {
	member := r.known(e, "member")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.Leave(ctx, r.act(e), member))
}

func (r *run) remuneration(ctx context.Context, e *event) error {
	w := commune.Wage{Enterprise: r.book(e.ident("enterprise")), Member: r.known(e, "member"), Amount: e.amount("amount", money.Cent, money.Cent)}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.EarnWage(ctx, r.act(e), w))
}

func (r *run) remunerationPaid(ctx context.Context, e *event) error {
	w := commune.Wage{Enterprise: r.book(e.ident("enterprise")), Member: r.known(e, "member"), Amount: e.optAmount("amount", money.Cent, money.Cent, 0)}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.PayWage(ctx, r.act(e), w))
}

func (r *run) mutualExpense(ctx context.Context, e *event) error {
	amount, text := e.amount("amount", money.Cent, money.Cent), plain(e.optText("text", ""))
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.NoteExpense(ctx, r.act(e), amount, text))
}

func (r *run) rentPaid(ctx context.Context, e *event) error {
	p := commune.RentPayment{
		Agreement: r.known(e, "agreement"), Period: e.period("period"),
		Amount: e.optAmount("amount", money.Cent, money.Cent, 0), Offset: e.optAmount("offset", money.Cent, money.Cent, 0),
	}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.PayRent(ctx, r.act(e), p))
}

func (r *run) rentUnpaid(ctx context.Context, e *event) error {
	agreement, period := r.known(e, "agreement"), e.period("period")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.LeaveRentUnpaid(ctx, r.act(e), agreement, period))
}

func (r *run) rentWriteOff(ctx context.Context, e *event) error {
	agreement, period := r.known(e, "agreement"), e.period("period")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.WriteRentOff(ctx, r.act(e), agreement, period))
}

func (r *run) depositPaid(ctx context.Context, e *event) error {
	agreement, amount := r.known(e, "agreement"), e.amount("amount", money.Cent, money.Cent)
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.PayDeposit(ctx, r.act(e), agreement, amount))
}

func (r *run) depositApplied(ctx context.Context, e *event) error {
	agreement := r.known(e, "agreement")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.DepositApplied(ctx, r.act(e), agreement))
}

func (r *run) depositRefund(ctx context.Context, e *event) error {
	agreement := r.known(e, "agreement")
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.RefundDeposit(ctx, r.act(e), agreement))
}

func (r *run) voteLevy(ctx context.Context, e *event) error {
	period := e.period("period")
	var l commune.Levy
	if e.has("amount") == e.has("bps") {
		e.fail(badScenario, "want one of amount and bps")
	}
	l.Amount = e.optAmount("amount", 0, money.Cent, 0)
	if l.BPS = e.optInteger("bps", 0, 0); l.BPS > 10_000 {
		e.fail(badScenario, "bps %d", l.BPS)
	}
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.VoteLevy(ctx, r.act(e), period, l))
}

func (r *run) dividendElection(ctx context.Context, e *event) error {
	election := commune.Election{Member: r.known(e, "member")}
	switch to := e.text("to"); to {
	case "bank":
	case "credit":
		id, a := r.holder(e)
		election.Enterprise, election.Account = r.book(a.enterprise), billing.CreditAccount(r.name(id))
	default:
		e.fail(badScenario, "to %q", to)
	}
	if err := e.done(); err != nil {
		return err
	}
	_, err := r.commune.PayDividend(ctx, r.act(e), election)
	return refused(e, err)
}

func (r *run) settlement(ctx context.Context, e *event) error {
	enterprise, amount := r.book(e.ident("enterprise")), e.amount("amount", money.Cent, money.Cent)
	if err := e.done(); err != nil {
		return err
	}
	return refused(e, r.commune.Settle(ctx, r.act(e), enterprise, amount))
}

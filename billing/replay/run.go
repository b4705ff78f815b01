package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// event is one step of a run.
type event struct {
	*object
	n     int // from 0
	id    string
	at    time.Time
	date  ledger.Date
	early bool // of a closed period
}

// handlers are the events of the format. A handler reads the fields that are its own, then acts.
var handlers = map[string]func(*run, context.Context, *event) error{
	"topup":             (*run).topUp,
	"voucher_issue":     (*run).voucherIssue,
	"voucher_redeem":    (*run).voucherRedeem,
	"call":              (*run).call,
	"usage":             (*run).usage,
	"asset_request":     (*run).assetRequest,
	"bond_auction":      (*run).bondAuction,
	"acquisition":       (*run).acquisition,
	"gift_asset":        (*run).giftAsset,
	"remuneration":      (*run).remuneration,
	"remuneration_paid": (*run).remunerationPaid,
	"mutual_expense":    (*run).mutualExpense,
	"rent_paid":         (*run).rentPaid,
	"rent_unpaid":       (*run).rentUnpaid,
	"rent_write_off":    (*run).rentWriteOff,
	"deposit_paid":      (*run).depositPaid,
	"deposit_applied":   (*run).depositApplied,
	"deposit_refund":    (*run).depositRefund,
	"notice":            (*run).notice,
	"rental_auction":    (*run).rentalAuction,
	"liquidation":       (*run).liquidation,
	"member_join":       (*run).memberJoin,
	"member_leave":      (*run).memberLeave,
	"vote_levy":         (*run).voteLevy,
	"dividend_election": (*run).dividendElection,
	"settlement":        (*run).settlement,
	"close":             (*run).closePeriod,
}

// all opens the books and runs the events, up to the one named until. A refused event is a *Refusal and leaves no trace.
func (r *run) all(ctx context.Context, events []json.RawMessage, until string) error {
	if err := r.atomic(ctx, func() error { return r.open(ctx) }); err != nil {
		return err
	}
	r.ran[opening] = true
	for i, raw := range events {
		e := &event{object: readObject(fmt.Sprintf("event %d", i), raw), n: i}
		e.id = e.ident("id")
		r.events[i] = e.id
		if until != "" && e.id == until {
			return nil
		}
		err := r.atomic(ctx, func() error { return r.one(ctx, e) })
		if refusal := asRefusal(err); refusal != nil {
			refusal.Event = i
		}
		if err != nil {
			return err
		}
		r.ran[e.id] = true
	}
	if until != "" {
		return fmt.Errorf("there is no event %q to stop at", until)
	}
	return nil
}

func (r *run) one(ctx context.Context, e *event) error {
	kind := e.text("type")
	handle, known := handlers[kind]
	switch {
	case e.defect != nil:
		return e.defect
	case !known:
		return refuse(badScenario, "%s: type %q", e.path, kind)
	case r.ran[e.id]:
		return refuse(duplicateEventID, "%s: %q", e.path, e.id)
	}
	if kind != "close" {
		r.when(e)
	}
	return handle(r, ctx, e)
}

// when reads the moment of an event: a day, or a time with offset that counts on its local day.
func (r *run) when(e *event) {
	s := e.text("at")
	at, err := time.ParseInLocation(time.DateOnly, s, r.world.zone)
	if err != nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		e.fail(badScenario, "at: %.40q is neither a day nor a time with offset", s)
	}
	e.at, e.date = at, ledger.DateOf(at, r.world.zone)
	e.early = e.date < r.next.First()
}

// ready ends the reading of an event that a closed period does not take.
func (e *event) ready() error {
	if err := e.done(); err != nil {
		return err
	}
	if e.early {
		return refuse(periodClosed, "%s: %s", e.path, e.date)
	}
	return nil
}

// holder reads the field `account` and finds it.
func (r *run) holder(e *event) (string, account) {
	id := e.text("account")
	a, known := r.world.accounts[id]
	if !known {
		e.fail(unknownAccount, "%q", id)
	}
	return id, a
}

func (r *run) topUp(ctx context.Context, e *event) error {
	id, a := r.holder(e)
	amount := e.amount("amount", money.Cent, money.Cent)
	if err := e.ready(); err != nil {
		return err
	}
	return r.post(ctx, e, "topup", "Top-up "+id, billing.TopUpLines(r.book(a.enterprise), r.name(id), amount))
}

// voucher is credit on paper.
type voucher struct {
	enterprise string
	amount     money.Amount
	spent      bool
}

func (r *run) voucherIssue(ctx context.Context, e *event) error {
	id, a := r.holder(e)
	name := e.ident("voucher")
	amount := e.amount("amount", money.Micro, money.Micro)
	if err := e.ready(); err != nil {
		return err
	}
	if r.vouchers[name] != nil {
		return refuse(wrongState, "%s: voucher %q was issued before", e.path, name)
	}
	err := r.post(ctx, e, "voucher-issue", "Voucher "+name+" of "+id,
		billing.VoucherIssueLines(r.book(a.enterprise), r.name(id), amount))
	if err == nil {
		r.vouchers[name] = &voucher{enterprise: a.enterprise, amount: amount}
	}
	return err
}

func (r *run) voucherRedeem(ctx context.Context, e *event) error {
	id, a := r.holder(e)
	name := e.ident("voucher")
	v := r.vouchers[name]
	if v == nil {
		e.fail(unknownReference, "voucher %q", name)
	}
	if err := e.ready(); err != nil {
		return err
	}
	if v.spent || v.enterprise != a.enterprise {
		return refuse(wrongState, "%s: voucher %q is spent, or another enterprise's", e.path, name)
	}
	err := r.post(ctx, e, "voucher-redeem", "Voucher "+name+" redeemed by "+id,
		billing.VoucherRedeemLines(r.book(a.enterprise), r.name(id), v.amount))
	if err == nil {
		v.spent = true
	}
	return err
}

func (r *run) call(ctx context.Context, e *event) error {
	id, a := r.holder(e)
	destination, trunkID := e.text("destination"), e.text("trunk")
	seconds := e.integer("answered_seconds", 0)
	t, known := r.world.trunks[trunkID]
	if !known {
		e.fail(unknownReference, "trunk %q", trunkID)
	}
	retail, sold := r.world.retail[destination]
	cost, bought := r.world.carrier[t.carrier][destination]
	if !sold || !bought {
		e.fail(unknownReference, "destination %q by trunk %q", destination, trunkID)
	}
	if err := e.done(); err != nil {
		return err
	}
	if err := r.carry(ctx, e, t, a.enterprise, seconds); err != nil {
		return refused(e, err)
	}
	charge, err := billing.PriceCall(retail, cost, r.world.vat, seconds)
	if err != nil {
		return refuse(amountPrecision, "%s: %v", e.path, err)
	}
	r.calls[e.id] = Call{Billed: charge.Billed, Price: charge.Price, VAT: charge.VAT, Cost: charge.Cost}
	text := fmt.Sprintf("Call %s %s->%s trunk %s %ds", e.id, id, destination, trunkID, seconds)
	err = r.post(ctx, e, "call", text, billing.CallLines(r.book(a.enterprise), r.name(id), r.name(trunkID), r.name(t.carrier), charge))
	if err != nil {
		delete(r.calls, e.id)
	}
	return err
}

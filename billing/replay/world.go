package replay

import (
	"encoding/json"
	"slices"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// scenario is a file as read: the world, the events still raw (each is judged when its turn comes), the expectations.
type scenario struct {
	world       world
	events      []json.RawMessage
	expect      json.RawMessage // none: nothing is compared
	expectError *Refusal
}

// world is what is there before the first event.
type world struct {
	zone        *time.Location
	firstPeriod ledger.Period
	vat         tariff.Percent
	opening     map[string]map[string]money.Amount
	members     map[string]member
	enterprises []string
	accounts    map[string]account
	assets      []commune.Asset // as the scenario writes its ids, like the agreements
	agreements  []commune.Agreement
	trunks      map[string]trunk
	retail      map[string]tariff.Row            // by destination
	carrier     map[string]map[string]tariff.Row // by carrier and destination
}

type account struct{ enterprise string }

type member struct{ joined, left ledger.Date } // left: none, as long as he stays

type trunk struct{ carrier, asset string }

// parse reads a file strictly; unknown and missing fields are refused.
func parse(data []byte) (*scenario, error) {
	o := readObject("scenario", data)
	s := &scenario{}
	s.expectations(o) // first, so that a bad world can be an expected one
	s.world.read(o)
	s.events = o.items("events")
	if err := o.done(); err != nil {
		return s, err
	}
	return s, s.world.references()
}

func (s *scenario) expectations(o *object) {
	if o.has("expect") {
		s.expect = o.take("expect")
	}
	if o.has("expect_error") {
		e := o.object("expect_error")
		s.expectError = &Refusal{Event: e.integer("event", -1), Code: e.text("code")}
		o.keep(e.done())
	}
}

func (w *world) read(o *object) {
	if o.integer("format", 1) != 1 {
		o.fail(badScenario, "only format 1 is known")
	}
	o.text("name")
	o.text("description")
	if c := o.text("currency"); len(c) != 3 {
		o.fail(badScenario, "currency %q", c)
	}
	var err error
	if w.zone, err = time.LoadLocation(o.optText("zone", "UTC")); err != nil {
		o.fail(badScenario, "%v", err)
		w.zone = time.UTC
	}
	w.firstPeriod = o.period("first_period")
	policies := o.object("policies")
	if w.vat, err = tariff.ParsePercent(policies.text("vat_percent")); err != nil {
		policies.fail(amountPrecision, "vat_percent: %v", err)
	}
	o.keep(policies.done())
	w.readOpening(o)
	w.readThings(o)
	w.readTariffs(o)
}

func (w *world) readOpening(o *object) {
	w.opening = map[string]map[string]money.Amount{}
	o.each("opening", func(book string, raw json.RawMessage, path string) {
		balances := map[string]money.Amount{}
		b := readObject(path, raw)
		for account := range b.fields {
			balances[account] = b.amount(account, -maxAmount, money.Micro)
		}
		o.keep(b.done())
		w.opening[book] = balances
	})
}

const maxAmount = money.Amount(1<<63 - 1)

func (w *world) readThings(o *object) {
	w.members, w.accounts, w.trunks = map[string]member{}, map[string]account{}, map[string]trunk{}
	o.list("members", func(m *object) {
		id := m.ident("id")
		joined := m.day("joined")
		var left ledger.Date
		if m.has("left") {
			left = m.day("left")
			if left < joined {
				m.fail(badScenario, "left %s before %s", left, joined)
			}
		}
		newThing(m, w.members, id, member{joined, left})
	})
	books := map[string]bool{"COM": true}
	o.list("enterprises", func(e *object) {
		id := e.ident("id")
		newThing(e, books, id, true)
		w.enterprises = append(w.enterprises, id)
	})
	o.list("accounts", func(a *object) {
		id := a.ident("id")
		newThing(a, w.accounts, id, account{a.text("enterprise")})
		if member := a.optText("member", ""); member != "" {
			if _, known := w.members[member]; !known {
				a.fail(unknownReference, "member %q", member)
			}
		}
	})
	w.readAssets(o)
	o.list("trunks", func(t *object) {
		id := t.ident("id")
		newThing(t, w.trunks, id, trunk{t.text("carrier"), t.optText("asset", "")})
	})
}

// newThing puts a thing under its id, which must be free.
func newThing[T any](o *object, things map[string]T, id string, v T) {
	if _, taken := things[id]; taken {
		o.fail(badScenario, "%q stands there twice", id)
	}
	things[id] = v
}

// day reads a calendar day.
func (o *object) day(name string) ledger.Date {
	d, err := ledger.ParseDate(o.text(name))
	if err != nil {
		o.fail(badScenario, "%s: %v", name, err)
	}
	return d
}

// period reads a month.
func (o *object) period(name string) ledger.Period {
	p, err := ledger.ParsePeriod(o.text(name))
	if err != nil {
		o.fail(badScenario, "%s: %v", name, err)
	}
	return p
}

// readAssets reads what the commune owns at the opening. Since when does not matter.
func (w *world) readAssets(o *object) {
	assets, agreements := map[string]bool{}, map[string]bool{}
	o.list("assets", func(a *object) {
		asset := commune.Asset{
			Code: a.ident("id"), Kind: a.text("kind"), Meter: a.meter(), Cost: a.amount("cost", money.Cent, money.Cent),
			Life: a.integer("life_months", 1), Worn: a.integer("months_depreciated", 0), Acquired: w.firstPeriod.First(),
		}
		newThing(a, assets, asset.Code, true)
		w.assets = append(w.assets, asset)
		if !a.has("agreement") {
			return
		}
		g := a.object("agreement")
		offered := w.readAgreement(g, asset.Meter)
		newThing(g, agreements, offered.Code, true)
		w.agreements = append(w.agreements, commune.Agreement{
			Code: offered.Code, Asset: asset.Code, Start: g.day("start"), Lessee: offered.Lessee, Terms: offered.Terms,
		})
		a.keep(g.done())
	})
}

// meter reads what the use of an asset is measured in.
func (o *object) meter() commune.Meter {
	m := commune.Meter(o.text("meter"))
	if m != commune.Seconds && m != commune.Quantity && m != commune.None {
		o.fail(badScenario, "meter %q", m)
	}
	return m
}

// readAgreement reads the terms of an agreement, and who it is offered to.
func (w *world) readAgreement(o *object, m commune.Meter) commune.Offered {
	g := commune.Offered{Code: o.ident("id")}
	lessee := o.ident("lessee")
	_, isMember := w.members[lessee]
	switch {
	case w.enterprise(lessee):
		g.Enterprise = lessee
	case isMember:
		g.Member = lessee
	default:
		o.fail(unknownReference, "lessee %q", lessee)
	}
	g.Fixed = o.optAmount("fixed", 0, money.Cent, 0)
	g.Minimum = o.optAmount("minimum", 0, money.Cent, 0)
	g.Rate = o.optAmount("rate", 0, money.Micro, 0)
	g.Included = o.included(m)
	return g
}

// included reads what a rent includes: whole seconds, or a quantity in millionths, as the asset is metered.
func (o *object) included(m commune.Meter) int64 {
	if m == commune.Quantity {
		return int64(o.optAmount("included", 0, money.Micro, 0))
	}
	return int64(o.optInteger("included", 0, 0))
}

func (w *world) readTariffs(o *object) {
	w.retail, w.carrier = map[string]tariff.Row{}, map[string]map[string]tariff.Row{}
	t := o.object("tariffs")
	t.each("retail", func(destination string, raw json.RawMessage, path string) {
		r := readObject(path, raw)
		row := rate(r)
		row.GraceSeconds = r.optInteger("grace_seconds", 0, 0)
		row.MinimumCharge = r.optAmount("minimum_charge", 0, money.Micro, 0)
		row.RoundingUnit = r.optAmount("rounding_unit", money.Micro, money.Micro, 100)
		row.RoundingMode = money.Mode(r.optText("rounding_mode", string(money.Up)))
		if row.RoundingMode != money.Up && row.RoundingMode != money.HalfUp {
			r.fail(badScenario, "rounding_mode %q", row.RoundingMode)
		}
		t.keep(r.done())
		w.retail[destination] = row
	})
	t.each("carrier", func(carrier string, raw json.RawMessage, path string) {
		rows := map[string]tariff.Row{}
		c := readObject(path, raw)
		t.keep(c.defect)
		for destination, raw := range c.fields {
			r := readObject(path+"."+destination, raw)
			rows[destination] = rate(r)
			t.keep(r.done())
		}
		w.carrier[carrier] = rows
	})
	o.keep(t.done())
}

// rate reads the fields that retail and carrier rows share. A carrier's is rounded half up to the millionth.
func rate(o *object) tariff.Row {
	return tariff.Row{
		RatePerMinute: o.amount("rate_per_minute", 0, money.Micro),
		ConnectFee:    o.optAmount("connect_fee", 0, money.Micro, 0),
		IntervalFirst: o.optInteger("interval_first", 1, 1),
		IntervalNext:  o.optInteger("interval_next", 1, 1),
		RoundingUnit:  money.Micro,
		RoundingMode:  money.HalfUp,
	}
}

// references finds what names something that is not there. A trunk may be an asset that is acquired by an event.
func (w *world) references() error {
	for id, a := range w.accounts {
		if !w.enterprise(a.enterprise) {
			return refuse(unknownReference, "account %q is of enterprise %q", id, a.enterprise)
		}
	}
	return nil
}

func (w *world) enterprise(id string) bool { return slices.Contains(w.enterprises, id) }

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// The demo's numbers are ones that regulators keep free for films.
const (
	gateway       e164.Number = "+493023125001"
	contactNumber e164.Number = "+493023125002"
	echoNumber    e164.Number = "+493023125003"

	softphoneUser = "softphone"
	carrierUser   = "commune" // alpha asks for a password, beta knows our address
	carrierSecret = "a-secret-of-the-demo"
	exchangeIP    = "127.0.0.2" // the telephone network in which the callers' phones are
)

// scene is one person's call and what must come of it.
type scene struct {
	title   string
	account string
	phone   e164.Number // calling number; none: withheld, so that a PIN is needed
	access  e164.Number
	number  e164.Number // dialled, unless the access number stands for it
	way     map[string]simcarrier.Behaviour
	want    result
}

// result is what a call left in the database.
type result struct {
	outcome          billing.Outcome
	seconds          int
	price, vat, cost money.Amount
	trunks           string // tried, in order
}

// The figures are worked out by hand from the decks below: seconds * rate / 60, rounded up to 0.0001; VAT is 19/119 of
// that; the carrier's part is seconds * rate / 60.
var scenes = []scene{
	{
		title: "Anna calls London from a borrowed phone, with her PIN", account: "anna", access: gateway,
		number: "+442079460101", way: everywhere(talk),
		want: result{billing.Answered, 3, 6_000, 958, 2_500, "alpha"},
	},
	{
		title: "Boris calls New York; his phone is known", account: "boris", phone: "+491713920002", access: gateway,
		number: "+12125550101", way: everywhere(talk),
		want: result{billing.Answered, 3, 4_500, 718, 1_500, "alpha"},
	},
	{
		title: "Dora calls her aunt by a number of its own; alpha is down, beta takes over", account: "dora",
		phone: "+491713920004", access: contactNumber, number: "+442079460103",
		way:  map[string]simcarrier.Behaviour{"alpha": {Status: 503}, "beta": talk},
		want: result{billing.Answered, 3, 6_000, 958, 3_500, "alpha beta"},
	},
	{
		title: "Emil calls New York and finds the line busy", account: "emil", phone: "+491713920005", access: gateway,
		number: "+12125550186", way: everywhere(simcarrier.Behaviour{Status: 486}),
		want: result{outcome: billing.Busy, trunks: "alpha"},
	},
	{
		title: "Carl calls a mobile with 12 cents left; after 12 seconds he is cut off", account: "carl",
		phone: "+491713920003", access: gateway,
		number: "+447700900123", way: everywhere(simcarrier.Behaviour{Ring: time.Second, Sound: simcarrier.Tone}),
		want: result{billing.Answered, 12, 120_000, 19_160, 60_000, "alpha"},
	},
}

// talk rings a second, answers, and hangs up after two and a half.
var talk = simcarrier.Behaviour{Ring: time.Second, Sound: simcarrier.Tone, HangUp: 2500 * time.Millisecond}

func everywhere(b simcarrier.Behaviour) map[string]simcarrier.Behaviour {
	return map[string]simcarrier.Behaviour{"alpha": b, "beta": b}
}

var decks = []struct {
	kind tariff.Kind
	name string
	rows string
}{
	{tariff.Retail, "retail", "44,United Kingdom,0.12\n4477,UK mobile,0.60\n1,USA and Canada,0.09\n"},
	{tariff.Trunk, "alpha", "44,United Kingdom,0.05\n4477,UK mobile,0.30\n1,USA and Canada,0.03\n"},
	{tariff.Trunk, "beta", "44,United Kingdom,0.07\n4477,UK mobile,0.35\n1,USA and Canada,0.04\n"},
}

var people = []struct {
	code, name string
	credit     money.Amount
}{
	{"anna", "Anna Arendt", 10 * money.Unit},
	{"boris", "Boris Bauer", 5 * money.Unit},
	{"carl", "Carl Cohn", 12 * money.Cent},
	{"dora", "Dora Diaz", 5 * money.Unit},
	{"emil", "Emil Eriksson", 5 * money.Unit},
}

// world is what the demo made that its callers need to know.
type world struct {
	carriers []*simcarrier.Carrier
	pins     map[string]string // by account
	password string            // of the softphone
	month    ledger.Period     // of the commune
}

func (w world) close() {
	for _, c := range w.carriers {
		c.Close()
	}
}

// build fills the empty database and starts the carriers.
func (d *demo) build(ctx context.Context) error {
	vat, err := tariff.ParsePercent("19")
	if err != nil {
		return err
	}
	if _, err := d.app.bank.SetVAT(ctx, "CALL", vat); err != nil {
		return err
	}
	return errors.Join(d.buildWaysIn(ctx), d.buildTrunks(ctx), d.buildPeople(ctx), d.buildCommune(ctx), d.app.picture.refresh(ctx))
}

func (d *demo) buildWaysIn(ctx context.Context) error {
	network, err := pbx.ParseAddress(exchangeIP)
	if err != nil {
		return err
	}
	d.world.password = pbx.NewPassword()
	store := pbx.NewStore(d.app.db.DB)
	for _, p := range []pbx.Provider{
		{Code: "pstn", Address: network, TrustCallerID: true},
		{Code: "softphones", User: softphoneUser, Password: d.world.password},
	} {
		if err := store.AddProvider(ctx, p); err != nil {
			return err
		}
	}
	for number, service := range map[e164.Number]pbx.Service{
		gateway: pbx.Gateway, contactNumber: pbx.Contact, echoNumber: pbx.Echo,
	} {
		n := pbx.AccessNumber{Number: number, Provider: "pstn", Country: "DE", Language: "en", Service: service}
		if _, err := store.AddAccessNumber(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) buildTrunks(ctx context.Context) error {
	for _, code := range []string{"alpha", "beta"} {
		c := simcarrier.CarrierConfig{
			Default: simcarrier.Behaviour{Ring: 2 * time.Second, Sound: simcarrier.Echo},
			Numbers: map[string]simcarrier.Behaviour{},
		}
		t := routing.Trunk{Code: code, Carrier: code, Transport: "udp", Channels: 30, Enabled: true, Asset: code}
		if code == "alpha" {
			c.User, c.Password, t.User, t.Password = carrierUser, carrierSecret, carrierUser, carrierSecret
		}
		for _, s := range scenes {
			c.Numbers[s.number.Digits()] = s.way[code]
		}
		carrier, err := simcarrier.Start(ctx, c)
		if err != nil {
			return err
		}
		d.world.carriers = append(d.world.carriers, carrier)
		t.Address, t.Probe = carrier.Addr(), 30
		if _, err := d.app.picture.routing.AddTrunk(ctx, t); err != nil {
			return err
		}
	}
	// Carl's mobile is of a range kept for films: nobody has it, so no numbering plan knows it.
	films := routing.Rule{Prefix: "447700900", Action: routing.Allow, Text: "numbers for films, which the demo calls"}
	if err := d.app.picture.routing.SetRule(ctx, films); err != nil {
		return err
	}
	store := tariff.NewStore(d.app.db.DB)
	for _, deck := range decks {
		spec := tariff.Spec{Kind: deck.kind, Name: deck.name, Currency: "EUR", Source: "the demo"}
		parsed, err := tariff.ParseDeck(strings.NewReader("prefix,destination,rate_per_minute\n"+deck.rows), spec)
		if err != nil {
			return err
		}
		if _, err := store.Import(ctx, parsed); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) buildPeople(ctx context.Context) error {
	bank := d.app.bank
	d.world.pins = map[string]string{}
	for _, p := range people {
		if _, err := bank.AddAccount(ctx, billing.NewAccount{Code: p.code, Name: p.name}); err != nil {
			return err
		}
		if _, err := bank.TopUp(ctx, billing.TopUp{Account: p.code, Amount: p.credit, Text: "Cash at the demo"}); err != nil {
			return err
		}
		pin, err := bank.IssuePIN(ctx, p.code)
		if err != nil {
			return err
		}
		d.world.pins[p.code] = pin
	}
	for _, s := range scenes {
		if s.phone == "" {
			continue
		}
		if err := bank.AddPhone(ctx, billing.Phone{Number: s.phone, Account: s.account}); err != nil {
			return err
		}
		if s.access == contactNumber {
			entry := billing.ContactEntry{Account: s.account, AccessNumber: s.access, Number: s.number, Label: "aunt"}
			if err := bank.SetContact(ctx, entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// act plays one scene: a phone dials the access number, types what is asked for, and hangs up when the call is over.
func (d *demo) act(ctx context.Context, s scene) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	phone, err := simcarrier.NewPhone(ctx, simcarrier.PhoneConfig{
		Server: d.app.engine.Addr().String(), Listen: freeAddress(exchangeIP),
		Number: string(s.phone), Withhold: s.phone == "",
	})
	if err != nil {
		return err
	}
	defer phone.Close()
	call, err := phone.Call(ctx, string(s.access))
	if err != nil {
		return fmt.Errorf("%s: %w", s.title, err)
	}
	var keys string
	if s.phone == "" {
		keys = d.world.pins[s.account]
	}
	if s.access == gateway {
		keys += "00" + s.number.Digits() + "#"
	}
	if keys != "" {
		if err := call.Dial(ctx, keys); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	if err := d.over(ctx, s, call); err != nil {
		return fmt.Errorf("%s: %w", s.title, err)
	}
	call.Hangup()
	d.say("  %s", s.title)
	return nil
}

// over waits until the caller's part of the scene is done: the exchange hung up, or the call is over and another number
// is asked for.
func (d *demo) over(ctx context.Context, s scene, call *simcarrier.Call) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-call.Done():
			return nil
		case <-tick.C:
		}
		calls, err := d.app.bank.Calls(ctx, billing.CallFilter{Account: s.account})
		if err != nil {
			return err
		}
		if len(calls) > 0 && calls[0].EndedAt != nil && s.account != "carl" {
			return nil
		}
	}
}

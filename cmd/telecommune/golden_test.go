package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/replay"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/pbx/simcarrier"
)

// TestGoldenMonth does the golden month of the scenarios the long way: a commune that comes from other books opens its own,
// buys a trunk with bonds, and its callers dial in with telephones. Every command is one that somebody could type, every
// call is one of SIP and RTP to a carrier, at the scenario's instants by a clock that stands still. Then the month is
// closed, and the dividends are paid. The books end as the scenario says, to the millionth.
func TestGoldenMonth(t *testing.T) {
	g := newGoldenMonth(t)
	g.buildWorld()
	var calls []goldenEvent
	for _, e := range g.Events {
		at := g.instant(e)
		switch e.Type {
		case "call":
			g.clock.set(at)
			g.call(e, len(calls)%2 == 0)
			calls = append(calls, e)
		case "close":
			g.clock.set(time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC))
			g.closeMonth(e.Period)
		default:
			g.clock.set(at.Add(8 * time.Hour))
			g.command(e)
		}
	}
	g.checkBalances()
	g.checkJournal()
	g.checkBonds()
	g.checkCalls(calls)
	g.checkPapers()
	g.checkExports()
}

// golden is the scenario, as far as this test reads it.
type golden struct {
	Opening map[string]map[string]money.Amount
	Members []struct{ ID, Joined string }
	Assets  []struct {
		ID, Kind, Meter string
		Cost            money.Amount
		Life            int `json:"life_months"`
		Worn            int `json:"months_depreciated"`
		Agreement       struct {
			ID, Lessee, Start string
			Minimum, Rate     money.Amount
		}
	}
	Tariffs struct {
		Retail  map[string]goldenRate
		Carrier map[string]map[string]goldenRate
	}
	Events []goldenEvent
	Expect struct {
		Balances map[string]map[string]money.Amount
		Periods  map[ledger.Period]commune.Figures
		Auctions map[string]goldenAuction
		Calls    map[string]struct {
			Billed           int
			Price, VAT, Cost money.Amount
		}
		Journal []replay.Entry
	}
}

type goldenRate struct {
	Rate    money.Amount `json:"rate_per_minute"`
	Minimum money.Amount `json:"minimum_charge"`
	Unit    money.Amount `json:"rounding_unit"`
	Mode    string       `json:"rounding_mode"`
}

type goldenEvent struct {
	ID, Type, At, Period                         string
	Account, Destination, Trunk, Voucher         string
	Member, Asset, Series, Kind, Meter, Text, To string
	Enterprise                                   string
	Seconds                                      int `json:"answered_seconds"`
	Life                                         int `json:"life_months"`
	Term                                         int `json:"term_months"`
	Cap                                          int `json:"cap_bps"`
	Amount, Price, Offer                         money.Amount
	Bids                                         []commune.Bid
	Agreement                                    json.RawMessage // its code, or the offer of one
}

type goldenAuction struct {
	Status              string
	RateBPS             int `json:"rate_bps"`
	Allotments, Refunds map[string]money.Amount
}

// What the scenario leaves open: numbers, what the decks call them by, what each trunk is used for, whose phone is whose.
const (
	goldenAccess = "+493023125001"
	goldenBusy   = "+380501234586" // the carrier says so
)

var (
	goldenNumbers  = map[string]string{"CA-fixed": "+16132345678", "UA-mobile": "+380501234567", "NG-mobile": "+2348031234567", "DE-fixed": "+493023125099"}
	goldenPrefixes = map[string]string{"CA-fixed": "1613", "UA-mobile": "38050", "NG-mobile": "234", "DE-fixed": "4930"}
	goldenDecks    = map[string][]string{"A": {"CA-fixed", "UA-mobile"}, "B": {"NG-mobile", "DE-fixed"}}
	goldenPhones   = map[string]string{"C1": "+491713920001", "C2": "+491713920002", "C3": "+491713920003"}
)

// handClock stands still until it is set.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

type goldenMonth struct {
	*testing.T
	golden

	ctx      context.Context // with the clock
	clock    *handClock
	state    string
	app      *app
	carriers map[string]*simcarrier.Carrier
	cue      chan struct{}     // makes the carrier hang up
	vouchers map[string]string // their codes by the scenario's names
	wages    map[string]money.Amount
}

func newGoldenMonth(t *testing.T) *goldenMonth {
	t.Helper()
	text, err := os.ReadFile("../../billing/replay/testdata/02-golden-june.json")
	if err != nil {
		t.Fatal(err)
	}
	clock := &handClock{at: time.Date(2027, 6, 1, 8, 0, 0, 0, time.UTC)}
	g := &goldenMonth{
		T: t, ctx: context.WithValue(t.Context(), clockKey{}, clock.now), clock: clock, state: freshState(t),
		carriers: map[string]*simcarrier.Carrier{}, cue: make(chan struct{}), vouchers: map[string]string{}, wages: map[string]money.Amount{},
	}
	if err := json.Unmarshal(text, &g.golden); err != nil {
		t.Fatal(err)
	}
	g.serve()
	return g
}

// do runs a command that must go well; FILE in it is a file of that content.
func (g *goldenMonth) do(line string, content ...string) string {
	g.Helper()
	args := words(line)
	for i, arg := range args {
		if arg == "FILE" {
			args[i] = file(g.T, "file", content[0])
		}
	}
	var out, errs strings.Builder
	code := run(g.ctx, append(args, "-o", "json", "--state", g.state), streams{strings.NewReader(""), &out, &errs})
	if code != 0 || errs.Len() > 0 {
		g.Fatalf("telecommune %s: exit %d, %s", line, code, errs.String())
	}
	return out.String()
}

// instant is when an event happens; a close has none.
func (g *goldenMonth) instant(e goldenEvent) time.Time {
	at, err := time.Parse(time.DateOnly, e.At)
	if err != nil {
		at, _ = time.Parse(time.RFC3339, e.At)
	}
	return at
}

// buildWorld makes what is there on the morning of the first of June.
func (g *goldenMonth) buildWorld() {
	g.do("provider add pstn --address 127.0.0.2")
	g.do("access-number add " + goldenAccess + " --provider pstn --country DE")
	for account, number := range goldenPhones {
		g.do("account add " + account + " --call-limit 14400") // K04 is longer than the two hours of an account that is not asked
		g.do("phone add " + number + " --account " + account)
	}
	g.do("books opening FILE", g.openingFile())
	retail := "prefix,destination,rate_per_minute,minimum_charge,rounding_unit,rounding_mode\n"
	for destination, r := range g.Tariffs.Retail {
		retail += fmt.Sprintf("%s,%s,%s,%s,%s,%s\n", goldenPrefixes[destination], destination, r.Rate, r.Minimum, r.Unit, r.Mode)
	}
	g.do("deck import FILE --retail retail --from 2027-06-01", retail)
	g.connect("B")
}

// openingFile writes the scenario's opening as a treasurer would.
func (g *goldenMonth) openingFile() string {
	text := "first_period = \"2027-06\"\n"
	for book, accounts := range g.Opening {
		text += "[balances." + book + "]\n"
		for account, balance := range accounts {
			text += fmt.Sprintf("%q = %s\n", account, balance)
		}
	}
	for _, m := range g.Members {
		text += fmt.Sprintf("[[member]]\ncode = %q\njoined = %s\n", m.ID, m.Joined)
	}
	for _, a := range g.Assets {
		r := a.Agreement
		text += fmt.Sprintf("[[asset]]\ncode = %q\nkind = %q\nmeter = %q\ncost = %s\nlife_months = %d\nmonths_depreciated = %d\n",
			a.ID, a.Kind, a.Meter, a.Cost, a.Life, a.Worn)
		text += fmt.Sprintf("[asset.agreement]\ncode = %q\nlessee = %q\nstart = %s\nminimum = %s\nrate = %s\n",
			r.ID, r.Lessee, r.Start, r.Minimum, r.Rate)
	}
	return text
}

// connect makes the trunk of an asset, with a carrier at its other end and the deck of what it is used for.
func (g *goldenMonth) connect(code string) {
	answers := simcarrier.Behaviour{Ring: 20 * time.Millisecond, Sound: simcarrier.Tone, Cue: g.cue}
	carrier, err := simcarrier.Start(g.ctx, simcarrier.CarrierConfig{
		Default: answers, Numbers: map[string]simcarrier.Behaviour{goldenBusy[1:]: {Status: 486}},
	})
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(carrier.Close)
	g.carriers[code] = carrier
	g.do("trunk add " + code + " --carrier K1 --asset " + code + " --address " + carrier.Addr())
	deck := "prefix,destination,rate_per_minute\n"
	for _, destination := range goldenDecks[code] {
		deck += fmt.Sprintf("%s,%s,%s\n", goldenPrefixes[destination], destination, g.Tariffs.Carrier["K1"][destination].Rate)
	}
	g.do("deck import FILE --trunk "+code+" --from 2027-06-01", deck)
	g.until(g.ctx, "serve to see trunk "+code, func() bool {
		_, known := g.app.picture.routes.Load().Decks().Trunk(code, e164.Number(goldenNumbers[goldenDecks[code][0]]), g.clock.now())
		return known
	})
}

// command does an event by the command for it.
func (g *goldenMonth) command(e goldenEvent) {
	g.Helper()
	switch e.Type {
	case "topup":
		g.do(fmt.Sprintf("account topup %s %s", e.Account, e.Amount))
	case "voucher_issue":
		issued := decode[struct{ Code string }](g.T, g.do(fmt.Sprintf("voucher issue %s --account %s", e.Amount, e.Account)))
		g.vouchers[e.Voucher] = issued.Code
	case "voucher_redeem":
		g.do(fmt.Sprintf("voucher redeem %q --account %s", g.vouchers[e.Voucher], e.Account))
	case "asset_request":
		var r struct {
			ID, Lessee  string
			Fixed, Rate money.Amount
		}
		if err := json.Unmarshal(e.Agreement, &r); err != nil {
			g.Fatal(err)
		}
		g.do(fmt.Sprintf("asset request %s --member %s --kind %s --price %s --life %d --meter %s --agreement %s --lessee %s --fixed %s --rate %s",
			e.Asset, e.Member, e.Kind, e.Price, e.Life, e.Meter, r.ID, r.Lessee, r.Fixed, r.Rate))
	case "bond_auction":
		g.auction(e)
	case "acquisition":
		g.do("asset acquire " + e.Asset)
		g.connect(e.Asset)
	case "remuneration":
		g.wages[e.Member] = e.Amount
		g.do(fmt.Sprintf("enterprise wage %s %s %s", e.Enterprise, e.Member, e.Amount))
	case "remuneration_paid": // all of it
		g.do(fmt.Sprintf("enterprise pay-wage %s %s %s", e.Enterprise, e.Member, g.wages[e.Member]))
	case "mutual_expense":
		g.do(fmt.Sprintf("period expense %s --text %q", e.Amount, e.Text))
	case "rent_paid":
		g.do(fmt.Sprintf("rent pay %s %s", strings.Trim(string(e.Agreement), `"`), e.Period))
	case "dividend_election":
		line := "member pay " + e.Member
		if e.To == "credit" {
			line += " --credit " + e.Account
		}
		g.do(line)
	default:
		g.Fatalf("no command does %s", e.Type)
	}
}

func (g *goldenMonth) auction(e goldenEvent) {
	g.Helper()
	bids := "bidder,rate_bps,amount\n"
	for _, b := range e.Bids {
		bids += fmt.Sprintf("%s,%d,%s\n", b.Bidder, b.RateBPS, b.Amount)
	}
	out := g.do(fmt.Sprintf("bond auction %s --asset %s --offer %s --cap-bps %d --term %d --bids FILE", e.Series, e.Asset, e.Offer, e.Cap, e.Term), bids)
	if got, want := decode[goldenAuction](g.T, out), g.Expect.Auctions[e.Series]; fmt.Sprint(got) != fmt.Sprint(want) {
		g.Errorf("auction %s: %+v, want %+v", e.Series, got, want)
	}
}

// serve runs the service for the length of the test.
func (g *goldenMonth) serve() {
	g.Helper()
	c := defaultConfig()
	c.State, c.SIP, c.HTTP, c.RTPPorts, c.Node = g.state, "127.0.0.1:0", "127.0.0.1:0", "", "golden"
	c.Prompts = []string{g.TempDir()} // without clips nobody waits for a voice
	var err error
	if g.app, err = openApp(g.ctx, c, quiet()); err != nil {
		g.Fatal(err)
	}
	ready := make(chan struct{})
	g.app.ready = func() { close(ready) }
	ctx, stop := context.WithCancel(g.ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.app.Run(ctx) }()
	g.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			g.Error(err)
		}
		if err := g.app.Close(); err != nil {
			g.Error(err)
		}
	})
	<-ready
}

// call makes a call of the scenario with a telephone that dials the access number and then the number. Clocks move on by
// the time that is talked, and then the caller hangs up or the carrier does.
func (g *goldenMonth) call(e goldenEvent, byCaller bool) {
	g.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, 20*time.Second)
	defer cancel()
	phone, err := simcarrier.NewPhone(ctx, simcarrier.PhoneConfig{
		Server: g.app.engine.Addr().String(), Listen: freeAddress("127.0.0.2"), Number: goldenPhones[e.Account], INFO: true,
	})
	if err != nil {
		g.Fatal(err)
	}
	defer phone.Close()
	call, err := phone.Call(ctx, goldenAccess)
	if err != nil {
		g.Fatalf("%s: %v", e.ID, err)
	}
	number := goldenNumbers[e.Destination]
	if e.Seconds == 0 {
		number = goldenBusy
	}
	if err := call.Dial(ctx, "00"+number[1:]+"#"); err != nil {
		g.Fatalf("%s: %v", e.ID, err)
	}
	if e.Seconds > 0 {
		if err := call.WaitHeard(ctx, func(h simcarrier.Heard) bool { return h.Tone > 3 }); err != nil {
			g.Fatalf("%s: %v", e.ID, err)
		}
		g.until(ctx, e.ID+" to be a talk", func() bool {
			live := g.app.exchange.Live()
			return len(live) == 1 && live[0].State == pbx.Talking
		})
		g.clock.set(g.clock.now().Add(time.Duration(e.Seconds) * time.Second))
		if !byCaller {
			g.cue <- struct{}{}
		}
	}
	if e.Seconds == 0 || !byCaller { // the caller hears what became of it
		g.until(ctx, e.ID+" to be settled", func() bool {
			calls, err := g.app.bank.Calls(ctx, billing.CallFilter{From: g.instant(e)})
			return err == nil && len(calls) > 0 && calls[0].EndedAt != nil
		})
	}
	call.Hangup()
	g.until(ctx, e.ID+" to be over", func() bool { return len(g.app.exchange.Live()) == 0 })
}

// until asks again and again until is.
func (g *goldenMonth) until(ctx context.Context, what string, is func() bool) {
	g.Helper()
	for !is() {
		select {
		case <-ctx.Done():
			g.Fatalf("waited for %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

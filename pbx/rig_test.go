package pbx_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/pbx/prompt/prompttest"
	"telecommune/routing"
)

// exchange is a pbx.Exchange with fakes around it.
type exchange struct {
	*pbx.Exchange
	t       *testing.T
	bank    *bank
	config  pbx.Config
	stop    func() // ends Run
	stopped chan error

	calls     chan *line
	parties   map[string]party // by trunk
	bridging  func() error
	left      func(calls []pbx.Unled) (map[uuid.UUID]pbx.Left, error) // by an earlier run; nil: nothing
	mu        sync.Mutex                                              // for the next two
	dialled   []pbx.Target
	far       []*line
	admission *pbx.Admission
	trunks    []routing.Trunk
	channel   map[string]int // channels of trunks
	shape     func(*routing.Trunk)
}

const (
	gateway = e164.Number("+49305550100")
	contact = e164.Number("+49305550101")
	echo    = e164.Number("+49305550102")
	anna    = e164.Number("+49301234567")
	kyiv    = "00380441234567"
	goodPIN = "123456789012"
)

// onExchange runs a story in a bubble of fake time, and checks afterwards what holds after every story. The story sets
// the fakes up before its first call.
//
// It runs on one processor. The bubble's timers have one context of the race detector between them, but whoever looks at
// the channel of a timer that has expired meanwhile runs it; two at once, as the tickers of two calls may be, destroy that
// context, and the detector ends the process (Go issue 78156). What races is found all the same: by what happens before
// what, and not by what happens at once.
func onExchange(t *testing.T, story func(x *exchange)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	prompts := prompttest.Library(t)
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{
			t: t, calls: make(chan *line), parties: map[string]party{}, stopped: make(chan error, 1),
			channel: map[string]int{},
			bank: &bank{
				phones:   map[e164.Number]billing.Caller{anna: caller("anna")},
				pins:     map[string]billing.Caller{goodPIN: caller("ben")},
				contacts: map[string]e164.Number{"anna": "+380441234567"},
				seconds:  7200, held: map[billing.CallID]int{}, away: map[string]bool{}, panics: map[string]bool{},
				takes: map[string]time.Duration{},
			},
			admission: &pbx.Admission{Numbers: map[e164.Number]pbx.AccessNumber{
				gateway: {Number: gateway, Country: "DE", Language: "en", Service: pbx.Gateway},
				contact: {Number: contact, Country: "DE", Language: "en", Service: pbx.Contact},
				echo:    {Number: echo, Country: "DE", Language: "xx", Service: pbx.Echo},
			}},
		}
		x.config = pbx.Config{
			Switch: x, Callers: x.bank, Credit: x.bank, Signs: x.bank.storeSigns, Attempts: x.bank.recordAttempts,
			Routes: x.routes, Gate: routing.NewGate(), Admission: func() *pbx.Admission { return x.admission },
			Prompts: prompts, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Drain: time.Minute,
		}
		defer x.checkAfter()
		story(x)
	})
}

// start starts the exchange; call does so at the first call.
func (x *exchange) start() {
	if x.Exchange != nil {
		return
	}
	x.Exchange = pbx.New(x.config)
	ctx, cancel := context.WithCancel(x.t.Context())
	x.stop = cancel
	go func() { x.stopped <- x.Exchange.Run(ctx) }()
}

// checkAfter stops the exchange and holds what every story must leave: no hold, a row for each access call and no two
// for a call, no leg up, no channel taken, no caller in the register.
func (x *exchange) checkAfter() {
	x.start()
	x.stop()
	if err := <-x.stopped; err != nil {
		x.t.Errorf("Run: %v", err)
	}
	b := x.bank
	for call := range b.held {
		if !b.away["Settle"] {
			x.t.Errorf("hold of %s is left", call)
		}
	}
	rows := map[billing.CallID]bool{}
	for _, c := range b.closings {
		if rows[c.Call] {
			x.t.Errorf("two rows for %s", c.Call)
		}
		rows[c.Call] = true
	}
	for _, s := range b.settled {
		if rows[s.Call] {
			x.t.Errorf("two rows for %s", s.Call)
		}
		rows[s.Call] = true
	}
	for _, far := range x.far {
		if !far.ended() {
			x.t.Error("a far leg is left up")
		}
	}
	for _, trunk := range x.trunks {
		trunk.Channels = 1
		if reason := x.config.Gate.Full(trunk); reason == routing.Full {
			x.t.Errorf("a channel of %s is still taken", trunk.Code)
		}
	}
	if left := x.Live(); len(left) > 0 {
		x.t.Errorf("still live: %+v", left)
	}
}

// routes has two trunks to Ukraine, cheap before dear, one more to Germany, and a retail deck with a free number.
func (x *exchange) routes() *routing.Snapshot {
	row := func(prefix string, rate money.Amount) tariff.Row {
		return tariff.Row{
			Prefix: prefix, RatePerMinute: rate, IntervalFirst: 1, IntervalNext: 1, RoundingUnit: 1,
			RoundingMode: money.HalfUp,
		}
	}
	deck := func(kind tariff.Kind, name string, rows ...tariff.Row) tariff.Deck {
		d := tariff.Deck{Rows: rows}
		d.Kind, d.Name, d.Version, d.Currency = kind, name, 1, "EUR"
		return d
	}
	x.trunks = nil
	for _, code := range []string{"cheap", "dear", "third"} {
		x.trunks = append(x.trunks, routing.Trunk{Code: code, Carrier: "c-" + code, Channels: x.channel[code], Enabled: true})
		if x.shape != nil {
			x.shape(&x.trunks[len(x.trunks)-1])
		}
	}
	return routing.NewSnapshot(x.trunks, tariff.NewDecks([]tariff.Deck{
		deck(tariff.Retail, "retail", row("380", 19_000), row("49", 10_000), row("43", 10_000)),
		deck(tariff.Trunk, "cheap", row("380", 5_000)),
		deck(tariff.Trunk, "dear", row("380", 8_000)),
		deck(tariff.Trunk, "third", row("380", 9_000), row("49", 1_000)),
	})).With(routing.Rules{Ours: slices.Collect(maps.Keys(x.admission.Numbers))})
}

// phone is a caller at his telephone.
type phone struct {
	*line
	x *exchange
	t *testing.T
}

// call comes in on an access number, with the caller's number vouched for.
func (x *exchange) call(access, from e164.Number) *phone {
	return x.callAs(pbx.Inbound{Called: access, Caller: from, Provider: "pstn", Trusted: true})
}

func (x *exchange) callAs(in pbx.Inbound) *phone {
	x.start()
	l := newLine(in)
	x.calls <- l
	return &phone{l, x, x.t}
}

// hears waits until these clips have been spoken, in this order, with whatever between them.
func (p *phone) hears(names ...prompt.Phrase) {
	p.t.Helper()
	for _, name := range names {
		for deadline := time.After(time.Hour); ; {
			select {
			case clip := <-p.spoken:
				if clip == string(name) {
					break
				}
				continue
			case <-p.done:
				p.t.Fatalf("the call ended before %q was heard; it went: %v", name, p.events)
			case <-deadline:
				p.t.Fatalf("%q was not heard; it went: %v", name, p.events)
			}
			break
		}
	}
}

// types dials digits.
func (p *phone) types(digits string) {
	if b := p.joined(); b != nil {
		for _, d := range []byte(digits) {
			b.digits <- d
		}
		return
	}
	for _, d := range []byte(digits) {
		p.keys <- d
	}
}

func (p *phone) hangsUp() { p.finish(pbx.ByPeer, 16) }

// waits until the line is dead, and the exchange at rest.
func (p *phone) waits() {
	<-p.done
	time.Sleep(time.Minute) // fake time: what is being recorded gets there
	synctest.Wait()
}

// talks waits until the two sides are joined.
func (p *phone) talks() {
	p.t.Helper()
	for range 1000 {
		synctest.Wait()
		if p.joined() != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.t.Fatalf("nobody answers; it went: %v", p.events)
}

// expect compares what the bank was asked.
func (x *exchange) expect(want ...string) {
	x.t.Helper()
	x.bank.mu.Lock()
	defer x.bank.mu.Unlock()
	if !slices.Equal(x.bank.log, want) {
		x.t.Errorf("the bank was asked\n  %s\nwant\n  %s", strings.Join(x.bank.log, "\n  "), strings.Join(want, "\n  "))
	}
}

func caller(account string) billing.Caller {
	return billing.Caller{Account: account, Enterprise: "CALL", Tariff: "retail", CallLimit: 7200, Currency: "EUR"}
}

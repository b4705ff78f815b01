package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/pbx/simcarrier"
)

// callsWay is one way that calls go: what runs for it, and how it did.
type callsWay struct {
	name       string
	number     string // that phones dial
	phones     []*benchPhone
	controller int // process; 0: none
	asterisk   int
	database   int          // PostgreSQL's first process
	db         *postgres.DB // nil: no books
	end        func() error
	rounds     []callsRound
}

// callsRound is what one way did in one round.
type callsRound struct {
	calls  int
	clean  int
	took   time.Duration
	used   cpuTimes        // by all calls
	setups []time.Duration // from the INVITE to the carrier's answer
}

// benchCarrier answers every call, and tells each caller's phone what it sees of it.
type benchCarrier struct {
	*simcarrier.Carrier
	mu   sync.Mutex
	told map[string]chan simcarrier.Record // by the caller's number
}

const carrierRings = 50 * time.Millisecond

func newBenchCarrier(ctx context.Context, media bool) (*benchCarrier, error) {
	c := &benchCarrier{told: map[string]chan simcarrier.Record{}}
	var err error
	c.Carrier, err = simcarrier.Start(ctx, simcarrier.CarrierConfig{
		Default: simcarrier.Behaviour{Ring: carrierRings, Sound: benchSound(media)}, Told: c.tell,
	})
	return c, err
}

func benchSound(media bool) simcarrier.Sound {
	if media {
		return simcarrier.Tone
	}
	return simcarrier.NoMedia
}

func (c *benchCarrier) close() { c.Close() }

func (c *benchCarrier) tell(r simcarrier.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.told[strings.TrimPrefix(r.Caller, "+")] <- r:
	default: // of a call that nobody waits for any more
	}
}

// listen gives what the carrier sees of a caller's calls from now on.
func (c *benchCarrier) listen(caller string) <-chan simcarrier.Record {
	told := make(chan simcarrier.Record, 4)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[strings.TrimPrefix(caller, "+")] = told
	return told
}

// benchPhone is a phone with a number of its own, so that the carrier can tell whose call it has.
type benchPhone struct {
	*simcarrier.Phone
	number string
}

// newPhones makes phones that call a way's address.
func (b *callsBench) newPhones(ctx context.Context, server string) (phones []*benchPhone, err error) {
	for i := range b.phones {
		p := &benchPhone{number: benchNumber(i)}
		p.Phone, err = simcarrier.NewPhone(ctx, simcarrier.PhoneConfig{
			Server: server, Listen: freeAddress(exchangeIP), Number: p.number, Sound: benchSound(b.media),
		})
		if err != nil {
			closePhones(phones)
			return nil, err
		}
		phones = append(phones, p)
	}
	return phones, nil
}

func closePhones(phones []*benchPhone) {
	var closing sync.WaitGroup
	for _, p := range phones {
		closing.Go(p.Close)
	}
	closing.Wait()
}

// load begins so many calls a second, waits for the end of all, and looks into the books.
func (w *callsWay) load(ctx context.Context, b *callsBench, rate, seconds int) (r callsRound, err error) {
	began := time.Now()
	before, err := w.cpu()
	if err != nil {
		return r, err
	}
	r.calls = rate * seconds
	free := make(chan *benchPhone, len(w.phones))
	for _, p := range w.phones {
		free <- p
	}
	var calling sync.WaitGroup
	var mu sync.Mutex
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for range r.calls {
		select {
		case <-tick.C:
		case <-ctx.Done():
			calling.Wait()
			return r, context.Cause(ctx)
		}
		select {
		case p := <-free:
			calling.Go(func() {
				setup, clean := p.call(ctx, b, w.number)
				mu.Lock()
				defer mu.Unlock()
				if clean {
					r.clean++
					r.setups = append(r.setups, setup)
				}
				free <- p
			})
		default: // all phones are busy: a call that did not come about
		}
	}
	calling.Wait()
	r.took = max(time.Since(began)-time.Duration(b.talk)*time.Second, time.Second)
	if err := w.settled(ctx); err != nil {
		return r, err
	}
	after, err := w.cpu()
	if err != nil {
		return r, err
	}
	r.used = after.since(before)
	if w.db == nil {
		return r, nil
	}
	booked, err := w.booked(ctx, began, b.talk)
	r.clean = min(r.clean, booked)
	return r, errors.Join(err, w.balanced(ctx))
}

const (
	benchPatience = 20 * time.Second       // for an answer
	benchSlack    = 500 * time.Millisecond // that a call may last longer or shorter
)

// call makes one call. It is clean when it was answered and lasted as long as it should, as the carrier saw it.
func (p *benchPhone) call(ctx context.Context, b *callsBench, number string) (setup time.Duration, clean bool) {
	told := b.carrier.listen(p.number)
	ctx, cancel := context.WithTimeout(ctx, benchPatience)
	defer cancel()
	began := time.Now()
	c, err := p.Call(ctx, number)
	if err != nil {
		return 0, false
	}
	defer c.Hangup()
	var seen simcarrier.Record
	for seen.Received.Before(began) { // what is told of the phone's last call comes late
		select {
		case seen = <-told:
		case <-c.Done():
			return 0, false
		case <-ctx.Done():
			return 0, false
		}
	}
	talk := time.Duration(b.talk) * time.Second
	select {
	case <-time.After(time.Until(seen.Answered.Add(talk))):
	case <-c.Done(): // cut off
	}
	c.Hangup()
	setup = seen.Answered.Sub(began)
	select {
	case seen = <-told:
	case <-time.After(benchPatience):
		return 0, false
	}
	lasted := seen.Ended.Sub(seen.Answered)
	return setup, seen.How == simcarrier.ByCaller && (lasted-talk).Abs() <= benchSlack
}

// settled waits until nothing is held any more.
func (w *callsWay) settled(ctx context.Context) error {
	if w.db == nil {
		return nil
	}
	for deadline := time.Now().Add(benchPatience); ; {
		var held int
		if err := w.db.GetContext(ctx, &held, `SELECT count(*) FROM hold`); err != nil || held == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("calls that are over are not settled")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// booked counts the calls since an instant that are in the books as long as they should be.
func (w *callsWay) booked(ctx context.Context, since time.Time, talk int) (n int, err error) {
	bank := billing.New(w.db.DB, billing.Options{Node: "bench", Log: quiet()})
	calls, err := bank.Calls(ctx, billing.CallFilter{From: since})
	for _, c := range calls {
		if c.Outcome == billing.Answered && c.AnsweredSeconds >= talk && c.AnsweredSeconds <= talk+1 && c.Entry != nil {
			n++
		}
	}
	return n, err
}

// balanced looks whether the books sum to nothing.
func (w *callsWay) balanced(ctx context.Context) error {
	lines, err := ledger.Trial(ctx, w.db.DB, ledger.TrialFilter{})
	if err != nil {
		return err
	}
	var sum money.Amount
	for _, l := range lines {
		sum += l.Balance
	}
	if sum != 0 || len(lines) == 0 {
		return errors.New("the books don't balance")
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
	"telecommune/web"
)

const (
	controlSocket  = "serve.sock"    // in the state folder; what commands ask a running serve
	refreshEvery   = time.Second     // changes take effect within two of them
	countEvery     = time.Minute     // so that whoever asks for figures has little to count himself
	drainTime      = 5 * time.Minute // for calls in progress when the program is asked to end
	closePagesTime = 5 * time.Second // for pages being read while the program ends
)

// app is the whole service in one place: what is opened, in which order it runs, how it ends.
type app struct {
	db       *postgres.DB
	bank     *billing.Service
	picture  *picture
	gate     *routing.Gate
	engine   engine
	ready    func() // called once calls are taken; may be nil
	tests    *acceptance
	exchange *pbx.Exchange
	proxies  []netip.Prefix
	pages    net.Listener
	control  net.Listener
	log      *slog.Logger
}

// openApp opens the database, loads the configuration and binds the ports, those for SIP last. Nothing runs yet. Whatever
// was opened is closed again when the next thing fails.
func openApp(ctx context.Context, c Config, log *slog.Logger) (a *app, err error) {
	a = &app{log: log, gate: routing.NewGate()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.db, err = openDB(ctx, c, true, log); err != nil {
		return a, err
	}
	key, err := openKey(ctx, a.db, c.State)
	if err != nil {
		return a, err
	}
	recovering := make(chan struct{})
	if a.bank, err = newBilling(ctx, a.db, key, c, recovering, log); err != nil {
		return a, err
	}
	if err = a.bank.Claim(ctx); err != nil {
		return a, err
	}
	if a.picture, err = newPicture(ctx, a.db, a.gate, log); err != nil {
		return a, err
	}
	destinations := a.picture.remember(ctx)
	prompts, err := prompt.Open(c.Prompts...)
	if err != nil {
		return a, err
	}
	prompts.Log = log
	if missing := prompts.Check(); len(missing) > 0 {
		log.Warn("prompts are missing; run `make prompts`, or see `telecommune doctor`", "missing", len(missing))
	}
	for _, address := range c.Proxies {
		proxy, err := pbx.ParseAddress(address)
		if err != nil {
			return a, fmt.Errorf("proxies: %w", err)
		}
		a.proxies = append(a.proxies, proxy)
	}
	if a.pages, err = net.Listen("tcp", c.HTTP); err != nil {
		return a, fmt.Errorf("pages: %w", err)
	}
	if a.control, err = listenControl(c.State); err != nil {
		return a, err
	}
	if a.engine, err = openEngine(ctx, c, a.db, a.picture, a.gate, log); err != nil {
		return a, err
	}
	a.tests = &acceptance{engine: a.engine, gate: a.gate, routes: a.picture.routes.Load, bank: a.bank, now: clockOf(ctx)}
	a.exchange = pbx.New(pbx.Config{
		Switch: a.engine, Callers: a.bank, Credit: a.bank, Signs: a.bank.Alive,
		Routes: a.picture.routes.Load, Gate: a.gate, Attempts: a.picture.routing.RecordAttempts,
		Admission: a.picture.admission.Load, Prompts: prompts, Node: c.Node, Log: log, Destinations: destinations, MaxAttempts: c.MaxAttempts,
		MaxCalls: c.MaxCalls, MaxCPS: c.MaxCPS, Drain: drainTime, Now: clockOf(ctx),
		Orphans: a.bank, Recovered: func() { close(recovering) },
	})
	return a, nil
}

// Run serves until ctx ends; calls in progress are given time to end. The first part that fails ends all others.
func (a *app) Run(ctx context.Context) error {
	// The database and the money outlive the calls.
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ground, base := errgroup.WithContext(base)
	ground.Go(func() error { return a.db.Run(base) })
	ground.Go(func() error { return a.bank.Run(base) })
	ground.Go(func() error { return a.picture.follow(base) })
	ground.Go(func() error { return a.count(base) })

	calls, callsCtx := errgroup.WithContext(ctx)
	calls.Go(func() error { return a.exchange.Run(callsCtx) })
	calls.Go(func() error {
		select {
		case <-a.engine.Ready():
			if a.ready != nil {
				a.ready()
			}
		case <-callsCtx.Done():
		}
		return nil
	})
	calls.Go(func() error { return servePages(callsCtx, web.NewServer(web.New(a.webOptions())), a.pages) })
	calls.Go(func() error {
		return servePages(callsCtx, &http.Server{Handler: controlHandler(a.exchange, a.tests), ReadHeaderTimeout: time.Second}, a.control)
	})
	calls.Go(func() error { // what is below the calls fails: they end as well
		select {
		case <-base.Done():
			if errors.Is(context.Cause(base), billing.ErrFenced) {
				a.awaitHeir(callsCtx)
				a.exchange.HangupAll() // nobody pays for what they would say until they are asked to end
			}
			return errors.New("the service below the calls has ended")
		case <-callsCtx.Done():
			return nil
		}
	})
	err := calls.Wait()
	a.tests.running.Wait() // they have ended with the engine, and are written down
	stop()
	return errors.Join(ground.Wait(), err)
}

// heirTime is how long a newer run of our node has to take our calls over, where they outlive us.
const heirTime = 10 * time.Second

// awaitHeir waits whether the newer run of our node has our switch as well: then it leads our calls on, and nothing of them
// is to be hung up here.
func (a *app) awaitHeir(calls context.Context) {
	if _, outlived := a.engine.(pbx.Recoverer); !outlived {
		return
	}
	select {
	case <-time.After(heirTime):
	case <-calls.Done(): // the engine has let them go
	}
}

// count keeps the figures of trunks up to date until ctx ends.
func (a *app) count(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := a.picture.routing.Count(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("figures of trunks are not up to date", "err", err)
		}
	}
}

func (a *app) webOptions() web.Options {
	months := commune.NewStore(a.db.DB)
	return web.Options{
		Billing: a.bank, Log: a.log, Proxies: a.proxies, Secure: len(a.proxies) > 0,
		Periods: func(ctx context.Context, account string, now time.Time) ([]statement.Period, error) {
			return statement.Periods(ctx, a.db.DB, account, now)
		},
		Statement: func(ctx context.Context, account string, p statement.Period, now time.Time) (statement.Statement, error) {
			return statement.Make(ctx, a.db.DB, account, p, now)
		},
		Months: func(ctx context.Context, account string, p statement.Period, now time.Time) ([]commune.MemberMonth, error) {
			return months.MonthsOf(ctx, account, ledger.Period(p.String()), now)
		},
	}
}

// Close lets go of what openApp opened. It can be called twice.
func (a *app) Close() error {
	var errs []error
	for _, l := range []net.Listener{a.pages, a.control} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if a.bank != nil {
		a.bank.Release()
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}

// servePages serves HTTP on l until ctx ends.
func servePages(ctx context.Context, s *http.Server, l net.Listener) error {
	defer context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePagesTime)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
	})()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listenControl binds the socket that commands on this machine ask. One left by a program that was killed is replaced:
// that we own the state folder is known by then.
func listenControl(state string) (net.Listener, error) {
	name := filepath.Join(state, controlSocket)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, os.Chmod(name, 0o600)
}

// picture is the configuration that calls look at, in memory. It is swapped whole when something was changed.
type picture struct {
	db        *postgres.DB
	routing   *routing.Store
	commune   *commune.Store
	gate      *routing.Gate
	routes    atomic.Pointer[routing.Snapshot]
	admission atomic.Pointer[pbx.Admission]
	log       *slog.Logger

	drawing  sync.Mutex // held by the one who makes it anew
	revision int64      // that it was made of; -1: it must be made anew
}

func newPicture(ctx context.Context, db *postgres.DB, gate *routing.Gate, log *slog.Logger) (*picture, error) {
	p := &picture{db: db, routing: routing.NewStore(db.DB), commune: commune.NewStore(db.DB), gate: gate, revision: -1, log: log}
	return p, p.refresh(ctx)
}

const (
	qualityEvery = 5 * time.Minute  // how trunks did lately ranks them anew, where the policy is quality
	usageEvery   = 10 * time.Second // what other nodes' calls use of a trunk is seen within
	recordDays   = 7                // that tell what is usual of a trunk
	usualDays    = 30               // that tell what is usual of a destination
)

// remember brings back what earlier runs saw of trunks and destinations. Without it they are learned anew.
func (p *picture) remember(ctx context.Context) *routing.Destinations {
	ctx, cancel := context.WithTimeout(ctx, usageEvery)
	defer cancel()
	now := now(ctx)
	records, err := p.routing.Records(ctx, now.AddDate(0, 0, -recordDays))
	p.gate.Remember(records)
	usual, err2 := p.routing.Usual(ctx, now.AddDate(0, 0, -usualDays))
	if err := errors.Join(err, err2); err != nil {
		p.log.Warn("what is usual of trunks and destinations is learned anew", "err", err)
	}
	return routing.NewDestinations(usual)
}

// countUsage brings what is used of trunks with limits up to date with the database.
func (p *picture) countUsage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, usageEvery)
	defer cancel()
	return p.routing.Refresh(ctx, p.gate, p.routes.Load().Trunks())
}

// follow keeps the picture fresh until ctx ends. While the database is away the last one holds.
func (p *picture) follow(ctx context.Context) error {
	tick, usage, quality := time.NewTicker(refreshEvery), time.NewTicker(usageEvery), time.NewTicker(qualityEvery)
	defer tick.Stop()
	defer usage.Stop()
	defer quality.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-usage.C:
			if err := p.countUsage(ctx); err != nil && ctx.Err() == nil {
				p.log.Warn("what trunks used is counted from before", "err", err)
			}
			continue
		case <-quality.C:
			p.forget()
		case <-tick.C:
		}
		if err := p.refresh(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("changes of trunks, decks, providers and access numbers are not seen", "err", err)
		}
	}
}

// forget has the next refresh load all again.
func (p *picture) forget() {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	p.revision = -1
}

// refresh loads all if anything was changed. The revision is read first: a change in the middle is loaded again.
func (p *picture) refresh(ctx context.Context) error {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	revision, err := p.routing.Revision(ctx)
	if err != nil || revision == p.revision {
		return err
	}
	routes, err := p.routing.Reload(ctx, p.routes.Load())
	if err != nil {
		return err
	}
	leases, err := leasesAt(ctx, p.commune, now(ctx))
	if err != nil {
		return err
	}
	if err := p.routing.Refresh(ctx, p.gate, routes.Trunks()); err != nil { // before a new limit counts
		return err
	}
	admission, err := pbx.LoadAdmission(ctx, p.db.DB)
	if err != nil {
		return err
	}
	for _, trunk := range routes.Decks().Unpriced(now(ctx)) {
		p.log.Warn("no exchange rate for the deck of a trunk: it carries no calls; see `telecommune doctor`", "trunk", trunk)
	}
	p.routes.Store(routes.Let(leases))
	p.admission.Store(admission)
	p.revision = revision
	return nil
}

package asterisk

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"telecommune/pbx"
	"telecommune/routing"
)

// Asterisk itself sends OPTIONS and registers. How that goes it tells as events only to who takes those of all channels as
// well, and there is one queue for them; so it is asked: at the interval of a trunk's OPTIONS for the outcome of the newest,
// and now and then for the registrations. ARI knows nothing of these, but the command line does.

const (
	healthEvery      = time.Second      // it is looked which trunks are due
	registeredEvery  = 3 * time.Second  // between two looks at the registrations
	registerPatience = 10 * time.Second // for a registration that was just asked for
)

// watch is what is known of the trunks whose health is told.
type watch struct {
	health pbx.Health
	ask    switchHealth
	probes map[string]*care // by trunk
	logins map[string]*care
	barred map[string]string // why trunks over TLS that can't be carried are not
	next   time.Time         // registrations are looked at
}

func newWatch(health pbx.Health, ask switchHealth) *watch {
	return &watch{health: health, ask: ask, probes: map[string]*care{}, logins: map[string]*care{}, barred: map[string]string{}}
}

// switchHealth asks Asterisk. An error says nothing of any trunk.
type switchHealth interface {
	// reachable tells which endpoints can be reached.
	reachable(ctx context.Context) (map[string]bool, error)
	// registrations tells how each stands, in Asterisk's words; nil when that can't be known.
	registrations(ctx context.Context) (map[string]string, error)
	// barred tells why a trunk can't be carried; empty when it can.
	barred(code string) string
}

// care is of one trunk, as it was when it began.
type care struct {
	trunk routing.Trunk
	since time.Time
	due   time.Time // of probes
}

// watchHealth tells how trunks are until ctx ends.
func (e *Engine) watchHealth(ctx context.Context) {
	if e.conf.Health == nil {
		return
	}
	w := newWatch(e.conf.Health, e)
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !e.isConnected() {
			continue
		}
		if err := w.look(ctx, time.Now(), e.conf.Trunks()); err != nil && ctx.Err() == nil {
			e.log.Debug("health of trunks not known", "err", err)
		}
	}
}

// look brings the gate up to date at an instant.
func (w *watch) look(ctx context.Context, now time.Time, trunks []routing.Trunk) error {
	carried := func(t routing.Trunk) bool { return t.Enabled && w.ask.barred(t.Code) == "" }
	tend(w.probes, now, trunks, func(t routing.Trunk) bool { return carried(t) && t.Probe > 0 }, w.health.Probing)
	tend(w.logins, now, trunks, func(t routing.Trunk) bool { return carried(t) && t.Register }, func(code string) {
		w.health.Registered(code, "")
	})
	w.bar(trunks)
	if err := w.lookAtProbes(ctx, now); err != nil {
		return err
	}
	if len(w.logins) == 0 || now.Before(w.next) {
		return nil
	}
	w.next = now.Add(registeredEvery)
	return w.lookAtLogins(ctx, now)
}

// bar tells which trunks can't be carried, and why, once.
func (w *watch) bar(trunks []routing.Trunk) {
	barred := map[string]string{}
	for _, t := range trunks {
		if why := w.ask.barred(t.Code); why != "" {
			barred[t.Code] = why
		}
		if barred[t.Code] != w.barred[t.Code] {
			w.health.Registered(t.Code, barred[t.Code])
		}
	}
	for code := range w.barred {
		if !slices.ContainsFunc(trunks, func(t routing.Trunk) bool { return t.Code == code }) {
			w.health.Registered(code, "")
		}
	}
	w.barred = barred
}

// tend keeps what is cared for in step with the trunks, and tells of each that comes, goes or is another by now.
func tend(cared map[string]*care, now time.Time, trunks []routing.Trunk, wants func(routing.Trunk) bool, changed func(code string)) {
	wanted := map[string]bool{}
	for _, t := range trunks {
		if !wants(t) {
			continue
		}
		wanted[t.Code] = true
		if c := cared[t.Code]; c == nil || !sameWay(c.trunk, t) {
			cared[t.Code] = &care{trunk: t, since: now, due: now.Add(interval(t))}
			changed(t.Code)
		}
	}
	for code := range cared {
		if !wanted[code] {
			delete(cared, code)
			changed(code)
		}
	}
}

// sameWay tells that a change of a trunk leaves OPTIONS and registration alone.
func sameWay(a, b routing.Trunk) bool {
	return a.Address == b.Address && a.Transport == b.Transport && a.User == b.User && a.Password == b.Password &&
		a.Probe == b.Probe && a.TLSCA == b.TLSCA && a.TLSName == b.TLSName
}

func interval(t routing.Trunk) time.Duration { return time.Duration(t.Probe) * time.Second }

// lookAtProbes tells the outcome of the newest OPTIONS of those trunks that have sent another by now.
func (w *watch) lookAtProbes(ctx context.Context, now time.Time) error {
	var due []*care
	for _, c := range w.probes {
		if !now.Before(c.due) {
			due = append(due, c)
		}
	}
	if len(due) == 0 {
		return nil
	}
	reachable, err := w.ask.reachable(ctx)
	if err != nil {
		return err
	}
	for _, c := range due {
		c.due = now.Add(interval(c.trunk))
		is, known := reachable[trunkEndpoint(c.trunk.Code)]
		switch {
		case is:
			w.health.Probed(c.trunk.Code, "")
		case known: // else Asterisk has not taken it up yet
			w.health.Probed(c.trunk.Code, "no answer to OPTIONS")
		}
	}
	return nil
}

// lookAtLogins tells which registrations stand.
func (w *watch) lookAtLogins(ctx context.Context, now time.Time) error {
	states, err := w.ask.registrations(ctx)
	if err != nil {
		return err
	}
	for code, c := range w.logins {
		state, known := states[trunkEndpoint(code)]
		switch {
		case state == "Registered":
			w.health.Registered(code, "")
		case known && (state == "Rejected" || now.Sub(c.since) >= registerPatience):
			w.health.Registered(code, "not registered: Asterisk says "+state)
		}
	}
	return nil
}

// reachable implements switchHealth.
func (e *Engine) reachable(ctx context.Context) (map[string]bool, error) {
	states, err := e.ari.endpoints(ctx)
	reachable := make(map[string]bool, len(states))
	for id, state := range states {
		reachable[id] = state == "online"
	}
	return reachable, err
}

// registrations implements switchHealth: nobody but the command line of a private Asterisk knows them.
func (e *Engine) registrations(ctx context.Context) (map[string]string, error) {
	if e.private == nil {
		return nil, nil
	}
	said, err := e.private.command(ctx, "pjsip show registrations")
	if err != nil {
		return nil, err
	}
	return parseRegistrations(said), nil
}

// barred implements switchHealth.
func (e *Engine) barred(code string) string {
	secured := (*ways)(nil)
	if e.private != nil {
		secured = e.private.secured.Load()
	} else {
		secured = e.remote.secured.Load()
	}
	if secured == nil { // nothing is told yet
		return ""
	}
	return (*secured)[code].why
}

// parseRegistrations reads lines such as
//
//	trunk~alpha/sip:192.0.2.1:5060     trunk~alpha        Registered        (exp. 3590s)
func parseRegistrations(said string) map[string]string {
	states := map[string]string{}
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		name, _, ok := strings.Cut(line, "/")
		if !ok || len(fields) < 3 || !strings.HasPrefix(strings.TrimSpace(name), trunkEndpoint("")) {
			continue
		}
		states[strings.TrimSpace(name)] = pbx.Printable(fields[2])
	}
	return states
}

// command gives what the command line of Asterisk says.
func (p *private) command(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	said, err := exec.CommandContext(ctx, p.program(), "-C", filepath.Join(p.dir, "etc", "asterisk.conf"), "-rx", line).Output()
	if err != nil {
		return "", fmt.Errorf("ask Asterisk %q: %w", line, err)
	}
	return string(said), nil
}

func (e *Engine) isConnected() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.connected
}

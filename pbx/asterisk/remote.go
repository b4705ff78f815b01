package asterisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// remote is an Asterisk that runs elsewhere, and is its operator's (docs/asterisk.md). Providers and trunks are dynamic
// configuration in its memory: it is told of them when it was started anew, and of each that changes.
type remote struct {
	ari     *ari
	log     *slog.Logger
	startup string // of the Asterisk that was told
	told    []group

	secured atomic.Pointer[ways] // of the trunks over TLS; nil before they are known
}

// errInFile is that an object can't be forgotten, since it is in a file of the operator's.
var errInFile = errors.New("it is in Asterisk's own files")

// group is the objects of one name, each behind those that it names.
type group struct {
	id      string
	objects []object
}

// grouped puts objects that follow each other and bear one name together. An identify bears the name of its endpoint, by
// which it is found again; its own is for the order in a file.
func grouped(objects []object) []group {
	var all []group
	for _, o := range objects {
		n := len(all)
		if n > 0 && o.class == "identify" {
			o.id = all[n-1].id
		}
		if n > 0 && all[n-1].id == o.id {
			all[n-1].objects = append(all[n-1].objects, o)
			continue
		}
		all = append(all, group{o.id, []object{o}})
	}
	return all
}

func (g group) same(other group) bool {
	return g.id == other.id && slices.EqualFunc(g.objects, other.objects, func(a, b object) bool {
		return a.class == b.class && slices.Equal(a.fields, b.fields)
	})
}

// tell brings what an Asterisk knows up to date; startup is when it was started. What it refuses keeps nothing else from being
// told, and is tried again the next time.
func (r *remote) tell(ctx context.Context, startup string, objects []object) error {
	wanted := grouped(objects)
	if r.startup != startup {
		if err := r.clean(ctx, wanted); err != nil {
			return err
		}
		r.startup, r.told = startup, nil
	}
	if slices.EqualFunc(r.told, wanted, group.same) {
		return nil
	}
	var errs []error
	var kept []group
	for _, old := range slices.Backward(r.told) {
		if slices.ContainsFunc(wanted, old.same) {
			kept = append(kept, old)
		} else if err := r.forget(ctx, old); err != nil {
			kept, errs = append(kept, old), append(errs, err)
		}
	}
	slices.Reverse(kept)
	r.told = kept
	for _, g := range wanted {
		if slices.ContainsFunc(r.told, func(t group) bool { return t.id == g.id }) {
			continue // known, or not forgotten yet
		}
		if err := r.put(ctx, g); err != nil {
			errs = append(errs, err)
			continue
		}
		r.told = append(r.told, g)
	}
	if len(errs) == 0 {
		r.told = wanted // in its order
	}
	return errors.Join(errs...)
}

// clean forgets what an earlier run has told, and is not wanted any more, or not like that: an address or a user that a
// provider had would go on being let in.
func (r *remote) clean(ctx context.Context, wanted []group) error {
	there, err := r.ari.endpoints(ctx)
	if err != nil {
		return err
	}
	for id := range there {
		if slices.ContainsFunc(wanted, func(g group) bool { return g.id == id }) {
			continue
		}
		ours := strings.HasPrefix(id, trunkEndpoint("")) || strings.HasPrefix(id, fromEndpoint(""))
		if !ours {
			if ours, err = r.logsIn(ctx, id); err != nil {
				return err
			}
		}
		if !ours {
			continue
		}
		old := group{id: id}
		for _, class := range []string{"auth", "aor", "endpoint", "identify", "registration"} {
			old.objects = append(old.objects, made(class, id))
		}
		if err := r.forget(ctx, old); err != nil && !errors.Is(err, errInFile) {
			return err
		}
	}
	return nil
}

// logsIn tells whether an endpoint is that of a provider that logs in. It has the name that the provider has, so it is known
// by what it was told with: our context, and a variable with the code.
func (r *remote) logsIn(ctx context.Context, id string) (bool, error) {
	var fields []field
	status, err := r.ari.send(ctx, http.MethodGet, made("endpoint", id).path(), nil, &fields)
	if status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask Asterisk for endpoint %s: %w", id, err)
	}
	return slices.Contains(fields, field{"context", location}) && slices.Contains(fields, field{"auth", id}) &&
		slices.ContainsFunc(fields, func(f field) bool { return f.Attribute == "PROVIDER" }), nil
}

func (r *remote) put(ctx context.Context, g group) error {
	if err := r.forget(ctx, g); err != nil { // a field that is not named would keep its value
		return err
	}
	for _, o := range g.objects {
		if _, err := r.ari.send(ctx, http.MethodPut, o.path(), map[string]any{"fields": o.fields}, nil); err != nil {
			return fmt.Errorf("tell Asterisk of %s %s: %w", o.class, o.id, err)
		}
	}
	return nil
}

// forget takes a group out of Asterisk's memory. Calls in progress keep what they have.
func (r *remote) forget(ctx context.Context, g group) error {
	for _, o := range slices.Backward(g.objects) {
		status, err := r.ari.send(ctx, http.MethodDelete, o.path(), nil, nil)
		if status == http.StatusForbidden {
			err = fmt.Errorf("%w: %w", errInFile, err)
		}
		if err != nil && status != http.StatusNotFound {
			return fmt.Errorf("have Asterisk forget %s %s: %w", o.class, o.id, err)
		}
	}
	return nil
}

func (o object) path() string {
	return "/asterisk/config/dynamic/res_pjsip/" + o.class + "/" + url.PathEscape(o.id)
}

// elsewhere is the address of an Asterisk that is not ours to configure.
type elsewhere string

func (elsewhere) Network() string  { return "" }
func (e elsewhere) String() string { return string(e) }

// attend tells a remote Asterisk of providers and trunks, once a connection to it stands. Calls are taken when that was done
// for the first time.
func (e *Engine) attend(ctx context.Context) error {
	e.mu.Lock()
	connected, startup := e.connected, e.startup
	e.mu.Unlock()
	if !connected {
		return nil
	}
	if err := e.claim(ctx); err != nil {
		return err
	}
	trunks := e.conf.Trunks()
	secured, err := securedThere(ctx, e.ari, trunks)
	if err != nil {
		return err
	}
	e.remote.secured.Store(&secured)
	if err := e.remote.tell(ctx, startup, peerObjects(e.conf.Admission().Providers, trunks, secured, e.conf.MediaTimeout)); err != nil {
		return err
	}
	e.takeCalls()
	return nil
}

// takeCalls tells that calls are taken, the first time.
func (e *Engine) takeCalls() {
	e.once.Do(func() {
		e.log.Info("Asterisk takes calls", "address", e.Addr().String())
		close(e.ready)
	})
}

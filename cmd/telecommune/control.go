package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

// Commands ask a running serve over HTTP on a unix socket in the state folder, which only its owner can open:
//
//	GET  /calls              the callers on the line
//	POST /calls/{id}/hangup  ends a call, or an access call
//	GET  /trunks             how each trunk is now

// controlHandler answers for a running exchange.
func controlHandler(x *pbx.Exchange, gate *routing.Gate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { reply(w, x.Live()) })
	mux.HandleFunc("POST /calls/{id}/hangup", func(w http.ResponseWriter, r *http.Request) {
		id, err := uuid.Parse(r.PathValue("id"))
		if err != nil {
			http.Error(w, "not the id of a call", http.StatusBadRequest)
			return
		}
		err = x.Hangup(id)
		switch {
		case errors.Is(err, pbx.ErrNoCall):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("GET /trunks", func(w http.ResponseWriter, _ *http.Request) {
		live := []routing.Live{}
		for _, t := range x.Routes().Trunks() {
			live = append(live, gate.Live(t))
		}
		reply(w, live)
	})
	return mux
}

func reply(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) //nolint:errcheck // who asked has gone
}

// errNoServe is returned when no serve runs on the state folder.
var errNoServe = errors.New("serve is not running on this state folder")

const (
	controlTimeout = 5 * time.Second
	maxReply       = 16 << 20 // bytes
)

// control asks the serve of a state folder.
type control struct{ client http.Client }

func askServe(state string) *control {
	var d net.Dialer
	return &control{http.Client{
		Timeout: controlTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", filepath.Join(state, controlSocket))
			},
		},
	}}
}

// live lists the callers on the line.
func (c *control) live(ctx context.Context) (calls []pbx.LiveCall, err error) {
	return calls, c.ask(ctx, http.MethodGet, "/calls", &calls)
}

// trunks tells how trunks are, by code.
func (c *control) trunks(ctx context.Context) (map[string]routing.Live, error) {
	var all []routing.Live
	if err := c.ask(ctx, http.MethodGet, "/trunks", &all); err != nil {
		return nil, err
	}
	live := map[string]routing.Live{}
	for _, l := range all {
		live[l.Trunk] = l
	}
	return live, nil
}

// hangup ends a call, or an access call: pbx.ErrNoCall.
func (c *control) hangup(ctx context.Context, id uuid.UUID) error {
	return c.ask(ctx, http.MethodPost, "/calls/"+id.String()+"/hangup", nil)
}

func (c *control) ask(ctx context.Context, method, path string, into any) (err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://serve"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(r)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EINVAL):
		return errNoServe // no socket, one left by a serve that was killed, or a path too long to have one
	case err != nil:
		return fmt.Errorf("ask serve: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	switch {
	case err != nil:
		return fmt.Errorf("ask serve: %w", err)
	case resp.StatusCode == http.StatusNotFound:
		return pbx.ErrNoCall
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("serve answers %s: %s", resp.Status, firstLine(string(body)))
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("answer of serve: %w", err)
	}
	return nil
}

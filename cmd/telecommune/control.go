package main

import (
	"bytes"
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
//	POST /test               makes an acceptance call

// testAnswer is what serve says of an acceptance call.
type testAnswer struct {
	Report testReport `json:"report"`
	Error  string     `json:"error"` // why there is none, or why it is not in the books
}

// controlHandler answers for a running exchange.
func controlHandler(x *pbx.Exchange, tests *acceptance) http.Handler {
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
			live = append(live, tests.gate.Live(t))
		}
		reply(w, live)
	})
	mux.HandleFunc("POST /test", func(w http.ResponseWriter, r *http.Request) {
		var asked testRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		report, err := tests.call(r.Context(), asked)
		answer := testAnswer{Report: report}
		if err != nil {
			answer.Error = explain(err)
		}
		reply(w, answer)
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
	return calls, c.ask(ctx, http.MethodGet, "/calls", nil, &calls)
}

// trunks tells how trunks are, by code.
func (c *control) trunks(ctx context.Context) (map[string]routing.Live, error) {
	var all []routing.Live
	if err := c.ask(ctx, http.MethodGet, "/trunks", nil, &all); err != nil {
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
	return c.ask(ctx, http.MethodPost, "/calls/"+id.String()+"/hangup", nil, nil)
}

// test has an acceptance call made. Its length is the call's own: serve bounds it.
func (c *control) test(ctx context.Context, r testRequest) (testReport, error) {
	patient := *c
	patient.client.Timeout = 0
	var answer testAnswer
	if err := patient.ask(ctx, http.MethodPost, "/test", r, &answer); err != nil {
		return testReport{}, err
	}
	if answer.Error != "" {
		return testReport{}, errors.New(answer.Error)
	}
	return answer.Report, nil
}

// ask sends a request with a body, null for nothing, and reads the answer unless into is.
func (c *control) ask(ctx context.Context, method, path string, send, into any) (err error) {
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://serve"+path, bytes.NewReader(body))
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
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
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

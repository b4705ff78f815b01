package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"telecommune/pbx"
)

// outliving is an engine whose calls outlive the program; nothing of it is called.
type outliving struct {
	engine
	pbx.Recoverer
}

// TestAwaitHeir: calls that outlive us are left alone while a newer run may take them over, and no longer than that, or until
// it has; those that die with us are not.
func TestAwaitHeir(t *testing.T) {
	for what, tt := range map[string]struct {
		engine engine
		taken  time.Duration // when the calls are let go
		want   time.Duration
	}{
		"calls that die with us": {struct{ engine }{}, time.Hour, 0},
		"an heir comes":          {outliving{}, time.Second, time.Second},
		"no heir comes":          {outliving{}, time.Hour, heirTime},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, cancel := context.WithTimeout(t.Context(), tt.taken)
				defer cancel()
				began := time.Now()
				(&app{engine: tt.engine}).awaitHeir(calls)
				if took := time.Since(began); took != tt.want {
					t.Errorf("it waits for %s, want %s", took, tt.want)
				}
			})
		})
	}
}

package web

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"telecommune/billing"
	"telecommune/billing/statement"
)

func TestAnswer(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("PIN: %w", billing.ErrUnknownCaller), 401},
		{billing.ErrTooManyPINs, 429},
		{tooFast{90 * time.Millisecond}, 429},
		{fmt.Errorf("x: %w", statement.ErrPeriod), 404},
		{errors.Join(errForm, &http.MaxBytesError{Limit: 1}), 413},
		{errForm, 400},
		{errCrossOrigin, 403},
		{fmt.Errorf("q: %w", driver.ErrBadConn), 503},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 503},
		{context.DeadlineExceeded, 503},
		{fmt.Errorf("PIN: %w", &pq.Error{Code: "57P01"}), 503},
		{&pq.Error{Code: "42P01"}, 500},
		{statement.ErrBooks, 500},
		{errors.New("pq: secret detail"), 500},
	} {
		status, text := answer(tc.err)
		if status != tc.status || text == "" || strings.Contains(text, "pq") {
			t.Errorf("%v: %d %q, want %d", tc.err, status, text, tc.status)
		}
	}
	if _, text := answer(tooFast{1500 * time.Millisecond}); !strings.Contains(text, " 2 seconds") {
		t.Errorf("1.5 s are told as %q", text)
	}
}

package billing_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"telecommune/billing"
)

func TestOpenKey(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 0)
	if _, err := h.IssuePIN(t.Context(), "ana"); err != nil {
		t.Fatal(err)
	}
	first, second := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	open := func(what string, key []byte, loadErr error, wantFresh bool, want error) {
		t.Helper()
		got, err := billing.OpenKey(t.Context(), h.db, func(fresh bool) ([]byte, error) {
			if fresh != wantFresh {
				t.Errorf("%s: fresh %v", what, fresh)
			}
			return key, loadErr
		})
		if !errors.Is(err, want) || want == nil && !bytes.Equal(got, key) || want != nil && got != nil {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	open("no file, and none can be made", nil, fs.ErrNotExist, true, billing.ErrKey)
	open("too short", first[:8], nil, true, billing.ErrKey)
	open("the first", first, nil, true, nil)
	open("again", first, nil, false, nil)
	open("another", second, nil, false, billing.ErrWrongKey)
	open("lost", nil, fs.ErrNotExist, false, billing.ErrKey)
	if n := h.count(t, `SELECT count(*) FROM commune WHERE position($1 IN key_fingerprint) > 0`, first); n != 0 {
		t.Error("the key stands in the database")
	}
	if n, err := h.ForgetKey(t.Context()); err != nil || n != 1 {
		t.Errorf("%d PINs, %v", n, err)
	}
	open("another after the first was given up", second, nil, true, nil)
	open("the first, too late", first, nil, false, billing.ErrWrongKey)
}

package asterisk

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestGetLate: an answer that comes when nobody waits for it any more touches nothing; the race detector would tell.
func TestGetLate(t *testing.T) {
	var leave context.CancelFunc
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		leave()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"value": "late"}`)
	}))
	a := newARI(server.URL, "secret")
	for range 20 {
		var ctx context.Context
		ctx, leave = context.WithCancel(t.Context())
		if value, err := a.get(ctx, "channel", "variable"); (err == nil) != (value == "late") {
			t.Errorf("%q, %v", value, err)
		}
		leave()
	}
	server.Close() // waits for what is asked
	a.close()
}

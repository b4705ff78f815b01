package ledger_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"telecommune/internal/postgres/pgtest"
)

// The server is killed while posters are at it: what was acknowledged is in the books.
func TestServerKilled(t *testing.T) {
	s := pgtest.NewServer(t)
	for round := range rounds(2) {
		if lost := killed(t, s, round); lost > 0 {
			t.Errorf("round %d: %d acknowledged entries lost", round, lost)
		}
	}
	wantVerified(t, s.DB)
}

// The test above must be able to fail: a server that acknowledges before it has written loses something.
func TestKillFindsLateWrites(t *testing.T) {
	s := pgtest.NewServer(t)
	s.DB.MustExec(`SET LOCAL ROLE NONE; ALTER DATABASE telecommune SET synchronous_commit = off`) // for connections to come
	for round := range 20 {
		if killed(t, s, round) > 0 {
			return
		}
	}
	t.Error("20 rounds without a loss: the kill kills nothing")
}

func rounds(n int) int {
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		return 20
	}
	return n
}

// killed posts entries, kills the server, starts it again and tells how many are lost.
func killed(t *testing.T, s *pgtest.Server, round int) (lost int) {
	t.Helper()
	w := newWriter(s.DB)
	var known sync.Mutex
	var ids []string
	enough := make(chan struct{})
	var posting sync.WaitGroup
	for p := range 8 {
		posting.Go(func() {
			for i := 0; ; i++ {
				id, err := w.Do(t.Context(), topUp(fmt.Sprint(round, "/", p, "/", i), 1))
				if err != nil {
					return // the server is gone
				}
				known.Lock()
				if ids = append(ids, id.String()); len(ids) == 100 {
					close(enough)
				}
				known.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(time.Minute):
		t.Fatal("the posters do not get on")
	}
	s.Kill()
	posting.Wait()
	s.Start()
	found := acknowledged(t, s.DB, ids)
	return len(ids) - found
}

func acknowledged(t *testing.T, db *sqlx.DB, ids []string) (found int) {
	t.Helper()
	for range 25 { // the pool finds its dead connections
		if err := db.Get(&found, `SELECT count(*) FROM entry WHERE id = ANY ($1::uuid[])`, pq.Array(ids)); err == nil {
			return found
		}
	}
	t.Fatal("the server does not come back")
	return 0
}

package billing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// cutName ends the connection by which a program has its node's name, and waits until the name is free. The program
// goes on without knowing.
func (h house) cutName(t *testing.T, owner *sqlx.DB) {
	t.Helper()
	const locks = `FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted`
	owner.MustExec(`SELECT pg_terminate_backend(l.pid) ` + locks)
	for deadline := time.Now().Add(time.Minute); h.count(t, `SELECT count(*) `+locks) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the name is not free")
		}
	}
}

// follow starts a further run of the same node on another state folder, while the first lives and has lost the name.
func (h house) follow(t *testing.T, node string, recovering <-chan struct{}) house {
	t.Helper()
	h.cutName(t, pgtest.Owner(t, h.db))
	next := whileRecovering(t, h.db, t.TempDir(), node, recovering)
	next.claim(t)
	return next
}

// money is all that may not change behind anybody's back, as text.
func (h house) money(t *testing.T) string {
	t.Helper()
	var all string
	err := h.db.GetContext(t.Context(), &all, `
		SELECT json_build_object(
		    'balance', (SELECT json_agg(b ORDER BY b.book, b.account) FROM balance b),
		    'hold', (SELECT json_agg(h ORDER BY h.call_id) FROM hold h),
		    'call', (SELECT json_agg(c ORDER BY c.id) FROM call c),
		    'entry', (SELECT count(*) FROM entry), 'line', (SELECT count(*) FROM line))`)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A run that lost its name to a newer one writes nothing about calls any more, and ends.
func TestFenced(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	stale, elsewhere := onDatabase(t, h.db, t.TempDir(), "node-1"), onDatabase(t, h.db, t.TempDir(), "node-2")
	stale.claim(t)
	calls := authorised(t, stale, "ana", 4)
	foreign := authorised(t, elsewhere, "ana", 1)[0]
	pool, fault := faulty(t, h.db)
	away := onDatabase(t, pool, stale.spool, "node-1")
	fault.setAway(true)
	if err := away.Settle(t.Context(), settlement(calls[3].Call, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := h.follow(t, "node-1", make(chan struct{})).Resolve(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d resolved, %v", n, err)
	}

	ctx, before := t.Context(), h.money(t)
	for _, tt := range []struct {
		name  string
		write func() error
	}{
		{"authorise", func() error { return second(stale.Authorise(ctx, request("ana", 60))) }},
		{"authorise again", func() error { return second(stale.Authorise(ctx, calls[0])) }},
		{"extend", func() error { return second(stale.Extend(ctx, calls[0].Call)) }},
		{"sign of life", func() error {
			return stale.Alive(ctx, []billing.Sign{{
				Call: calls[0].Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: time.Now(), Answered: time.Second,
			}})
		}},
		{"sign of life of nothing", func() error { return stale.Alive(ctx, []billing.Sign{{Call: uuid.New()}}) }},
		{"settle", func() error { return stale.Settle(ctx, settlement(calls[0].Call, 10*time.Second)) }},
		{"settle what has no hold", func() error { return stale.Settle(ctx, settlement(uuid.New(), 10*time.Second)) }},
		{"settle a group, one of another node", func() error {
			errs := make([]error, len(calls)+1)
			var settling sync.WaitGroup
			for i, r := range append(calls, foreign) {
				settling.Go(func() { errs[i] = stale.Settle(ctx, settlement(r.Call, 10*time.Second)) })
			}
			settling.Wait()
			for _, err := range errs {
				if !errors.Is(err, billing.ErrFenced) {
					return err
				}
			}
			return errs[0]
		}},
		{"close", func() error {
			return stale.Close(ctx, billing.Closing{Origin: calls[0].Origin, Account: "ana", Ended: time.Now(), Outcome: billing.Unavailable})
		}},
		{"what is in the spool", func() error { return second(stale.Resolve(ctx)) }},
		{"list to take over", func() error { return second(stale.Orphans(ctx)) }},
		{"take over", func() error { return second(stale.Adopt(ctx, calls[0].Call)) }},
		{"run", func() error { return stale.Run(ctx) }},
	} {
		if err := tt.write(); !errors.Is(err, billing.ErrFenced) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if after := h.money(t); after != before {
			t.Errorf("%s changed\n%s\nto\n%s", tt.name, before, after)
			before = after
		}
	}
	// It is not even the newest again when the newer one has ended.
	h.cutName(t, pgtest.Owner(t, h.db))
	if err := stale.Run(t.Context()); !errors.Is(err, billing.ErrFenced) {
		t.Errorf("alone again: %v", err)
	}
	if state, err := billing.ReadSpool(stale.spool); err != nil || state != (billing.SpoolState{Waiting: 1}) {
		t.Errorf("the spool of the stale one: %+v, %v", state, err)
	}
	// What it could not post is posted by the next run on its folder.
	last := onDatabase(t, h.db, stale.spool, "node-1")
	last.claim(t)
	if n, err := last.Resolve(t.Context()); err != nil || n != 3 {
		t.Errorf("%d resolved, %v", n, err)
	}
	h.wantAccount(t, "ana", money.Unit-40_000, 60_000)
	h.wantBooks(t)
}

// Who waits for a claim has locked nothing: else one that has passed the fence might wait for him, and the claim for both.
func TestFenceComesFirst(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	calls := authorised(t, h, "ana", 2)
	for name, write := range map[string]func() error{
		"authorise": func() error { return second(h.Authorise(t.Context(), request("ana", 60))) },
		"extend":    func() error { return second(h.Extend(t.Context(), calls[0].Call)) },
		"alive":     func() error { return h.Alive(t.Context(), []billing.Sign{{Call: calls[0].Call}}) },
		"adopt":     func() error { return second(h.Adopt(t.Context(), calls[0].Call)) },
		"settle":    func() error { return h.Settle(t.Context(), settlement(calls[1].Call, time.Second)) },
	} {
		claim, err := h.db.BeginTxx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var boot uuid.UUID
		if err := claim.Get(&boot, `SELECT boot FROM hold LIMIT 1`); err != nil {
			t.Fatal(err)
		}
		if _, err := claim.Exec(`SELECT take_node('node-1', $1)`, boot); err != nil {
			t.Fatal(err)
		}
		written := make(chan error)
		go func() { written <- write() }()
		for deadline := time.Now().Add(time.Minute); h.count(t, `SELECT count(*) FROM pg_locks WHERE NOT granted`) == 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not wait", name)
			}
		}
		for _, table := range []string{"hold", "balance", "call"} {
			if _, err := claim.Exec(`SELECT FROM ` + table + ` FOR UPDATE NOWAIT`); err != nil {
				t.Errorf("%s waits with a lock on %s: %v", name, table, err)
				break
			}
		}
		if err := claim.Rollback(); err != nil {
			t.Error(err)
		}
		if err := <-written; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each call of a run that is being followed is settled by it before, or not at all: when the newer one has claimed the
// node, nothing comes after.
func TestClaimAgainstSettlements(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", 100*money.Unit)
	r := newNodeRace(t, h)
	for round := range 20 {
		if late := r.run(fmt.Sprintf("node-%d", round)); late > 0 {
			t.Errorf("round %d: %d calls were settled or begun by a run that was followed", round, late)
		}
	}
	if r.settled.Load() == 0 || r.refused.Load() == 0 {
		t.Errorf("%d settled before, %d refused after: the race is no race", r.settled.Load(), r.refused.Load())
	}
	h.wantBooks(t)
}

// The test above must be able to fail: here the newest run is looked up without the lock, or with the eyes of the
// statement, which sees it as it was before it waited.
func TestNodeRaceFindsStaleEyes(t *testing.T) {
	for name, broken := range map[string]string{
		"eyes of the statement": `ALTER FUNCTION newest_run(text, uuid) STABLE`,
		"no lock": `CREATE OR REPLACE FUNCTION newest_run(of text, run uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
			BEGIN
			    IF EXISTS (SELECT FROM node WHERE name = of AND boot <> run) THEN
			        RAISE EXCEPTION 'newer' USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'newest_run';
			    END IF;
			    RETURN true;
			END $$`,
	} {
		h := newHouse(t)
		h.account(t, "ana", 1000*money.Unit)
		pgtest.Owner(t, h.db).MustExec(broken)
		found, r := false, newNodeRace(t, h)
		for round := 0; round < 200 && !found; round++ {
			found = r.run(fmt.Sprintf("node-%d", round)) > 0
		}
		if !found {
			t.Errorf("%s: 200 rounds without one late write: the race is no race", name)
		}
	}
}

// nodeRace lets newer runs claim a node while the older one settles its calls and begins others.
type nodeRace struct {
	t     *testing.T
	house house
	pool  *sqlx.DB // of the newer runs
	owner *sqlx.DB

	settled, refused atomic.Int64 // calls, by the older runs and to them
}

func newNodeRace(t *testing.T, h house) *nodeRace {
	t.Helper()
	pool, _ := throughLine(t, h.db)
	return &nodeRace{t: t, house: h, pool: pool, owner: pgtest.Owner(t, h.db)}
}

// run is one race. It tells how many calls the older run settled or began when the newer one had claimed the node.
func (r *nodeRace) run(node string) (late int) {
	const workers, each = 8, 2
	t := r.t
	older, newer := onDatabase(t, r.house.db, t.TempDir(), node), onDatabase(t, r.pool, t.TempDir(), node)
	older.claim(t)
	calls := authorised(t, older, "ana", workers*each)
	warm(t, r.house.db, workers+1)
	warm(t, r.pool, 2)
	r.house.cutName(t, r.owner)

	start := make(chan struct{})
	var racing sync.WaitGroup
	for w := range workers {
		racing.Go(func() {
			<-start
			for _, c := range calls[w*each : (w+1)*each] {
				r.write(older, c.Call)
			}
		})
	}
	var claimed []billing.CallID
	racing.Go(func() {
		<-start
		if err := newer.Claim(t.Context()); err != nil {
			t.Error(err)
		}
		claimed = r.running(node)
	})
	close(start)
	racing.Wait()
	left := r.running(node)
	for _, call := range left {
		if err := newer.Settle(t.Context(), settlement(call, 20*time.Second)); err != nil {
			t.Error(err)
		}
	}
	older.Release()
	newer.Release()
	return difference(claimed, left) + difference(left, claimed)
}

// write settles a call and begins another.
func (r *nodeRace) write(older house, call billing.CallID) {
	switch err := older.Settle(r.t.Context(), settlement(call, 10*time.Second)); {
	case err == nil:
		r.settled.Add(1)
	case errors.Is(err, billing.ErrFenced):
		r.refused.Add(1)
	default:
		r.t.Error(err)
	}
	if _, err := older.Authorise(r.t.Context(), request("ana", 60)); err != nil && !errors.Is(err, billing.ErrFenced) {
		r.t.Error(err)
	}
}

// running lists the calls of a node that hold money.
func (r *nodeRace) running(node string) (ids []billing.CallID) {
	if err := r.pool.SelectContext(r.t.Context(), &ids, `SELECT call_id FROM hold WHERE node = $1`, node); err != nil {
		r.t.Error(err)
	}
	return ids
}

// difference counts what is in a and not in b.
func difference(a, b []billing.CallID) (n int) {
	in := map[billing.CallID]bool{}
	for _, id := range b {
		in[id] = true
	}
	for _, id := range a {
		if !in[id] {
			n++
		}
	}
	return n
}

// A run takes the calls over that go on, knows all of them that the run before knew, and is the only one to write to them.
func TestAdopt(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	first, elsewhere := onDatabase(t, h.db, t.TempDir(), "node-1"), onDatabase(t, h.db, t.TempDir(), "node-2")
	first.claim(t)
	h.account(t, "bea", 8*money.Cent) // more than a minute with access, by the row that comes to count
	answered, ringing := request("bea", 60), request("ana", 60)
	answered.Started, ringing.Started = microseconds(answered.Started), microseconds(ringing.Started)
	answered = over(t, answered, true)
	next := minute
	next.RatePerMinute *= 2
	answered.Later = append(answered.Later, tariff.Later{From: microseconds(time.Now().Add(time.Hour)), Row: next})
	held := map[billing.CallID]billing.Hold{}
	for _, r := range []billing.Request{answered, ringing} {
		hold, err := first.Authorise(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		held[r.Call] = hold
	}
	over, foreign := authorised(t, first, "ana", 1)[0], authorised(t, elsewhere, "ana", 1)[0]
	if err := first.Settle(t.Context(), settlement(over.Call, 0)); err != nil {
		t.Fatal(err)
	}
	sign := billing.Sign{
		Call: answered.Call, Trunk: "T1", Carrier: "K1", Cost: wholesale, AnsweredAt: microseconds(time.Now()),
		Answered: 4200 * time.Millisecond,
	}
	if err := first.Alive(t.Context(), []billing.Sign{sign, {Call: ringing.Call}}); err != nil {
		t.Fatal(err)
	}

	recovering := make(chan struct{})
	again := h.follow(t, "node-1", recovering)
	orphans, err := again.Orphans(t.Context())
	if err != nil || len(orphans) != 2 {
		t.Fatalf("%d orphans, %v", len(orphans), err)
	}
	hold := held[answered.Call]
	if hold.Seconds != 34 {
		t.Fatalf("held for %d s", hold.Seconds)
	}
	hold.Seconds = 60 // the dearer row does not count any more
	wantOrphan(t, orphans[0], billing.Orphan{Request: answered, Hold: hold, Sign: sign})
	wantOrphan(t, orphans[1], billing.Orphan{Request: ringing, Hold: held[ringing.Call], Sign: billing.Sign{Call: ringing.Call}})

	for range 2 {
		adopted, err := again.Adopt(t.Context(), answered.Call)
		if err != nil {
			t.Fatal(err)
		}
		wantOrphan(t, adopted, billing.Orphan{Request: answered, Hold: hold, Sign: sign})
	}
	for name, tt := range map[string]struct {
		call billing.CallID
		want error
	}{
		"a call that is over":    {over.Call, billing.ErrSettled},
		"another node's call":    {foreign.Call, billing.ErrNotFound},
		"a call that nobody has": {uuid.New(), billing.ErrNotFound},
	} {
		if _, err := again.Adopt(t.Context(), tt.call); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if err := first.Settle(t.Context(), settlement(answered.Call, time.Second)); !errors.Is(err, billing.ErrFenced) {
		t.Errorf("settled by the first: %v", err)
	}
	close(recovering)
	if n, err := again.Resolve(t.Context()); err != nil || n != 1 {
		t.Errorf("%d resolved, %v; want the one that was not taken over", n, err)
	}
	if err := again.Alive(t.Context(), []billing.Sign{{Call: answered.Call, AnsweredAt: sign.AnsweredAt, Answered: 9 * time.Second}}); err != nil {
		t.Error(err)
	}
	if got, err := again.Extend(t.Context(), answered.Call); err != nil || got != hold {
		t.Errorf("%+v, %v; want %+v", got, err, hold)
	}
	st := settlement(answered.Call, 30*time.Second)
	st.AnsweredAt = sign.AnsweredAt
	for range 2 {
		if err := again.Settle(t.Context(), st); err != nil {
			t.Error(err)
		}
	}
	if c, err := h.Call(t.Context(), answered.Call); err != nil || c.AnsweredSeconds != 30 || c.Outcome != billing.Answered {
		t.Errorf("%+v, %v", c, err)
	}
	if left, err := again.Orphans(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%+v, %v", left, err)
	}
	h.wantBooks(t)
}

// wantOrphan compares all but the moment of the last sign of life, which must have been told.
func wantOrphan(t *testing.T, got, want billing.Orphan) {
	t.Helper()
	if time.Since(got.AliveAt) > time.Minute || time.Since(got.AliveAt) < -time.Second {
		t.Errorf("alive at %v", got.AliveAt)
	}
	want.AliveAt = got.AliveAt
	g, err := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err := errors.Join(err, err2); err != nil || string(g) != string(w) {
		t.Errorf("%v\ngot  %s\nwant %s", err, g, w)
	}
}

// microseconds is t as the database keeps it.
func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// While it is not known which calls go on, only what is known of them by others is settled.
func TestResolveWaitsForRecovering(t *testing.T) {
	h := newHouse(t)
	h.account(t, "ana", money.Unit)
	first, elsewhere := onDatabase(t, h.db, h.spool, "node-1"), onDatabase(t, h.db, t.TempDir(), "node-2")
	first.claim(t)
	calls := authorised(t, first, "ana", 3)
	dead := authorised(t, elsewhere, "ana", 1)[0]
	if _, err := h.db.Exec(`UPDATE hold SET alive_at = now() - interval '31 s' WHERE call_id = $1`, dead.Call); err != nil {
		t.Fatal(err)
	}
	pool, fault := faulty(t, h.db)
	fault.setAway(true)
	if err := onDatabase(t, pool, h.spool, "node-1").Settle(t.Context(), settlement(calls[0].Call, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	first.Release()

	recovering := make(chan struct{})
	again := whileRecovering(t, h.db, h.spool, "node-1", recovering)
	again.claim(t)
	for i, want := range []int{1, 0} { // the other node's, that from the spool is not counted
		if n, err := again.Resolve(t.Context()); err != nil || n != want {
			t.Errorf("look %d: %d resolved, %v; want %d", i, n, err, want)
		}
	}
	h.wantAccount(t, "ana", money.Unit-40_000, 120_000)
	// A switch tells exactly how a call ended meanwhile.
	if err := again.Settle(t.Context(), settlement(calls[1].Call, 20*time.Second)); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	running := make(chan error)
	go func() { running <- again.Run(ctx) }()
	close(recovering)
	for deadline := time.Now().Add(time.Minute); h.count(t, `SELECT count(*) FROM hold`) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what nobody took over is not settled")
		}
	}
	stop()
	if err := <-running; err != nil {
		t.Error(err)
	}
	h.wantAccount(t, "ana", money.Unit-60_000, 0)
	h.wantBooks(t)
}

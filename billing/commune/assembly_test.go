package commune_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// saga is a commune whose days go by one after the other.
type saga struct {
	*testing.T
	*commune.Store

	db   *sqlx.DB
	acts int
}

// on does something on a day, twice, and wants it refused for a reason, or not at all.
func (s *saga) on(day ledger.Date, want error, do func(context.Context, *commune.Commune, commune.Act) error) {
	s.Helper()
	s.acts++
	a := commune.Act{Key: fmt.Sprint("saga:", s.acts), Actor: "test", At: june, Date: day}
	for range 2 { // again it is the same
		err := s.Do(s.Context(), func(c *commune.Commune) error { return do(s.Context(), c, a) })
		if !errors.Is(err, want) || err == nil != (want == nil) {
			s.Errorf("on %s: %v, want %v", day, err, want)
			return
		}
	}
}

func (s *saga) close(p ledger.Period) commune.Figures {
	s.Helper()
	at, err := time.Parse(time.DateOnly, string(p.Next().First()))
	if err != nil {
		s.Fatal(err)
	}
	out, err := s.Close(s.Context(), ledger.Order{Period: p, Actor: "test", Now: at.Add(12 * time.Hour)})
	if err != nil {
		s.Fatalf("close of %s: %v", p, err)
	}
	return out.Figures
}

func (s *saga) balance(book, account, want string) {
	s.Helper()
	lines, err := ledger.Trial(s.Context(), s.db, ledger.TrialFilter{Book: book})
	if err != nil {
		s.Fatal(err)
	}
	for _, l := range lines {
		if l.Account == account {
			if l.Balance.String() != want {
				s.Errorf("%s %s is %s, want %s", book, account, l.Balance, want)
			}
			return
		}
	}
	if want != "0.00" {
		s.Errorf("%s has no %s, want %s", book, account, want)
	}
}

func (s *saga) post(day ledger.Date, lines ...ledger.Line) error {
	s.acts++
	return s.Do(s.Context(), func(c *commune.Commune) error {
		_, err := ledger.Post(s.Context(), c.Tx(), ledger.Entry{Key: fmt.Sprint("saga:", s.acts), Kind: "opening", At: june, Date: day, Lines: lines})
		return err
	})
}

func (s *saga) enterprise(code string, state commune.State) {
	s.Helper()
	if e, err := s.Enterprise(s.Context(), code); err != nil || e.State != state {
		s.Errorf("%s is %s, %v; want %s", code, e.State, err, state)
	}
}

func (s *saga) agreement(day ledger.Date, code string, state commune.State) {
	s.Helper()
	if g, err := s.Contract(s.Context(), day, code); err != nil || g.State != state {
		s.Errorf("%s is %s on %s, %v; want %s", code, g.State, day, err, state)
	}
}

type (
	com = *commune.Commune
	act = commune.Act
)

// newSaga is June 2027: anna and bert are members, HOST rents a server that was bought with bonds of X.
func newSaga(t *testing.T) *saga {
	db := pgtest.New(t)
	s := &saga{T: t, Store: commune.NewStore(db), db: db}
	join := func(member, attests string) {
		s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error {
			return c.Join(ctx, a, commune.Joining{Member: member, Enterprise: "CALL", AttestedBy: attests})
		})
	}
	join("anna", "")
	join("bert", "anna")
	propose := commune.Proposal{Code: "HOST", Name: "Hosting", Member: "anna"}
	s.on("2027-06-01", commune.ErrNotMember, func(ctx context.Context, c com, a act) error {
		p := propose
		p.Member = "carl"
		if err := c.ProposeEnterprise(ctx, a, p); !errors.Is(err, commune.ErrUnknown) {
			return err
		}
		return commune.ErrNotMember // nobody knows carl, so he is none
	})
	s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error { return c.ProposeEnterprise(ctx, a, propose) })
	s.enterprise("HOST", commune.Proposed)
	request := commune.Request{
		Member: "bert", Price: 60 * money.Unit, Thing: commune.Thing{Asset: "disk", Kind: "server", Life: 12, Meter: commune.None},
		Agreement: commune.Offered{Code: "RD", Lessee: commune.Lessee{Enterprise: "HOST"}, Terms: commune.Terms{Fixed: 12 * money.Unit}},
	}
	ask := func(ctx context.Context, c com, a act) error { return c.RequestAsset(ctx, a, request) }
	s.on("2027-06-01", commune.ErrState, ask) // it may not rent yet
	s.on("2027-06-01", commune.ErrNoContribution, func(ctx context.Context, c com, a act) error {
		err := c.Join(ctx, a, commune.Joining{Member: "dora", Enterprise: "HOST", AttestedBy: "anna"})
		if errors.Is(err, commune.ErrState) { // nor take anybody on
			err = commune.ErrNoContribution
		}
		return err
	})
	s.on("2027-06-01", commune.ErrState, func(ctx context.Context, c com, a act) error {
		return c.StartEnterprise(ctx, a, commune.Resolution{Enterprise: "HOST"}) // without a decision
	})
	s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error {
		return c.StartEnterprise(ctx, a, commune.Resolution{Enterprise: "HOST", Text: "all"})
	})
	s.enterprise("HOST", commune.Active)
	s.on("2027-06-01", nil, ask)
	s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error {
		_, err := c.AuctionBonds(ctx, a, commune.Offer{
			Series: "S", Asset: "disk", Offer: 60 * money.Unit, CapBPS: 1200, Unit: money.Unit, Term: 6,
			Bids: []commune.Bid{{Bidder: "X", RateBPS: 1200, Amount: 60 * money.Unit}},
		})
		return err
	})
	s.on("2027-06-01", nil, func(ctx context.Context, c com, a act) error { return c.Acquire(ctx, a, "disk", 0) })
	err := errors.Join(
		s.post("2027-06-01", ledger.Debit("COM", "1000", 20*money.Unit), ledger.Credit("COM", "3100:general", 20*money.Unit)),
		s.post("2027-06-01", ledger.Credit("COM", "1000", 10*money.Unit), ledger.Debit("COM", "1300:HOST", 10*money.Unit),
			ledger.Debit("HOST", "1000", 10*money.Unit), ledger.Credit("HOST", "3000", 10*money.Unit)),
		s.post("2027-06-01", ledger.Debit("HOST", "1000", 9*money.Unit), ledger.Credit("HOST", "4000:web", 9*money.Unit)),
	)
	if err != nil {
		t.Fatal(err)
	}
	s.on("2027-06-02", nil, func(ctx context.Context, c com, a act) error { return c.PayDeposit(ctx, a, "RD", 5*money.Unit) })
	return s
}

// TestArrears is the timetable of rent that does not come (7.8, P-12), each step refused before its day: June's rent of 12.00
// fell due on 30 June.
func TestArrears(t *testing.T) {
	s := newSaga(t)
	notice := func(ctx context.Context, c com, a act) error { return c.NoticeArrears(ctx, a, "RD") }
	apply := func(ctx context.Context, c com, a act) error { return c.ApplyDeposit(ctx, a, "RD") }
	back := func(ctx context.Context, c com, a act) error { return c.TakeBack(ctx, a, "RD") }
	fail := func(ctx context.Context, c com, a act) error { return c.Default(ctx, a, "S") }
	s.on("2027-06-30", commune.ErrState, notice) // nothing is posted yet
	if f := s.close("2027-06"); f.Interest["S"] == 0 || f.InterestPaid["S"] != 0 || f.Pool != 0 {
		t.Errorf("nobody paid, and yet %+v", f)
	}
	s.agreement("2027-07-01", "RD", commune.Running)
	s.on("2027-07-01", commune.ErrState, apply) // without a notice
	s.on("2027-07-31", commune.ErrState, back)
	s.on("2027-07-01", nil, func(ctx context.Context, c com, a act) error {
		return c.VotePolicy(ctx, a, commune.Vote{Policy: commune.DaysNotice, Value: 3, From: "2027-07-01", Text: "patience"})
	})
	s.on("2027-07-02", commune.ErrEarly, notice)
	s.on("2027-07-03", nil, notice)
	s.on("2027-07-04", commune.ErrState, notice) // it was given
	s.agreement("2027-07-03", "RD", commune.InArrears)
	s.enterprise("HOST", commune.InArrears)
	distribute := func(ctx context.Context, c com, a act) error {
		return c.Distribute(ctx, a, commune.Distribution{Resolution: commune.Resolution{Enterprise: "HOST", Text: "its workers"}, Amount: money.Unit})
	}
	s.on("2027-07-04", commune.ErrState, distribute) // rent comes first
	s.on("2027-07-14", commune.ErrEarly, apply)
	s.on("2027-07-15", nil, apply)
	s.balance("COM", "1100:RD", "7.00")
	s.balance("HOST", "1350:RD", "0.00")
	s.on("2027-07-29", commune.ErrEarly, back)
	suspend := func(ctx context.Context, c com, a act) error {
		return c.SuspendEnterprise(ctx, a, commune.Resolution{Enterprise: "HOST", Text: "all"})
	}
	s.on("2027-07-29", commune.ErrState, suspend) // the server is not returned
	s.on("2027-07-30", nil, back)
	s.on("2027-07-31", commune.ErrState, back) // it is
	s.agreement("2027-07-31", "RD", commune.Terminated)
	if a, err := s.Asset(t.Context(), "2027-07-30", "disk"); err != nil || a.State != commune.Vacant {
		t.Errorf("the server is %s, %v", a.State, err)
	}
	s.on("2027-07-31", commune.ErrEarly, fail)
	s.on("2027-07-31", commune.ErrState, func(ctx context.Context, c com, a act) error {
		_, err := c.Liquidate(ctx, a, "disk", 40*money.Unit)
		return err
	})
	s.on("2027-07-31", nil, suspend)
	s.enterprise("HOST", commune.Suspended)
	s.on("2027-07-31", commune.ErrState, func(ctx context.Context, c com, a act) error {
		_, err := c.LetByAuction(ctx, a, commune.Letting{Asset: "disk", Agreement: "RX", Bids: []commune.RentalBid{{Bidder: "anna", Enterprise: "HOST", Amount: 20 * money.Unit}}})
		return err
	})
	s.close("2027-07") // 5.00 of the deposit serve the bonds
	if i, err := s.Issue(t.Context(), "S"); err != nil || i.State != "servicing" || i.Outstanding >= 60*money.Unit {
		t.Errorf("the bonds are %+v, %v", i, err)
	}
	s.on("2027-08-28", commune.ErrEarly, fail)
	s.on("2027-08-29", nil, fail)
	s.on("2027-08-29", commune.ErrState, fail)
	s.on("2027-08-29", commune.ErrState, func(ctx context.Context, c com, a act) error {
		_, err := c.LetByAuction(ctx, a, commune.Letting{Asset: "disk", Agreement: "RX", Bids: []commune.RentalBid{{Bidder: "anna", Enterprise: "CALL", Amount: 20 * money.Unit}}})
		return err
	})
	if i, err := s.Issue(t.Context(), "S"); err != nil || i.State != "defaulted" {
		t.Errorf("the bonds are %s, %v", i.State, err)
	}
	for _, p := range []ledger.Period{"2027-06", "2027-07"} {
		s.on("2027-08-30", nil, func(ctx context.Context, c com, a act) error { return c.WriteRentOff(ctx, a, "RD", p) })
	}
	s.on("2027-08-30", nil, func(ctx context.Context, c com, a act) error {
		_, err := c.Liquidate(ctx, a, "disk", 40*money.Unit)
		return err
	})
	if i, err := s.Issue(t.Context(), "S"); err != nil || i.State != "closed" || *i.Shortfall <= 0 {
		t.Errorf("the bonds are %+v, %v", i, err)
	}
	life, err := s.AssetLife(t.Context(), "2027-08-31", "disk")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []commune.Station{
		{Date: "2027-07-03", Text: "Notice of arrears: the rent of June 2027 by RD"},
		{Date: "2027-07-30", Text: "Taken back from HOST: the rent did not come"},
		{Date: "2027-08-29", Text: "Bonds S in default: it is sold for their holders"},
	} {
		if !slices.Contains(life.Stations, want) {
			t.Errorf("the life of the disk lacks %v: %v", want, life.Stations)
		}
	}
	f := s.close("2027-08")
	if f.Pool != 0 {
		t.Errorf("the holders' money went to the pool: %+v", f)
	}
	s.windUp()
}

// windUp ends HOST in September. It has 14.00: its capital of 10.00 and the 9.00 that it earned, less the deposit of 5.00.
func (s *saga) windUp() {
	s.Helper()
	resolution := commune.Resolution{Enterprise: "HOST", Text: "all"}
	wind := func(ctx context.Context, c com, a act) error {
		net, err := c.WindUp(ctx, a, resolution)
		if err == nil && net != 14*money.Unit {
			err = fmt.Errorf("net assets of %s", net)
		}
		return err
	}
	s.on("2027-09-01", commune.ErrState, func(ctx context.Context, c com, a act) error {
		r := resolution
		r.Enterprise = "CALL" // which works
		_, err := c.WindUp(ctx, a, r)
		return err
	})
	wage := commune.Wage{Enterprise: "HOST", Member: "anna", Amount: 2 * money.Unit}
	s.on("2027-09-01", nil, func(ctx context.Context, c com, a act) error { return c.EarnWage(ctx, a, wage) })
	s.on("2027-09-02", commune.ErrState, wind) // anna is owed her wage
	s.on("2027-09-02", nil, func(ctx context.Context, c com, a act) error { return c.PayWage(ctx, a, wage) })
	if err := s.post("2027-09-02", ledger.Debit("HOST", "1000", 2*money.Unit), ledger.Credit("HOST", "4000:web", 2*money.Unit)); err != nil {
		s.Fatal(err)
	}
	s.windUpWhilePosting(wind)
	s.on("2027-09-03", nil, wind)
	s.enterprise("HOST", commune.WoundUp)
	for _, account := range []string{"1000", "3000", "3900", "4000:web", "5200:anna"} {
		s.balance("HOST", account, "0.00")
	}
	s.balance("COM", "1300:HOST", "0.00")
	s.balance("COM", "4300:HOST", "-4.00")
	if err := s.post("2027-09-04", ledger.Debit("HOST", "1000", 1), ledger.Credit("HOST", "4000:web", 1)); !errors.Is(err, ledger.ErrBookClosed) {
		s.Errorf("the book of an enterprise that is gone takes entries: %v", err)
	}
	s.on("2027-09-04", commune.ErrState, func(ctx context.Context, c com, a act) error { return c.ResumeEnterprise(ctx, a, resolution) })
	f := s.close("2027-09")
	if f.Distributions["HOST"] != 4*money.Unit || f.Pool != 4*money.Unit || f.Dividends["anna"] != 2*money.Unit {
		s.Errorf("what was left of it: %+v", f)
	}
}

// windUpWhilePosting has an invoice booked in the book of HOST while it is being wound up: it waits and sees that something
// is owed. The invoice is taken back then.
func (s *saga) windUpWhilePosting(wind func(context.Context, com, act) error) {
	s.Helper()
	booked := make(chan error, 1)
	invoice := []ledger.Line{ledger.Debit("HOST", "5000", money.Unit), ledger.Credit("HOST", "2200", money.Unit)}
	tx := s.db.MustBeginTx(s.Context(), nil)
	defer tx.Rollback() //nolint:errcheck // it is committed
	_, err := ledger.Post(s.Context(), tx, ledger.Entry{Key: "saga:invoice", Kind: "opening", At: june, Date: "2027-09-03", Lines: invoice})
	if err != nil {
		s.Fatal(err)
	}
	go func() {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			var n int
			if err := s.db.Get(&n, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`); err != nil || n > 0 {
				booked <- errors.Join(err, tx.Commit())
				return
			}
		}
		booked <- errors.New("winding up waits for nothing")
	}()
	s.acts++
	err = s.Do(s.Context(), func(c com) error {
		return wind(s.Context(), c, act{Key: fmt.Sprint("saga:", s.acts), Actor: "test", At: june, Date: "2027-09-03"})
	})
	if err := <-booked; err != nil {
		s.Fatal(err)
	}
	if !errors.Is(err, commune.ErrState) {
		s.Fatalf("wound up while an invoice was booked: %v", err)
	}
	if err := s.post("2027-09-03", ledger.Debit("HOST", "2200", money.Unit), ledger.Credit("HOST", "5000", money.Unit)); err != nil {
		s.Fatal(err)
	}
}

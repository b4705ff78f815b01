package commune_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

// TestHistories lets a commune do whatever it can in any order, and looks at every invariant of economics.md 9 after each
// step. What is refused must be refused for a reason that the package names, and leave no trace.
func TestHistories(t *testing.T) {
	checks, steps := 6, "60"
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		checks, steps = 40, "100"
	}
	set(t, "rapid.steps", steps)
	db := pgtest.New(t)
	allowed := map[string]int{}
	rapidFew(t, checks, func(rt *rapid.T) {
		tx, err := db.Beginx()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback() //nolint:errcheck // that is its end
		v := &village{T: t, tx: tx, Commune: commune.In(tx, commune.Book), open: "2028-01", day: "2028-01-01", allowed: allowed, bonds: map[string]money.Amount{}}
		v.found()
		rt.Repeat(map[string]func(*rapid.T){
			"join": v.join, "leave": v.leave, "request": v.request, "auction": v.auction, "acquire": v.acquire, "gift": v.gift,
			"pay rent": v.payRent, "order rent": v.orderRent, "write off": v.writeOff, "deposit": v.deposit, "apply deposit": v.applyDeposit, "refund deposit": v.refundDeposit,
			"notice": v.notice, "let": v.let, "liquidate": v.liquidate, "wage": v.wage, "expense": v.expense, "levy": v.levy,
			"dividend": v.dividend, "settle": v.settle, "call": v.call, "usage": v.usage, "top up": v.topUp, "close": v.close,
			"work": v.work, "lapse": v.lapse, "end": v.end, "forfeit": v.forfeit, "vote": v.vote, "found": v.foundEnterprise, "resume": v.resume, "ruin": v.ruin,
			"wind up": v.windUp, "distribute": v.distribute, "arrears": v.arrears, "take back": v.takeBack, "default": v.defaulted,
			"": v.check,
		})
	})
	if os.Getenv("TELECOMMUNE_LONG") == "" {
		return
	}
	for _, op := range []string{
		"join", "leave", "request", "auction", "acquire", "gift", "order rent", "pay rent", "deposit", "notice", "let", "wage", "expense", "levy", "dividend", "call", "close",
		"work", "vote", "found", "suspend", "distribute", "arrears", "take back", // what takes months is told in assembly_test.go and vote_test.go
	} {
		if allowed[op] == 0 {
			t.Errorf("no history had a step %q that went well: %v", op, allowed)
		}
	}
}

// rapidFew is rapid.Check with so many checks.
func rapidFew(t *testing.T, checks int, check func(*rapid.T)) {
	t.Helper()
	set(t, "rapid.checks", strconv.Itoa(checks))
	rapid.Check(t, check)
}

// set sets a flag until the test ends.
func set(t *testing.T, name, value string) {
	t.Helper()
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flag.Set(name, before) }) //nolint:errcheck // it was a value of that flag
}

// village is a commune whose history is made up.
type village struct {
	*testing.T
	*commune.Commune

	tx      *sqlx.Tx
	open    ledger.Period
	day     ledger.Date // of today; never before yesterday's
	acts    int
	allowed map[string]int
	bonds   map[string]money.Amount // outstanding, by account, when last seen
}

const (
	members    = 4
	assets     = 4
	agreements = 9
)

func (v *village) found() {
	if err := commune.Sandbox(v.Context(), v.tx, time.UTC, v.open); err != nil {
		v.Fatal(err)
	}
	for _, q := range []string{
		`SET CONSTRAINTS ALL IMMEDIATE`,
		`INSERT INTO book (code, name, currency) VALUES ('HOST', 'Hosting', 'EUR')`,
	} {
		if _, err := v.tx.Exec(q); err != nil {
			v.Fatal(err)
		}
	}
	if err := ledger.OpenBalance(v.Context(), v.tx, "CALL", "2100:C1", 0); err != nil {
		v.Fatal(err)
	}
	o := commune.Opening{
		Period: v.open, Enterprises: []string{"CALL", "HOST"}, Members: []commune.Membership{{Member: "M0", Joined: "2027-01-01"}},
	}
	if err := v.Open(v.Context(), commune.Act{Key: "open", Actor: "test", At: time.Now()}, o); err != nil {
		v.Fatal(err)
	}
	v.post("opening", ledger.Debit("CALL", "1000", 50_000*money.Cent), ledger.Credit("CALL", "3900", 50_000*money.Cent))
	v.buy()
	v.post("opening", ledger.Debit("HOST", "1000", 5_000*money.Cent), ledger.Credit("HOST", "3900", 4_000*money.Cent), ledger.Credit("HOST", "3000", 1_000*money.Cent),
		ledger.Debit("COM", "1300:HOST", 1_000*money.Cent), ledger.Credit("COM", "3100:general", 1_000*money.Cent))
}

// buy buys the first asset with bonds, so that every history has some.
func (v *village) buy() {
	ctx, act := v.Context(), func(n int) commune.Act {
		return commune.Act{Key: fmt.Sprint("buy", n), Actor: "test", At: time.Now(), Date: v.day}
	}
	err := v.RequestAsset(ctx, act(1), commune.Request{
		Member: "M0", Price: 60 * money.Unit, Thing: commune.Thing{Asset: "A0", Kind: "trunk", Life: 6, Meter: commune.Seconds},
		Agreement: commune.Offered{Code: "R0", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 30 * money.Unit, Rate: 60_000}},
	})
	if err == nil {
		_, err = v.AuctionBonds(ctx, act(2), commune.Offer{
			Series: "S", Asset: "A0", Offer: 60 * money.Unit, CapBPS: 900, Unit: money.Unit, Term: 3,
			Bids: []commune.Bid{{Bidder: "X", RateBPS: 500, Amount: 41 * money.Unit}, {Bidder: "Y", RateBPS: 900, Amount: 41 * money.Unit}},
		})
	}
	if err == nil {
		err = v.Acquire(ctx, act(3), "A0", 0)
	}
	if err == nil { // and HOST has something that it may not be able to pay for
		err = v.AcceptGift(ctx, act(4), commune.Gift{
			Value: 12 * money.Unit, Thing: commune.Thing{Asset: "A1", Kind: "server", Life: 6, Meter: commune.Quantity},
			Agreement: &commune.Offered{Code: "R1", Lessee: commune.Lessee{Enterprise: "HOST"}, Terms: commune.Terms{Fixed: 12 * money.Unit}},
		})
	}
	if err != nil {
		v.Fatal(err)
	}
}

// post adds an entry of a caller.
func (v *village) post(kind string, lines ...ledger.Line) error {
	v.acts++
	_, err := ledger.Post(v.Context(), v.tx, ledger.Entry{
		Key: fmt.Sprint(kind, v.acts), Kind: kind, Actor: "test", At: time.Now(), Date: v.day, Lines: lines,
	})
	return err
}

// do tries an operation; what is refused is undone.
func (v *village) do(rt *rapid.T, name string, op func(commune.Act) error) {
	v.acts++
	if ahead := rapid.IntRange(0, 3).Draw(rt, "days"); ahead > 0 {
		v.day = min(v.open.Last(), ledger.DateOf(v.midnight().AddDate(0, 0, ahead), time.UTC))
	}
	v.exec(rt, `SAVEPOINT step`)
	a := commune.Act{Key: fmt.Sprint("act", v.acts), Actor: "test", At: time.Now(), Date: v.day}
	err := op(a)
	if err == nil {
		v.allowed[name]++
		if err := op(a); err != nil { // again: nothing happens
			rt.Fatalf("%s repeated: %v", name, err)
		}
		v.exec(rt, `RELEASE SAVEPOINT step`)
		return
	}
	for _, known := range []error{
		commune.ErrUnknown, commune.ErrState, commune.ErrPeriodOpen, commune.ErrFunds, commune.ErrNotLet, commune.ErrLet, commune.ErrCoverage,
		commune.ErrSecondShare, commune.ErrNoContribution, commune.ErrNotMember, commune.ErrEarly, commune.ErrAmount, ledger.ErrOverdrawn, ledger.ErrBookClosed,
	} {
		if errors.Is(err, known) {
			v.exec(rt, `ROLLBACK TO SAVEPOINT step`)
			return
		}
	}
	rt.Fatalf("%s: %v", name, err)
}

func (v *village) exec(rt *rapid.T, query string) {
	if _, err := v.tx.Exec(query); err != nil {
		rt.Fatal(query, err)
	}
}

func (v *village) midnight() time.Time {
	t, err := time.Parse(time.DateOnly, string(v.day))
	if err != nil {
		v.Fatal(err)
	}
	return t
}

// Names of things that there are, or are not.

func member(rt *rapid.T) string {
	return fmt.Sprint("M", rapid.IntRange(0, members).Draw(rt, "member"))
}

func asset(rt *rapid.T) string { return fmt.Sprint("A", rapid.IntRange(0, assets).Draw(rt, "asset")) }

func agreement(rt *rapid.T) string {
	return fmt.Sprint("R", rapid.IntRange(0, agreements).Draw(rt, "agreement"))
}

// running names an agreement that was executed, if there is any.
func (v *village) running(rt *rapid.T) string {
	var running []string
	if err := v.tx.Select(&running, `SELECT code FROM agreement ORDER BY code`); err != nil {
		rt.Fatal(err)
	}
	return rapid.SampledFrom(append(running, "R0")).Draw(rt, "agreement")
}

func enterprise(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"CALL", "CALL", "HOST"}).Draw(rt, "enterprise")
}

func cents(rt *rapid.T, most int) money.Amount {
	return money.Cent * money.Amount(rapid.IntRange(1, most).Draw(rt, "cents"))
}

func lessee(rt *rapid.T) commune.Lessee {
	if rapid.IntRange(0, 4).Draw(rt, "lessee") == 0 {
		return commune.Lessee{Member: "M0"}
	}
	return commune.Lessee{Enterprise: enterprise(rt)}
}

func offered(rt *rapid.T) commune.Offered {
	return commune.Offered{Code: agreement(rt), Lessee: lessee(rt), Terms: commune.Terms{
		Fixed: cents(rt, 4000), Minimum: cents(rt, 4000), Rate: money.Amount(rapid.IntRange(0, 90_000).Draw(rt, "rate")), Included: rapid.Int64Range(0, 500).Draw(rt, "included"),
	}}
}

func thing(rt *rapid.T) commune.Thing {
	return commune.Thing{
		Asset: asset(rt), Kind: "thing", Life: rapid.IntRange(1, 6).Draw(rt, "life"),
		Meter: rapid.SampledFrom([]commune.Meter{commune.Seconds, commune.Seconds, commune.Quantity, commune.None}).Draw(rt, "meter"),
	}
}

func (v *village) join(rt *rapid.T) {
	j := commune.Joining{Member: member(rt), Enterprise: "CALL", AttestedBy: rapid.SampledFrom([]string{"M0", "M1", ""}).Draw(rt, "attested by")}
	v.do(rt, "join", func(a commune.Act) error { return v.Join(v.Context(), a, j) })
}

func (v *village) leave(rt *rapid.T) {
	m := fmt.Sprint("M", rapid.IntRange(1, members).Draw(rt, "member"))
	v.do(rt, "leave", func(a commune.Act) error { return v.Leave(v.Context(), a, m) })
}

func (v *village) request(rt *rapid.T) {
	q := commune.Request{Member: "M0", Price: cents(rt, 9000), Thing: thing(rt), Agreement: offered(rt)}
	v.do(rt, "request", func(a commune.Act) error { return v.RequestAsset(v.Context(), a, q) })
}

// wanted finds an asset in a state of its request.
func (v *village) wanted(rt *rapid.T, state string) (asset string, price money.Amount) {
	var rows []struct {
		Asset string       `db:"asset"`
		Price money.Amount `db:"price"`
	}
	if err := v.tx.Select(&rows, `SELECT asset, price FROM asset_request WHERE state = $1 ORDER BY asset LIMIT 1`, state); err != nil {
		rt.Fatal(err)
	}
	if len(rows) == 0 {
		return "A0", 100 * money.Cent
	}
	return rows[0].Asset, rows[0].Price
}

func (v *village) auction(rt *rapid.T) {
	o := commune.Offer{Series: fmt.Sprint("S", v.acts), CapBPS: 900, Unit: money.Cent, Term: rapid.IntRange(1, 4).Draw(rt, "term")}
	o.Asset, o.Offer = v.wanted(rt, "requested")
	o.Offer += money.Cent * money.Amount(rapid.IntRange(0, 50).Draw(rt, "more"))
	for i := range rapid.IntRange(0, 5).Draw(rt, "bids") {
		o.Bids = append(o.Bids, commune.Bid{Bidder: fmt.Sprint("X", i), RateBPS: rapid.IntRange(0, 9).Draw(rt, "rate") * 100, Amount: cents(rt, 9000)})
	}
	v.do(rt, "auction", func(a commune.Act) error {
		_, err := v.AuctionBonds(v.Context(), a, o)
		return err
	})
}

func (v *village) acquire(rt *rapid.T) {
	asset, price := v.wanted(rt, "funded")
	v.do(rt, "acquire", func(a commune.Act) error { return v.Acquire(v.Context(), a, asset, price) })
}

func (v *village) gift(rt *rapid.T) {
	g := commune.Gift{Value: cents(rt, 5000), Thing: thing(rt)}
	if rapid.Bool().Draw(rt, "let") {
		o := offered(rt)
		g.Agreement = &o
	}
	v.do(rt, "gift", func(a commune.Act) error { return v.AcceptGift(v.Context(), a, g) })
}

// rented finds an agreement and its oldest open rent, if there is one.
func (v *village) rented(rt *rapid.T) (agreement string, month ledger.Period) {
	var rows []struct {
		Agreement string        `db:"agreement"`
		Month     ledger.Period `db:"month"`
	}
	err := v.tx.Select(&rows, `
		SELECT p.agreement, p.month FROM rent_posting p WHERE p.amount > COALESCE((
		    SELECT sum(amount) FROM rent_settlement s WHERE s.agreement = p.agreement AND s.month = p.month), 0)
		ORDER BY p.month, p.agreement LIMIT 1`)
	if err != nil {
		rt.Fatal(err)
	}
	if len(rows) == 0 {
		return "R0", v.open.Previous()
	}
	return rows[0].Agreement, rows[0].Month
}

func (v *village) payRent(rt *rapid.T) {
	p := commune.RentPayment{}
	p.Agreement, p.Period = v.rented(rt)
	if rapid.Bool().Draw(rt, "part") {
		p.Amount = cents(rt, 900)
	}
	v.do(rt, "pay rent", func(a commune.Act) error { return v.PayRent(v.Context(), a, p) })
}

func (v *village) orderRent(rt *rapid.T) {
	p := commune.RentPayment{Agreement: v.running(rt), Period: v.open}
	if rapid.Bool().Draw(rt, "part") {
		p.Amount = cents(rt, 3000)
		p.Offset = min(p.Amount, money.Cent*money.Amount(rapid.IntRange(0, 100).Draw(rt, "offset")))
	}
	v.do(rt, "order rent", func(a commune.Act) error { return v.PayRent(v.Context(), a, p) })
}

func (v *village) writeOff(rt *rapid.T) {
	g, month := v.rented(rt)
	v.do(rt, "write off", func(a commune.Act) error { return v.WriteRentOff(v.Context(), a, g, month) })
}

func (v *village) deposit(rt *rapid.T) {
	g, amount := v.running(rt), cents(rt, 2000)
	v.do(rt, "deposit", func(a commune.Act) error { return v.PayDeposit(v.Context(), a, g, amount) })
}

func (v *village) applyDeposit(rt *rapid.T) {
	g := v.running(rt)
	apply := v.ApplyDeposit
	if rapid.Bool().Draw(rt, "without timetable") {
		apply = v.DepositApplied
	}
	v.do(rt, "apply deposit", func(a commune.Act) error { return apply(v.Context(), a, g) })
}

func (v *village) refundDeposit(rt *rapid.T) {
	g := v.running(rt)
	v.do(rt, "refund deposit", func(a commune.Act) error { return v.RefundDeposit(v.Context(), a, g) })
}

func (v *village) notice(rt *rapid.T) {
	g := v.running(rt)
	end := ledger.DateOf(v.midnight().AddDate(0, 0, rapid.IntRange(0, 40).Draw(rt, "until")), time.UTC)
	v.do(rt, "notice", func(a commune.Act) error { return v.Notice(v.Context(), a, g, end) })
}

func (v *village) let(rt *rapid.T) {
	l := commune.Letting{Asset: asset(rt), Agreement: agreement(rt), Minimum: rapid.Bool().Draw(rt, "minimum"), Rate: 10_000}
	if rapid.Bool().Draw(rt, "bid") {
		l.Bids = []commune.RentalBid{{Bidder: member(rt), Enterprise: enterprise(rt), Amount: cents(rt, 3000)}}
	}
	v.do(rt, "let", func(a commune.Act) error {
		_, err := v.LetByAuction(v.Context(), a, l)
		return err
	})
}

func (v *village) liquidate(rt *rapid.T) {
	sold, price := asset(rt), cents(rt, 9000)
	v.do(rt, "liquidate", func(a commune.Act) error {
		_, err := v.Liquidate(v.Context(), a, sold, price)
		return err
	})
}

func (v *village) wage(rt *rapid.T) {
	w := commune.Wage{Enterprise: enterprise(rt), Member: member(rt), Amount: cents(rt, 500)}
	v.do(rt, "wage", func(a commune.Act) error { return v.EarnWage(v.Context(), a, w) })
	w.Amount = 0
	v.do(rt, "wage paid", func(a commune.Act) error { return v.PayWage(v.Context(), a, w) })
}

func (v *village) expense(rt *rapid.T) {
	amount := cents(rt, 300)
	v.do(rt, "expense", func(a commune.Act) error { return v.NoteExpense(v.Context(), a, amount, "") })
}

func (v *village) levy(rt *rapid.T) {
	l := commune.Levy{BPS: rapid.IntRange(0, 5000).Draw(rt, "bps")}
	v.do(rt, "levy", func(a commune.Act) error { return v.VoteLevy(v.Context(), a, v.open, l) })
}

func (v *village) dividend(rt *rapid.T) {
	e := commune.Election{Member: member(rt)}
	if rapid.Bool().Draw(rt, "credit") {
		e.Enterprise, e.Account = "CALL", "2100:C1"
	}
	v.do(rt, "dividend", func(a commune.Act) error {
		_, err := v.PayDividend(v.Context(), a, e)
		return err
	})
}

func (v *village) settle(rt *rapid.T) {
	amount := cents(rt, 300)
	v.do(rt, "settle", func(a commune.Act) error { return v.Settle(v.Context(), a, "CALL", amount) })
}

func (v *village) topUp(rt *rapid.T) {
	amount := cents(rt, 3000)
	if err := v.post("topup", ledger.Debit("CALL", "1000", amount), ledger.Credit("CALL", "2100:C1", amount)); err != nil {
		rt.Fatal(err)
	}
}

// call is one over an asset, settled as billing does.
func (v *village) call(rt *rapid.T) {
	over, price := asset(rt), money.Amount(rapid.IntRange(1, 900_000).Draw(rt, "price"))
	v.do(rt, "call", func(a commune.Act) error {
		if err := v.LetTo(v.Context(), over, "CALL", v.day); err != nil {
			return err
		}
		_, err := ledger.Post(v.Context(), v.tx, ledger.Entry{
			Key: a.Key, Kind: "call", At: time.Now(), Date: v.day, Lines: []ledger.Line{
				ledger.Debit("CALL", "2100:C1", price), ledger.Credit("CALL", "4000:T", price),
				ledger.Debit("CALL", "5000:T", price/2+1), ledger.Credit("CALL", "2200:K", price/2+1),
			},
		})
		if err != nil {
			return err
		}
		return commune.MeterCalls(v.Context(), v.tx, commune.Carried{Key: a.Key, Asset: over, Enterprise: "CALL", Day: v.day, Seconds: int64(price / 3000)})
	})
}

func (v *village) usage(rt *rapid.T) {
	u := commune.Use{Asset: asset(rt), Units: rapid.Int64Range(1, 9_000_000).Draw(rt, "units")}
	v.do(rt, "usage", func(a commune.Act) error { return v.Report(v.Context(), a, u) })
}

func (v *village) work(rt *rapid.T) {
	j := commune.Joining{Member: member(rt), Enterprise: enterprise(rt), AttestedBy: rapid.SampledFrom([]string{"M0", "M1", ""}).Draw(rt, "attested by")}
	v.do(rt, "work", func(a commune.Act) error { return v.Work(v.Context(), a, j) })
}

// everybody tries something with all members but the first, who stays.
func (v *village) everybody(rt *rapid.T, name string, op func(commune.Act, string) error) {
	for i := range members {
		v.do(rt, name, func(a commune.Act) error { return op(a, fmt.Sprint("M", i+1)) })
	}
}

func (v *village) lapse(rt *rapid.T) {
	v.everybody(rt, "lapse", func(a commune.Act, m string) error { return v.Lapse(v.Context(), a, m) })
}

func (v *village) end(rt *rapid.T) {
	e := commune.Ending{Member: fmt.Sprint("M", rapid.IntRange(1, members).Draw(rt, "member")), Death: rapid.Bool().Draw(rt, "death"), Text: "so it was"}
	v.do(rt, "end", func(a commune.Act) error { return v.End(v.Context(), a, e) })
}

func (v *village) forfeit(rt *rapid.T) {
	v.everybody(rt, "forfeit", func(a commune.Act, m string) error {
		_, err := v.Forfeit(v.Context(), a, m)
		return err
	})
}

// vote makes policies short, so that a history gets to what they forbid.
func (v *village) vote(rt *rapid.T) {
	p := rapid.SampledFrom(commune.Policies).Draw(rt, "policy")
	vote := commune.Vote{Policy: p.Name, Value: rapid.IntRange(0, 2).Draw(rt, "value"), From: v.day, Text: "all"}
	if p.Name == commune.StandingLevy {
		vote.Value *= 1000
	}
	v.do(rt, "vote", func(a commune.Act) error {
		vote.From = a.Date
		return v.VotePolicy(v.Context(), a, vote)
	})
}

func (v *village) foundEnterprise(rt *rapid.T) {
	p := commune.Proposal{Code: "NEWS", Name: "News", Member: member(rt)}
	v.do(rt, "found", func(a commune.Act) error { return v.ProposeEnterprise(v.Context(), a, p) })
	r := commune.Resolution{Enterprise: "NEWS", Text: "all"}
	v.do(rt, "start", func(a commune.Act) error { return v.StartEnterprise(v.Context(), a, r) })
}

func (v *village) resume(rt *rapid.T) {
	r := commune.Resolution{Enterprise: "HOST", Text: "all"}
	v.do(rt, "resume", func(a commune.Act) error { return v.ResumeEnterprise(v.Context(), a, r) })
}

// ruin goes the whole way with HOST if it owes rent: notice, everything taken back or returned, suspended.
func (v *village) ruin(rt *rapid.T) {
	var agreements []string
	err := v.tx.Select(&agreements, `SELECT code FROM agreement WHERE enterprise = 'HOST' ORDER BY code`)
	if err != nil {
		rt.Fatal(err)
	}
	for _, policy := range []string{commune.DaysNotice, commune.DaysReturn} { // there is no patience left
		v.do(rt, "vote", func(a commune.Act) error {
			return v.VotePolicy(v.Context(), a, commune.Vote{Policy: policy, From: a.Date, Text: "all"})
		})
	}
	for _, g := range agreements {
		v.do(rt, "arrears", func(a commune.Act) error { return v.NoticeArrears(v.Context(), a, g) })
		v.do(rt, "take back", func(a commune.Act) error { return v.TakeBack(v.Context(), a, g) })
	}
	for _, g := range agreements {
		v.do(rt, "notice", func(a commune.Act) error { return v.Notice(v.Context(), a, g, a.Date) })
	}
	v.do(rt, "suspend", func(a commune.Act) error {
		return v.SuspendEnterprise(v.Context(), a, commune.Resolution{Enterprise: "HOST", Text: "all"})
	})
}

// windUp settles what HOST owes as far as it can, and ends it.
func (v *village) windUp(rt *rapid.T) {
	var rents []struct {
		Agreement string        `db:"agreement"`
		Month     ledger.Period `db:"month"`
	}
	err := v.tx.Select(&rents, `SELECT p.agreement, p.month FROM rent_posting p JOIN agreement g ON g.code = p.agreement JOIN enterprise e ON e.code = g.enterprise
		WHERE e.code = 'HOST' AND e.state = 'suspended' ORDER BY p.agreement, p.month`)
	if err != nil {
		rt.Fatal(err)
	}
	for _, r := range rents {
		v.do(rt, "write off", func(a commune.Act) error { return v.WriteRentOff(v.Context(), a, r.Agreement, r.Month) })
		v.do(rt, "refund deposit", func(a commune.Act) error { return v.RefundDeposit(v.Context(), a, r.Agreement) })
	}
	for i := range members + 1 {
		w := commune.Wage{Enterprise: "HOST", Member: fmt.Sprint("M", i)}
		v.do(rt, "wage paid", func(a commune.Act) error { return v.PayWage(v.Context(), a, w) })
	}
	v.do(rt, "wind up", func(a commune.Act) error {
		_, err := v.WindUp(v.Context(), a, commune.Resolution{Enterprise: "HOST", Text: "all"})
		return err
	})
}

func (v *village) distribute(rt *rapid.T) {
	d := commune.Distribution{Resolution: commune.Resolution{Enterprise: enterprise(rt), Text: "its workers"}, Amount: cents(rt, 500)}
	v.do(rt, "distribute", func(a commune.Act) error { return v.Distribute(v.Context(), a, d) })
}

func (v *village) arrears(rt *rapid.T) {
	g, _ := v.rented(rt)
	v.do(rt, "arrears", func(a commune.Act) error { return v.NoticeArrears(v.Context(), a, g) })
}

func (v *village) takeBack(rt *rapid.T) {
	g := v.running(rt)
	v.do(rt, "take back", func(a commune.Act) error { return v.TakeBack(v.Context(), a, g) })
}

func (v *village) defaulted(rt *rapid.T) {
	var series []string
	if err := v.tx.Select(&series, `SELECT code FROM series WHERE cleared ORDER BY code`); err != nil {
		rt.Fatal(err)
	}
	s := rapid.SampledFrom(series).Draw(rt, "series")
	v.do(rt, "default", func(a commune.Act) error { return v.Default(v.Context(), a, s) })
}

// orderAll orders all rents of the month to be paid.
func (v *village) orderAll(rt *rapid.T) {
	var running []string
	if err := v.tx.Select(&running, `SELECT code FROM agreement WHERE end_on IS NULL OR end_on > $1::date ORDER BY code`, string(v.open.First())); err != nil {
		rt.Fatal(err)
	}
	for _, g := range running {
		v.do(rt, "order rent", func(a commune.Act) error {
			return v.PayRent(v.Context(), a, commune.RentPayment{Agreement: g, Period: v.open})
		})
	}
}

// close closes the month. That it may be refused for want of money is no dead end: somebody gives some.
func (v *village) close(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "all pay") > 0 {
		v.orderAll(rt)
	}
	v.exec(rt, `SAVEPOINT step`)
	c := &ledger.Closing{Tx: v.tx, Period: v.open, From: v.open.First(), At: time.Now(), Actor: "test", Keys: "close:" + string(v.open) + ":"}
	figures, err := v.Close(v.Context(), c)
	if err == nil {
		err = ledger.EnterpriseResults(v.Context(), c)
	}
	if errors.Is(err, commune.ErrFunds) || errors.Is(err, commune.ErrState) || errors.Is(err, commune.ErrUnlet) {
		v.exec(rt, `ROLLBACK TO SAVEPOINT step`)
		return
	}
	if err != nil {
		rt.Fatalf("close %s: %v", v.open, err)
	}
	v.exec(rt, `RELEASE SAVEPOINT step`)
	v.allowed["close"]++
	v.closed(rt, figures)
	v.open = v.open.Next()
	v.day = v.open.First()
	if _, err := v.tx.Exec(`UPDATE replay.commune SET open_from = $1::date`, string(v.day)); err != nil {
		rt.Fatal(err)
	}
}

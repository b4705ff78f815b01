package commune_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestMemberMonth(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	read := func(member string, p ledger.Period, now time.Time) commune.MemberMonth {
		t.Helper()
		m, err := s.MemberMonth(t.Context(), member, p, now)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	july := closeJune.Now
	open, waits := read("anna", "2027-06", july), read("anna", "2027-07", july)
	if _, err := s.Close(t.Context(), closeJune); err != nil {
		t.Fatal(err)
	}
	err := s.Do(t.Context(), func(c *commune.Commune) error {
		_, err := c.PayDividend(t.Context(), commune.Act{Key: "paid", At: july}, commune.Election{Member: "anna"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m := read("anna", "2027-06", july)
	a := m.Assets[0]
	if m.State != "closed" || m.AsOf != nil || m.Dividend != 2_030_000 || m.Days != 30 || m.AllDays != 45 || m.Members != 2 || m.Pool != 3_050_000 ||
		m.Shared+m.Carry != m.Pool || m.Other != 0 || m.Payable != 0 || a.Units != 50 || a.Collected != 3_050_000 || a.ToPool != 3_050_000 {
		t.Errorf("%+v", m)
	}
	checkTrace(t, m)
	// What was foreseen came true.
	foreseen := open
	foreseen.State, foreseen.AsOf, foreseen.Entries, foreseen.From, foreseen.Payable = m.State, nil, m.Entries, m.From, m.Payable
	foreseen.Assets[0].From = a.From
	if open.State != "open" || open.AsOf == nil || !reflect.DeepEqual(foreseen, m) {
		t.Errorf("foreseen\n%+v, came\n%+v", foreseen, m)
	}
	if waits.WaitsFor != "2027-06" || waits.Pool != 0 || waits.Days != 31 || waits.Assets[0].Rent != 3*money.Unit {
		t.Errorf("a month behind an open one: %+v", waits)
	}
	if paid := read("anna", "2027-07", july); len(paid.Payouts) != 1 || len(paid.Payouts[0].From) != 1 || len(paid.From.Brought) != 1 || paid.Brought != m.Carry {
		t.Errorf("July: %+v", paid)
	}
	for p, want := range map[ledger.Period]error{"2027-08": commune.ErrState, "2027-05": commune.ErrState} {
		if _, err := s.MemberMonth(t.Context(), "anna", p, july); !errors.Is(err, want) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := s.MemberMonth(t.Context(), "nobody", "2027-06", july); !errors.Is(err, commune.ErrUnknown) {
		t.Errorf("a stranger's month: %v", err)
	}
	if _, err := db.Exec(`UPDATE member SET account = NULL WHERE code = 'anna'`); err != nil {
		t.Fatal(err)
	}
	if months, err := s.MonthsOf(t.Context(), "anna", "2027-06", july); err != nil || len(months) != 0 {
		t.Errorf("months of an account that nobody named: %v, %v", months, err)
	}
}

// checkTrace: each figure of the golden month is the sum that its entries moved on the account that it stands on.
func checkTrace(t *testing.T, m commune.MemberMonth) {
	t.Helper()
	a := m.Assets[0]
	for _, f := range []struct {
		what, account string
		from          []int
		amount        money.Amount // debit positive
	}{
		{"rent", "1100:RA", a.From.Rent, a.Rent},
		{"collected", "1000", a.From.Collected, a.Collected},
		{"to the pool", "3200:A", a.From.ToPool, a.ToPool},
		{"dividend", "2000:anna", m.From.Dividend, -m.Dividend},
		{"shared", "3200:pool", m.From.Dividend, m.Shared},
	} {
		var sum money.Amount
		for _, n := range f.from {
			if m.Entries[n-1].N != n {
				t.Errorf("entry %d is %d", n, m.Entries[n-1].N)
			}
			for _, l := range m.Entries[n-1].Lines {
				if l.Account == f.account {
					sum += l.Amount
				}
				if l.Name == "" || strings.HasPrefix(l.Account, "2000:") && l.Account != "2000:anna" {
					t.Errorf("line %+v", l)
				}
			}
		}
		if len(f.from) == 0 || sum != f.amount {
			t.Errorf("%s is %s, its entries %v come to %s on %s", f.what, f.amount, f.from, sum, f.account)
		}
	}
}

func TestMonthAsADocument(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	if _, err := s.Close(t.Context(), closeJune); err != nil {
		t.Fatal(err)
	}
	m, err := s.MemberMonth(t.Context(), "anna", "2027-06", closeJune.Now)
	if err != nil {
		t.Fatal(err)
	}
	m.Name = "Änna <script>alert(1)</script>"
	m.Other, m.Levy, m.Expenses = money.Unit, money.Unit, money.Unit
	text, page := forms(t, m)
	for _, want := range []string{"2.03", "30 of 45 days of all members", "Rent of A after its bonds", "Carried to the next month", m.Entries[0].Entry, m.Name, "Sales of assets", "-1.00"} {
		if !strings.Contains(text, want) || !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s\n%s", want, text, page)
		}
	}
	for says, m := range map[string]commune.MemberMonth{
		"June 2027 is closed first":                  {State: "open", AsOf: &june, WaitsFor: "2027-06", Period: "2027-07"},
		"could not be closed: nothing goes":          {State: "open", AsOf: &june, Refused: "nothing goes", Period: "2027-06"},
		"If it were closed now, your dividend would": {State: "open", AsOf: &june, Period: "2027-06"},
	} {
		text, _ := forms(t, m)
		if !strings.Contains(strings.ReplaceAll(text, "\n", " "), says) || strings.Contains(text, "THE POOL") != (m.WaitsFor == "" && m.Refused == "") {
			t.Errorf("no %q in\n%s", says, text)
		}
	}
}

// forms writes a document as text and as page, and checks the latter.
func forms(t *testing.T, d interface {
	WriteText(io.Writer) error
	WriteHTML(io.Writer) error
},
) (text, page string) {
	t.Helper()
	var b, p strings.Builder
	if err := errors.Join(d.WriteText(&b), d.WriteHTML(&p)); err != nil {
		t.Fatal(err)
	}
	return b.String(), htmltest.Text(htmltest.Find(htmltest.Check(t, p.String()), "main")...)
}

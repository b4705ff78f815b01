package commune_test

import (
	"errors"
	"strings"
	"testing"

	"telecommune/billing/commune"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestMemberMonth(t *testing.T) {
	db := pgtest.New(t)
	s := settled(t, db)
	if _, err := s.MemberMonth(t.Context(), "anna", "2027-06"); !errors.Is(err, commune.ErrState) {
		t.Errorf("a month that is open: %v", err)
	}
	if _, err := s.Close(t.Context(), closeJune); err != nil {
		t.Fatal(err)
	}
	err := s.Do(t.Context(), func(c *commune.Commune) error {
		_, err := c.PayDividend(t.Context(), commune.Act{Key: "paid", At: closeJune.Now}, commune.Election{Member: "anna"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.MemberMonth(t.Context(), "anna", "2027-06")
	if err != nil {
		t.Fatal(err)
	}
	a := m.Assets[0]
	if m.Dividend != 2_030_000 || m.Days != 30 || m.AllDays != 45 || m.Members != 2 || m.Pool != 3_050_000 || m.Shared+m.Carry != m.Pool ||
		m.Other != 0 || m.Payable != 0 || a.Units != 50 || a.Collected != 3_050_000 || a.ToPool != 3_050_000 || len(m.Entries) < 5 {
		t.Errorf("%+v", m)
	}
	var text, page strings.Builder
	if err := errors.Join(m.WriteText(&text), m.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	main := htmltest.Text(htmltest.Find(htmltest.Check(t, page.String()), "main")...)
	for _, want := range []string{"2.03", "30 of 45 days of all members", "Rent of A after its bonds", "Carried to the next month", m.Entries[0].Entry} {
		if !strings.Contains(text.String(), want) || !strings.Contains(main, want) {
			t.Errorf("no %q in\n%s\n%s", want, text.String(), main)
		}
	}
	m.Name = "<script>alert(1)</script>"
	page.Reset()
	if err := m.WriteHTML(&page); err != nil || strings.Contains(page.String(), "<script>") {
		t.Errorf("a name that is no name, %v:\n%s", err, page.String())
	}
	if _, err := s.MemberMonth(t.Context(), "nobody", "2027-06"); !errors.Is(err, commune.ErrUnknown) {
		t.Errorf("a stranger's month: %v", err)
	}
	july := m
	july.Other, july.Levy, july.Expenses = money.Unit, money.Unit, money.Unit
	text.Reset()
	if err := july.WriteText(&text); err != nil || strings.Count(text.String(), "-1.00") != 2 || !strings.Contains(text.String(), "Sales of assets") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/htmltest"
	"telecommune/internal/money"
)

// found lets anna and bert work in the commune, whose one trunk earns 9.00 a month. Anna's account is that of the town.
func (w town) found(t *testing.T, month ledger.Period) {
	t.Helper()
	n := 0
	act := func() commune.Act {
		n++
		return commune.Act{Key: fmt.Sprint("act:", n), Actor: "test", At: time.Now(), Date: month.First()}
	}
	must(t, w.commune.Do(t.Context(), func(c *commune.Commune) error {
		ctx := t.Context()
		must(t, c.Join(ctx, act(), commune.Joining{Member: "m-anna", Name: hostile, Enterprise: "CALL"}))
		must(t, c.Join(ctx, act(), commune.Joining{Member: "m-bert", Enterprise: "CALL", AttestedBy: "m-anna"}))
		must(t, c.AcceptGift(ctx, act(), commune.Gift{
			Value: 40 * money.Unit, Thing: commune.Thing{Asset: "alpha", Kind: "<i>trunk</i>", Life: 40, Meter: commune.Seconds},
			Agreement: &commune.Offered{Code: "RA", Lessee: commune.Lessee{Enterprise: "CALL"}, Terms: commune.Terms{Fixed: 9 * money.Unit}},
		}))
		return c.PayRent(ctx, act(), commune.RentPayment{Agreement: "RA", Period: month})
	}))
	account := "anna"
	must(t, w.commune.SetMember(t.Context(), "m-anna", nil, nil, &account))
}

// TestMemberSeesTheMonth: bill and part of the rent on one page, before the close and after it.
func TestMemberSeesTheMonth(t *testing.T) {
	w, c := newTown(t), browser(t)
	month := ledger.PeriodOf(ledger.DateOf(time.Now(), time.UTC))
	w.login(t, c, "anna", w.pins["anna"]).want(t, http.StatusSeeOther, "/")
	w.get(t, c, "/rent.txt").want(t, http.StatusNotFound, "") // no member yet
	w.found(t, month)

	page := func(c *http.Client, wants ...string) string {
		t.Helper()
		r := w.get(t, c, "/?period="+string(month))
		r.want(t, http.StatusOK, "")
		root := htmltest.Check(t, r.body)
		said := htmltest.Text(root)
		for _, want := range append(wants, "Your part of the rent", hostile, "<i>trunk</i>", "+380441234567", "9.00", "4.50") {
			if !strings.Contains(said, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if strings.Contains(r.body, "<script") || strings.Contains(r.body, "<i>trunk") {
			t.Error("what people wrote came through as HTML")
		}
		for _, a := range htmltest.Find(root, "a") {
			if id, here := strings.CutPrefix(htmltest.Attr(a, "href"), "#"); here && !strings.Contains(r.body, `id="`+id+`"`) {
				t.Errorf("a link to #%s, which is not there", id)
			}
		}
		if closed := strings.Contains(said, "Your dividend: "); closed == strings.Contains(said, "So far") {
			t.Errorf("closed is %v, so far as well", closed)
		}
		return said
	}
	if said := page(c, "is not closed yet", "If it were closed now, your dividend would be 4.50"); strings.Contains(said, "m-bert") {
		t.Error("somebody else's name")
	}
	_, err := w.commune.Close(t.Context(), ledger.Order{Period: month, Actor: "test", Now: time.Now(), Early: true})
	must(t, err)
	if said := page(c, "Your dividend: 4.50", "Dividends payable to you4.50 EUR", "2000:m-anna"); strings.Contains(said, "not closed") || strings.Contains(said, "m-bert") {
		t.Error("the closed month is open, or somebody else's name")
	}

	// Whatever happens from now on counts in the next month, which is the first that is shown.
	next := w.get(t, c, "/")
	next.want(t, http.StatusOK, "")
	if said := htmltest.Text(htmltest.Check(t, next.body)); !strings.Contains(said, "Statement for "+month.Next().Words()) ||
		!strings.Contains(said, month.Next().Words()+" is not closed yet") || strings.Count(said, "So far") != 1 {
		t.Errorf("the month after one that was closed early: %s", said)
	}
	for ext, says := range map[string]string{"txt": "Your dividend: 4.50", "html": "<!DOCTYPE html>", "json": `"dividend": "4.50"`} {
		r := w.get(t, c, "/rent."+ext+"?period="+string(month)+"&member=m-anna")
		r.want(t, http.StatusOK, "")
		if !strings.Contains(r.body, says) || r.Header.Get("Content-Disposition") != `attachment; filename="rent-anna-`+string(month)+`.`+ext+`"` {
			t.Errorf("%s: %v\n%s", ext, r.Header, r.body)
		}
		if ext == "json" {
			must(t, json.Unmarshal([]byte(r.body), &commune.MemberMonth{}))
		}
		w.get(t, c, "/rent."+ext+"?member=m-bert").want(t, http.StatusNotFound, "")
		w.get(t, c, "/rent."+ext+"?period=1999-01").want(t, http.StatusNotFound, "")
		w.get(t, browser(t), "/rent."+ext).want(t, http.StatusUnauthorized, "")
		w.post(t, c, "/rent."+ext, nil).want(t, http.StatusMethodNotAllowed, "")
	}
	// Whoever is no member sees the bill as ever.
	bert := browser(t)
	w.login(t, bert, "bert", w.pins["bert"]).want(t, http.StatusSeeOther, "/")
	r := w.get(t, bert, "/?period="+string(month))
	r.want(t, http.StatusOK, "")
	if said := htmltest.Text(htmltest.Check(t, r.body)); strings.Contains(said, "rent") || !strings.Contains(said, "+8613812345678") {
		t.Errorf("bert's page: %s", said)
	}
	w.get(t, bert, "/rent.txt?member=m-anna").want(t, http.StatusNotFound, "")
	// A share of two people with one account is two parts, whose places have names of their own.
	account := "anna"
	must(t, w.commune.SetMember(t.Context(), "m-bert", nil, nil, &account))
	page(c, "m-bert")
}

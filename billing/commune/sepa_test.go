package commune_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

func TestParseIBAN(t *testing.T) {
	for _, good := range []string{"DE02120300000000202051", "de02 1203 0000 0000 2020 51", "GB82WEST12345698765432", "NO9386011117947"} {
		if _, err := commune.ParseIBAN(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "DE02120300000000202052", "DE02120300000000202015", "DE021203", "02DE120300000000202051", strings.Repeat("A", 4000)} {
		if _, err := commune.ParseIBAN(bad); !errors.Is(err, commune.ErrIBAN) {
			t.Errorf("%.30s: %v", bad, err)
		}
	}
}

// element is a rule of the message: the elements of a parent come in this order.
type element struct {
	name     string
	max      int // at least 1 must be there; 0: just one
	text     string
	children []element
}

const (
	sepaSet = `[a-zA-Z0-9/\-?:().,'+ ]`
	id35    = sepaSet + `{1,35}`
	exact   = `[0-9]{1,16}\.[0-9]{2}`
	called  = sepaSet + `{1,70}`
)

// pain is what EPC132-08 (2023) makes of pain.001.001.09, of the elements that we write: order, multiplicity, lengths and
// patterns, as they stand in the published schema of the implementation guidelines.
var pain = element{name: "CstmrCdtTrfInitn", children: []element{
	{name: "GrpHdr", children: []element{
		{name: "MsgId", text: id35},
		{name: "CreDtTm", text: `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`},
		{name: "NbOfTxs", text: `[0-9]{1,15}`},
		{name: "CtrlSum", text: exact},
		{name: "InitgPty", children: []element{{name: "Nm", text: called}}},
	}},
	{name: "PmtInf", children: []element{
		{name: "PmtInfId", text: id35},
		{name: "PmtMtd", text: "TRF"},
		{name: "NbOfTxs", text: `[0-9]{1,15}`},
		{name: "CtrlSum", text: exact},
		{name: "PmtTpInf", children: []element{{name: "SvcLvl", children: []element{{name: "Cd", text: "SEPA"}}}}},
		{name: "ReqdExctnDt", children: []element{{name: "Dt", text: `\d{4}-\d\d-\d\d`}}},
		{name: "Dbtr", children: []element{{name: "Nm", text: called}}},
		{name: "DbtrAcct", children: []element{account}},
		{name: "DbtrAgt", children: []element{{name: "FinInstnId", children: []element{{name: "Othr", children: []element{{name: "Id", text: "NOTPROVIDED"}}}}}}},
		{name: "ChrgBr", text: "SLEV"},
		{name: "CdtTrfTxInf", max: 1 << 30, children: []element{
			{name: "PmtId", children: []element{{name: "EndToEndId", text: id35}}},
			{name: "Amt", children: []element{{name: "InstdAmt", text: `[0-9]{1,9}\.[0-9]{2}`}}},
			{name: "Cdtr", children: []element{{name: "Nm", text: called}}},
			{name: "CdtrAcct", children: []element{account}},
			{name: "RmtInf", children: []element{{name: "Ustrd", text: sepaSet + `{1,140}`}}},
		}},
	}},
}}

var account = element{name: "Id", children: []element{{name: "IBAN", text: `[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}`}}}

// node is an element as it was written.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

// faults compares an element with its rule.
func (n node) faults(rule element) (all []string) {
	if rule.text != "" && !regexp.MustCompile(`^(?:`+rule.text+`)$`).MatchString(n.Text) || strings.Contains(n.Text, "//") || strings.HasPrefix(n.Text, "/") {
		all = append(all, fmt.Sprintf("%s is %q", rule.name, n.Text))
	}
	left := n.Children
	for _, r := range rule.children {
		seen := 0
		for len(left) > 0 && left[0].XMLName.Local == r.name && seen < max(1, r.max) {
			all = append(all, left[0].faults(r)...)
			left, seen = left[1:], seen+1
		}
		if seen == 0 {
			all = append(all, fmt.Sprintf("%s without %s", rule.name, r.name))
		}
	}
	if len(left) > 0 {
		all = append(all, fmt.Sprintf("%s in %s", left[0].XMLName.Local, rule.name))
	}
	return all
}

// read gives what a file says, and reports whatever breaks a rule.
func read(t interface{ Errorf(string, ...any) }, text string) (sum string, transfers []node) {
	var doc node
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		t.Errorf("%v", err)
		return "", nil
	}
	if doc.XMLName.Local != "Document" || doc.XMLName.Space != "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09" || len(doc.Children) != 1 {
		t.Errorf("document %v of %d parts", doc.XMLName, len(doc.Children))
	}
	for _, fault := range doc.Children[0].faults(pain) {
		t.Errorf("%s", fault)
	}
	header, payment := doc.Children[0].Children[0].Children, doc.Children[0].Children[1].Children
	if header[2].Text != payment[2].Text || header[3].Text != payment[3].Text || header[2].Text != fmt.Sprint(len(payment)-10) {
		t.Errorf("header says %s and %s, payment %s and %s of %d transfers", header[2].Text, header[3].Text, payment[2].Text, payment[3].Text, len(payment)-10)
	}
	return header[3].Text, payment[10:]
}

func transfers(all ...commune.Transfer) commune.Transfers {
	return commune.Transfers{
		Payer: "The commune", IBAN: "DE02120300000000202051", Execute: "2027-07-02", Made: time.Date(2027, 7, 1, 12, 0, 0, 0, time.UTC), All: all,
	}
}

func TestSEPA(t *testing.T) {
	var out strings.Builder
	err := transfers(
		commune.Transfer{Key: "act:june-anna", Member: "anna", Name: "Änna <A> Arendt & Søn", IBAN: "GB82WEST12345698765432", Day: "2027-07-01", Amount: 1_510_000},
		commune.Transfer{Key: "act:" + strings.Repeat("k", 40), Member: "bert", IBAN: "NO9386011117947", Day: "2027-07-01", Amount: 1_000_000_000*money.Unit - money.Cent},
		commune.Transfer{Key: "act:" + strings.Repeat("k", 41), Member: "cem_1", Name: "Џем 電話", IBAN: "NO9386011117947", Day: "2027-07-01", Amount: money.Cent},
		commune.Transfer{Key: "act:a/b//c/", Member: "do_ra", Name: "//", IBAN: "NO9386011117947", Day: "2027-07-01", Amount: money.Cent},
	).WriteSEPA(&out)
	if err != nil {
		t.Fatal(err)
	}
	sum, paid := read(t, out.String())
	if sum != "1000000001.52" {
		t.Errorf("sum %s", sum)
	}
	for i, want := range []struct{ id, amount, name string }{
		{"june-anna", "1.51", "Anna .A. Arendt + Son"},
		{"", "999999999.99", "bert"},
		{"", "0.01", "Dzhem Dian Hua"},
		{"", "0.01", "do-ra"},
	} {
		p := paid[i].Children
		if id := p[0].Children[0].Text; want.id != "" && id != want.id || i > 0 && id == paid[i-1].Children[0].Children[0].Text {
			t.Errorf("id %s, want %s", id, want.id)
		}
		if amount := p[1].Children[0]; amount.Text != want.amount || len(amount.Attrs) != 1 || amount.Attrs[0].Value != "EUR" {
			t.Errorf("amount %+v, want %s", amount, want.amount)
		}
		if p[2].Children[0].Text != want.name {
			t.Errorf("name %s, want %s", p[2].Children[0].Text, want.name)
		}
	}
}

func TestNotSEPA(t *testing.T) {
	good := commune.Transfer{Key: "act:a", Member: "a", IBAN: "NO9386011117947", Day: "2027-07-01", Amount: money.Unit}
	for why, tc := range map[string]struct {
		spoil func(*commune.Transfer)
		want  error
	}{
		"nothing":             {func(p *commune.Transfer) { p.Amount = 0 }, commune.ErrAmount},
		"below zero":          {func(p *commune.Transfer) { p.Amount = -money.Unit }, commune.ErrAmount},
		"half a cent":         {func(p *commune.Transfer) { p.Amount = money.Cent / 2 }, commune.ErrAmount},
		"a thousand millions": {func(p *commune.Transfer) { p.Amount = 1_000_000_000 * money.Unit }, commune.ErrNotSEPA},
		"no bank account":     {func(p *commune.Transfer) { p.IBAN = "" }, commune.ErrIBAN},
		"mistyped account":    {func(p *commune.Transfer) { p.IBAN = "NO9386011117974" }, commune.ErrIBAN},
	} {
		bad := good
		tc.spoil(&bad)
		var out strings.Builder
		if err := transfers(good, bad).WriteSEPA(&out); !errors.Is(err, tc.want) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", why, err, out.Len())
		}
	}
	if err := transfers().WriteSEPA(io.Discard); !errors.Is(err, commune.ErrNotSEPA) {
		t.Errorf("no transfers: %v", err)
	}
}

// TestSEPAOfAnything: whatever people are called and keys are like, the file keeps the rules, its sums are exact and no two
// payments have one reference.
func TestSEPAOfAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := make([]commune.Transfer, rapid.IntRange(1, 5).Draw(rt, "transfers"))
		var sum money.Amount
		keys := rapid.SliceOfNDistinct(rapid.String(), len(all), len(all), rapid.ID).Draw(rt, "keys")
		for i := range all {
			cents := money.Amount(rapid.Int64Range(1, 99_999_999_999).Draw(rt, "cents"))
			all[i] = commune.Transfer{
				Key: "act:" + keys[i], Member: rapid.StringMatching(`[A-Za-z0-9_-]{1,32}`).Draw(rt, "member"), Name: rapid.String().Draw(rt, "name"),
				IBAN: "NO9386011117947", Day: "2027-07-01", Amount: cents * money.Cent,
			}
			sum += all[i].Amount
		}
		ts := transfers(all...)
		ts.Payer = rapid.String().Draw(rt, "payer")
		var out strings.Builder
		if err := ts.WriteSEPA(&out); err != nil {
			rt.Fatal(err)
		}
		said, paid := read(rt, out.String())
		ids := map[string]bool{}
		for _, p := range paid {
			ids[p.Children[0].Children[0].Text] = true
		}
		if said != sum.String() || len(ids) != len(all) {
			rt.Fatalf("sum %s, want %s; %d ids of %d", said, sum, len(ids), len(all))
		}
	})
}

package commune_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

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

func TestSEPA(t *testing.T) {
	var out strings.Builder
	err := commune.Transfers{
		Payer: "The commune", IBAN: "DE02120300000000202051", Execute: "2027-07-02", Made: time.Date(2027, 7, 1, 12, 0, 0, 0, time.UTC),
		All: []commune.Transfer{
			{Key: "act:june-anna", Member: "anna", Name: "Änna <A> Arendt", IBAN: "GB82WEST12345698765432", Day: "2027-07-01", Amount: 1_510_000},
			{Key: "act:" + strings.Repeat("k", 40), Member: "bert", IBAN: "NO9386011117947", Day: "2027-07-01", Amount: 9_000_000_000 * money.Unit},
		},
	}.WriteSEPA(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">`, "<NbOfTxs>2</NbOfTxs>", "<CtrlSum>9000000001.51</CtrlSum>",
		`<InstdAmt Ccy="EUR">1.51</InstdAmt>`, "<EndToEndId>june-anna</EndToEndId>", "<Nm>.nna .A. Arendt</Nm>", "<Nm>bert</Nm>",
		"<EndToEndId>" + strings.Repeat("k", 35) + "</EndToEndId>", "<ReqdExctnDt>", "<IBAN>NO9386011117947</IBAN>",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if err := xml.Unmarshal([]byte(out.String()), &struct{ XMLName xml.Name }{}); err != nil {
		t.Error(err)
	}
}

package commune

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// ErrNoIBAN is returned by Store.Transfers when a member who was paid by the bank has no IBAN.
var ErrNoIBAN = errors.New("a member has no bank account")

// Transfer is a dividend that the bank is to pay.
type Transfer struct {
	Key    string       `json:"key" db:"key"` // of the act that paid it
	Member string       `json:"member" db:"member"`
	Name   string       `json:"name" db:"name"`
	IBAN   string       `json:"iban" db:"iban"`
	Day    ledger.Date  `json:"day" db:"day"`
	Amount money.Amount `json:"amount" db:"amount"`
}

// Transfers are those of some days, and the account that they go from.
type Transfers struct {
	Payer, IBAN string
	Execute     ledger.Date // by the bank
	Made        time.Time
	All         []Transfer
}

// WriteSEPA writes a credit transfer initiation, ISO 20022 pain.001.001.09, as banks in the SEPA take it: in euro, one
// payment with all transfers. What the character set of SEPA does not have becomes a point. The same transfers give the
// same end-to-end ids, so that a bank finds a file that was sent twice.
func (t Transfers) WriteSEPA(w io.Writer) error {
	amounts := make([]money.Amount, len(t.All))
	for i, p := range t.All {
		amounts[i] = p.Amount
	}
	sum, err := Sum(amounts)
	if err != nil {
		return err
	}
	id := "DIV-" + t.Made.UTC().Format("20060102T150405Z")
	doc := document{
		Header: header{ID: id, Made: t.Made.UTC().Format("2006-01-02T15:04:05Z"), Count: len(t.All), Sum: sum.String(), Party: party{sepaText(t.Payer, 70)}},
		Payment: payment{
			ID: id, Method: "TRF", Count: len(t.All), Sum: sum.String(), Level: "SEPA", Execute: string(t.Execute), Debtor: party{sepaText(t.Payer, 70)},
			Account: iban{t.IBAN}, Agent: "NOTPROVIDED", Charges: "SLEV",
		},
	}
	for _, p := range t.All {
		doc.Payment.Transfers = append(doc.Payment.Transfers, transfer{
			ID: sepaText(strings.TrimPrefix(p.Key, "act:"), 35), Amount: amount{"EUR", p.Amount.String()}, Creditor: party{sepaText(nameOr(p.Name, p.Member), 70)},
			Account: iban{p.IBAN}, Text: sepaText(fmt.Sprintf("Rent dividend %s, paid %s", p.Member, p.Day), 140),
		})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

func nameOr(name, code string) string {
	if name == "" {
		return code
	}
	return name
}

// sepaText keeps what the SEPA's character set has (EPC217-08), up to n characters.
func sepaText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/-?:().,'+ ", r)) {
			return r
		}
		return '.'
	}, s)
	return s[:min(n, len(s))]
}

// The parts of pain.001.001.09 that a transfer in euro needs, in its order.
type (
	document struct {
		XMLName xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09 Document"`
		Header  header   `xml:"CstmrCdtTrfInitn>GrpHdr"`
		Payment payment  `xml:"CstmrCdtTrfInitn>PmtInf"`
	}
	header struct {
		ID    string `xml:"MsgId"`
		Made  string `xml:"CreDtTm"`
		Count int    `xml:"NbOfTxs"`
		Sum   string `xml:"CtrlSum"`
		Party party  `xml:"InitgPty"`
	}
	payment struct {
		ID        string     `xml:"PmtInfId"`
		Method    string     `xml:"PmtMtd"`
		Count     int        `xml:"NbOfTxs"`
		Sum       string     `xml:"CtrlSum"`
		Level     string     `xml:"PmtTpInf>SvcLvl>Cd"`
		Execute   string     `xml:"ReqdExctnDt>Dt"`
		Debtor    party      `xml:"Dbtr"`
		Account   iban       `xml:"DbtrAcct"`
		Agent     string     `xml:"DbtrAgt>FinInstnId>Othr>Id"`
		Charges   string     `xml:"ChrgBr"`
		Transfers []transfer `xml:"CdtTrfTxInf"`
	}
	transfer struct {
		ID       string `xml:"PmtId>EndToEndId"`
		Amount   amount `xml:"Amt>InstdAmt"`
		Creditor party  `xml:"Cdtr"`
		Account  iban   `xml:"CdtrAcct"`
		Text     string `xml:"RmtInf>Ustrd"`
	}
	party struct {
		Name string `xml:"Nm"`
	}
	iban struct {
		Number string `xml:"Id>IBAN"`
	}
	amount struct {
		Currency string `xml:"Ccy,attr"`
		Amount   string `xml:",chardata"`
	}
)

package commune

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mozillazg/go-unidecode"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/report"
)

var (
	// ErrNoIBAN is returned by Store.Transfers when a member who was paid by the bank has no IBAN.
	ErrNoIBAN = errors.New("a member has no bank account")
	// ErrNotSEPA is returned by Store.Transfers in another currency than the euro, and by WriteSEPA for what the scheme
	// does not take: no transfers, or one of no or more than 999,999,999.99.
	ErrNotSEPA = errors.New("not a SEPA payment")
)

// maxTransfer is the most that a SEPA credit transfer may be (EPC132-08): 999,999,999.99.
const maxTransfer = 1_000_000_000*money.Unit - money.Cent

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

// WriteSEPA writes a credit transfer initiation, ISO 20022 pain.001.001.09, as banks in the SEPA take it (EPC132-08): in
// euro, one payment with all transfers. Names are transliterated into the scheme's character set (EPC217-08). The same
// transfers give the same end-to-end ids, so that a bank finds a file that was sent twice. ErrNotSEPA, ErrIBAN, ErrAmount.
func (t Transfers) WriteSEPA(w io.Writer) error {
	amounts := make([]money.Amount, len(t.All))
	_, err := ParseIBAN(t.IBAN)
	for i, p := range t.All {
		amounts[i] = p.Amount
		_, ibanErr := ParseIBAN(p.IBAN)
		err = errors.Join(err, ibanErr, wholeCents(p.Amount))
		if p.Amount > maxTransfer {
			err = errors.Join(err, fmt.Errorf("%s to %s, at most %s: %w", p.Amount, p.Member, maxTransfer, ErrNotSEPA))
		}
	}
	if len(t.All) == 0 {
		err = fmt.Errorf("no transfers: %w", ErrNotSEPA)
	}
	if err != nil {
		return err
	}
	sum, err := Sum(amounts)
	if err != nil {
		return err
	}
	id := "DIV-" + t.Made.UTC().Format("20060102T150405Z")
	doc := document{
		Header: header{ID: id, Made: t.Made.UTC().Format("2006-01-02T15:04:05Z"), Count: len(t.All), Sum: sum.String(), Party: party{sepaText(t.Payer, "-", 70)}},
		Payment: payment{
			ID: id, Method: "TRF", Count: len(t.All), Sum: sum.String(), Level: "SEPA", Execute: string(t.Execute), Debtor: party{sepaText(t.Payer, "-", 70)},
			Account: iban{t.IBAN}, Agent: "NOTPROVIDED", Charges: "SLEV",
		},
	}
	for _, p := range t.All {
		doc.Payment.Transfers = append(doc.Payment.Transfers, transfer{
			ID: endToEnd(p.Key), Amount: amount{"EUR", p.Amount.String()}, Creditor: party{sepaText(p.Name, p.Member, 70)},
			Account: iban{p.IBAN}, Text: sepaText(fmt.Sprintf("Rent dividend %s, paid %s", p.Member, p.Day), "-", 140),
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

// sepaText writes a text in the SEPA's character set (EPC217-08), in at most n characters: what it does not have is
// transliterated, and what can't be becomes a point. Slashes don't begin or end a text, and are not doubled. A text of
// which nothing is left gives way to another.
func sepaText(s, other string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case inSEPA(r):
			return r
		case r == '_' || r == '~':
			return '-'
		case r == '&':
			return '+'
		}
		return '.'
	}, unidecode.Unidecode(report.Printable(s)))
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	s = strings.Trim(s, " /")
	if s = strings.TrimRight(s[:min(n, len(s))], " /"); s == "" && other != "" {
		return sepaText(other, "", n)
	}
	return s
}

func inSEPA(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/-?:().,'+ ", r)
}

// endToEnd is the reference of a transfer, of at most 35 characters: the key of the payment, or its digest where that is too
// long or has other characters, so that two payments never have the same.
func endToEnd(key string) string {
	key = strings.TrimPrefix(key, "act:")
	if key != "" && sepaText(key, "", 35) == key {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
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

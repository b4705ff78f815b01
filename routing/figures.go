package routing

import (
	"fmt"
	"strings"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// Figures tell how good a trunk was in some time, or its calls to a country or below a prefix. A seizure is an attempt
// over the trunk, however it ended; a trunk that was passed over because it was full was not seized.
type Figures struct {
	From     time.Time `json:"from"` // of the window, by when the attempts began
	Trunk    string    `json:"trunk"`
	Country  string    `json:"country"` // ISO 3166; empty where countries are not told apart, and for numbers of none
	Prefix   string    `json:"prefix"`  // of the carrier's deck; empty where prefixes are not told apart
	Attempts int64     `json:"attempts"`
	Answered int64     `json:"answered"`
	// ASR is the answer seizure ratio, answered attempts of all (ITU-T E.411, E.425); nil without any.
	ASR *tariff.Percent `json:"asr"`
	// NER is the network effectiveness ratio: attempts that reached the far party, whatever that did then, of all (ITU-T
	// E.425); nil without any.
	NER *tariff.Percent `json:"ner"`
	// ACD is the average conversation of an answered attempt, in whole seconds half up (ITU-T E.411: mean conversation
	// time); nil without any.
	ACD *int64 `json:"acd"`
	// PDD is the average post-dial delay in milliseconds (ITU-T E.721: post-selection delay) from INVITE to ringing, or
	// to the answer where it did not ring; nil when neither came.
	PDD     *int64       `json:"pdd_ms"`
	Seconds int64        `json:"answered_seconds"`
	Price   money.Amount `json:"price"` // of the calls, VAT included
	VAT     money.Amount `json:"vat"`
	Cost    money.Amount `json:"cost"`   // what the carrier gets
	Margin  money.Amount `json:"margin"` // price - VAT - cost
	// Failures are the attempts that were not answered, by cause, the most frequent first.
	Failures Failures `json:"failures"`
}

// Failures count failed attempts by their cause.
type Failures []FailureCount

// FailureCount is how many attempts failed for a cause.
type FailureCount struct {
	SIP      int   `json:"sip"`  // 0: no final answer
	Q850     int   `json:"q850"` // 0: none
	Attempts int64 `json:"attempts"`
}

// String writes the causes in one cell: SIP/Q.850, and how many.
func (f Failures) String() string {
	var cell strings.Builder
	for i, c := range f {
		if i > 0 {
			cell.WriteByte(' ')
		}
		fmt.Fprintf(&cell, "%d/%d:%d", c.SIP, c.Q850, c.Attempts)
	}
	return cell.String()
}

// Grain is what figures are told apart by.
type Grain string

const (
	ByTrunk   Grain = "trunk"
	ByCountry Grain = "country" // of each trunk
	ByPrefix  Grain = "prefix"  // of each trunk and country
)

// Window is the time that one row of figures is of.
type Window string

const (
	Quarter Window = "15m"
	Day     Window = "day"
	Month   Window = "month"
	Whole   Window = "all" // from the first to the last
)

// FigureFilter chooses figures.
type FigureFilter struct {
	Trunk  string // code; empty: all
	By     Grain
	Window Window
	From   time.Time // with this moment, of which the quarter of an hour counts
	To     time.Time // without this moment; zero: up to now
	Zone   string    // that days and months are of
}

// sums is a row of figures as the store adds it up.
type sums struct {
	From      time.Time `db:"began"`
	Trunk     string
	Country   string
	Prefix    string
	Attempts  int64
	Answered  int64
	Effective int64
	Delayed   int64
	DelayMS   int64 `db:"delay_ms"`
	Seconds   int64
	Price     money.Amount
	VAT       money.Amount
	Cost      money.Amount
}

func (s sums) figures() Figures {
	return Figures{
		From: s.From.UTC(), Trunk: s.Trunk, Country: s.Country, Prefix: s.Prefix, Attempts: s.Attempts, Answered: s.Answered,
		ASR: share(s.Answered, s.Attempts), NER: share(s.Effective, s.Attempts), ACD: mean(s.Seconds, s.Answered),
		PDD: mean(s.DelayMS, s.Delayed), Seconds: s.Seconds, Price: s.Price, VAT: s.VAT, Cost: s.Cost,
		Margin: s.Price - s.VAT - s.Cost, Failures: Failures{},
	}
}

// share is part of whole, to a hundredth of a percent half up; nil of nothing.
func share(part, whole int64) *tariff.Percent {
	hundredths := mean(part*10_000, whole)
	if hundredths == nil {
		return nil
	}
	p := tariff.Percent(*hundredths * 10_000)
	return &p
}

// mean is sum / n half up; nil of nothing.
func mean(sum, n int64) *int64 {
	if n <= 0 {
		return nil
	}
	m := (2*sum + n) / (2 * n)
	return &m
}

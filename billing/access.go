package billing

import (
	"fmt"
	"math"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// AccessLeg is what it costs that a caller reaches us: the provider of an access number may charge for calls to it, from
// our answer to the hang-up. The zero value costs nothing.
//
// The leg is longer than the calls that are made on it. Each call bears the cost of the leg up to its own end, less what
// the calls before it bear; so together they bear what the whole leg costs, whatever its intervals. The caller pays, where
// the tariff says so, for the delivered seconds of the call alone: what is asked and said before it is the enterprise's.
type AccessLeg struct {
	Cost       tariff.Row    `json:"cost"`               // the provider's
	PassedOn   tariff.Row    `json:"passed_on,omitzero"` // what the caller pays of it; the zero row: nothing
	AnsweredAt time.Time     `json:"answered_at"`        // by us
	Before     time.Duration `json:"before,omitempty"`   // of the leg, borne by earlier calls on it
}

// PassOn makes the caller pay for the leg: what its provider asks and VAT on it, with the grace and the rounding of the
// retail row that it stands beside.
func (a *AccessLeg) PassOn(retail tariff.Row, vat tariff.Percent) error {
	if a.Cost == (tariff.Row{}) {
		return nil
	}
	row, err := a.Cost.WithVAT(vat)
	if err != nil {
		return fmt.Errorf("pass on the cost of access: %w", err)
	}
	row.GraceSeconds, row.RoundingUnit, row.RoundingMode = retail.GraceSeconds, retail.RoundingUnit, retail.RoundingMode
	a.PassedOn = row
	return nil
}

// Bears tells whether a call that ends when the leg has lasted so long bears anything of it.
func (a AccessLeg) Bears(until time.Duration) bool {
	cost, err := a.cost(until)
	return err != nil || cost != 0
}

// cost is what a call bears of a leg that has lasted until its end.
func (a AccessLeg) cost(until time.Duration) (money.Amount, error) {
	if a.Cost == (tariff.Row{}) || until <= a.Before {
		return 0, nil
	}
	all, err := a.Cost.Price(AnsweredSeconds(until, math.MaxInt))
	if err != nil {
		return 0, err
	}
	before, err := a.Cost.Price(AnsweredSeconds(a.Before, math.MaxInt))
	return all - before, err
}

// AccessCharge is the part of a charge that the access number causes.
type AccessCharge struct {
	Number   e164.Number
	Provider string
	Price    money.Amount // part of the charge's, VAT included; 0 where the enterprise bears the cost
	VAT      money.Amount // part of the charge's
	Cost     money.Amount // to the provider, beside what the carrier gets
}

// account names the sub-account of an access number: trunks can't be named so.
func (a AccessCharge) account(code string) string { return sub(code, "access/"+a.Number.Digits()) }

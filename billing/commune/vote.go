package commune

import (
	"fmt"
	"slices"
)

// Policy is a rule of the commune that is a number, and changed by a vote from a day on (economics.md 8). The other
// policies are one function or constant of this package each, with their P-number beside them.
type Policy struct {
	Name        string `json:"policy"`
	Number      string `json:"number"` // of economics.md 8; none: of its section 4
	Unit        string `json:"unit"`
	Usual       int    `json:"usual"` // without a vote
	least, most int
	Says        string `json:"says"`
}

// The policies that are numbers.
const (
	DaysDue      = "rent-due"
	DaysNotice   = "arrears-notice"
	DaysDeposit  = "arrears-deposit"
	DaysReturn   = "arrears-return"
	DaysDefault  = "arrears-default"
	IdleMonths   = "idle-months"
	StandingLevy = "levy"
	Limitation   = "limitation"
)

// Policies are all of them.
var Policies = []Policy{
	{DaysDue, "P-12", "days", 0, 0, 365, "a rent falls due after the last day of its month"},
	{DaysNotice, "P-12", "days", 1, 0, 365, "a notice of arrears may be given after a rent fell due"},
	{DaysDeposit, "P-12", "days", 15, 0, 365, "the lessee's deposit may be applied after that day"},
	{DaysReturn, "P-12", "days", 30, 0, 365, "the asset may be taken back after that day"},
	{DaysDefault, "P-12", "days", 60, 0, 365, "bonds without their coupon default after that day, and the asset may be sold"},
	{IdleMonths, "P-14", "months", 3, 1, 120, "full months without a contribution let a membership lapse"},
	{StandingLevy, "P-15", "basis points", 0, 0, 10_000, "part of each month's pool kept for renewal, unless the month has a vote of its own"},
	{Limitation, "", "months", 36, 1, 600, "a dividend that nobody claims goes back to the pool after so many months"},
}

// policyNamed gives the policy of a name, or ErrUnknown.
func policyNamed(name string) (Policy, error) {
	i := slices.IndexFunc(Policies, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return Policy{}, fmt.Errorf("policy %.40q: %w", name, ErrUnknown)
	}
	return Policies[i], nil
}

// may refuses a value that the policy can't have: ErrAmount.
func (p Policy) may(value int) error {
	if value < p.least || value > p.most {
		return fmt.Errorf("%s of %d: want %d to %d %s: %w", p.Name, value, p.least, p.most, p.Unit, ErrAmount)
	}
	return nil
}

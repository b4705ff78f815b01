package commune

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Opening is the commune as it was before its books began: who belongs to it, what it owns and lets, what it and its
// enterprises have and owe.
type Opening struct {
	Period      ledger.Period // the first month of the books; what happened before it is in the balances
	Enterprises []string      // that are founded with it; their books are there
	Members     []Membership
	Assets      []Asset // acquired: any day; what they are worn is in months
	Agreements  []Agreement
	Balances    map[string]map[string]money.Amount // by book and account, debit positive
}

// Membership is a founder's share.
type Membership struct {
	Member       string
	Name         string
	Joined, Left ledger.Date // Left: none, as long as he stays
}

// The accounts that an opening balance may stand on (scenarios/format.md 2).
var (
	openCommune    = []string{"1000", "1300", "1500", "1590", "2000", "2050", "3100", "3200"}
	openEnterprise = []string{"1000", "1400", "2100", "2200", "2400", "2500", "3000", "3900"}
)

// check is what can be said of an opening by itself, in a commune whose book has a code and that owns those enterprises:
// each book sums to zero, and what two accounts, or an account and an asset, must say alike they do. ErrUnbalanced,
// ErrAmount, ErrUnknown, ledger.ErrAccount, money.ErrRange.
func (o Opening) check(com string, enterprises []string) error {
	for _, book := range slices.Sorted(maps.Keys(o.Balances)) {
		allowed := openEnterprise
		if book == com {
			allowed = openCommune
		} else if !slices.Contains(enterprises, book) {
			return fmt.Errorf("book %.40q: %w", book, ErrUnknown)
		}
		var sum money.Amount
		for account, balance := range o.Balances[book] {
			code, sub, _ := strings.Cut(account, ":")
			if !slices.Contains(allowed, code) {
				return fmt.Errorf("%s %.40s can't have an opening balance: %w", book, account, ledger.ErrAccount)
			}
			if err := o.named(code, sub, book == com, enterprises); err != nil {
				return fmt.Errorf("%s %.40s: %w", book, account, err)
			}
			var err error
			if sum, err = sum.Add(balance); err != nil {
				return fmt.Errorf("%s: %w", book, err)
			}
		}
		if sum != 0 {
			return fmt.Errorf("%s is off by %s: %w", book, sum, ErrUnbalanced)
		}
	}
	if err := o.mirrored(com, enterprises); err != nil {
		return err
	}
	return o.inCents(com)
}

// inCents: the commune's book and every bank are whole cents (D-05).
func (o Opening) inCents(com string) error {
	for book, balances := range o.Balances {
		for account, balance := range balances {
			if (book == com || account == bank) && balance%money.Cent != 0 {
				return fmt.Errorf("%s %s is %s, want whole cents: %w", book, account, balance, ErrAmount)
			}
		}
	}
	return nil
}

// named checks that a sub-account names something of the opening. Prepaid accounts are the database's to know, and
// carriers nobody's.
func (o Opening) named(code, sub string, com bool, enterprises []string) error {
	known := sub == ""
	switch code {
	case "2100", "2200":
		known = true
	case "1300", "2050":
		known = slices.Contains(enterprises, sub)
	case "1500", "1590":
		known = o.owns(sub)
	case "3100":
		known = o.owns(sub) || sub == "general"
	case "2000", "2400":
		known = slices.ContainsFunc(o.Members, func(m Membership) bool { return m.Member == sub })
	case "3200":
		known = sub == "pool"
	}
	if !known {
		return ErrUnknown
	}
	return nil
}

func (o Opening) owns(asset string) bool {
	return slices.ContainsFunc(o.Assets, func(a Asset) bool { return a.Code == asset })
}

// mirrored compares what must be said alike twice.
func (o Opening) mirrored(com string, enterprises []string) error {
	own := o.Balances[com]
	same := func(account string, want money.Amount, as string) error {
		if own[account] != want {
			return fmt.Errorf("%s %s is %s, by %s it would be %s: %w", com, account, own[account], as, want, ErrUnbalanced)
		}
		return nil
	}
	var errs []error
	for _, a := range o.Assets {
		worn := a.wornBy()
		errs = append(errs, same("1500:"+a.Code, a.Cost, "the asset"), same("1590:"+a.Code, -worn, "the asset"),
			same("3100:"+a.Code, worn-a.Cost, "the asset"))
	}
	for _, e := range enterprises {
		errs = append(errs, same("1300:"+e, -o.Balances[e]["3000"], e+" 3000"), same("2050:"+e, -o.Balances[e]["1400"], e+" 1400"))
	}
	return errors.Join(errs...)
}

// wornBy is the depreciation so far: that of each month of life, one after the other.
func (a Asset) wornBy() (worn money.Amount) {
	months := min(a.Worn, a.Life)
	for a.Worn = 0; a.Worn < months; a.Worn++ {
		worn += a.Depreciation(worn)
	}
	return worn
}

// lines are the opening's entry.
func (o Opening) lines() (lines []ledger.Line) {
	for _, book := range slices.Sorted(maps.Keys(o.Balances)) {
		for _, account := range slices.Sorted(maps.Keys(o.Balances[book])) {
			lines = append(lines, ledger.Line{Book: book, Account: account, Amount: o.Balances[book][account]})
		}
	}
	return lines
}

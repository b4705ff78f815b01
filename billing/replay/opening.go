package replay

import (
	"slices"
	"strings"

	"telecommune/billing/commune"
	"telecommune/internal/money"
)

// The accounts that an opening balance may stand on.
var (
	openCommune    = []string{"1000", "1300", "1500", "1590", "2000", "2050", "3100", "3200"}
	openEnterprise = []string{"1000", "1400", "2100", "2200", "2400", "2500", "3000", "3900"}
)

// checkOpening is what the scenario format asks of the opening balances (section 2).
func (w *world) checkOpening() error {
	for book, balances := range w.opening {
		allowed := openEnterprise
		if book == "COM" {
			allowed = openCommune
		} else if !w.enterprise(book) {
			return refuse(unknownReference, "opening of book %q", book)
		}
		var sum money.Amount
		for name, balance := range balances {
			code, sub, _ := strings.Cut(name, ":")
			if !slices.Contains(allowed, code) {
				return refuse(badScenario, "opening of %s %s", book, name)
			}
			if err := w.openingReference(book, code, sub); err != nil {
				return err
			}
			var err error
			if sum, err = sum.Add(balance); err != nil {
				return refuse(amountPrecision, "opening of %s: %v", book, err)
			}
		}
		if sum != 0 {
			return refuse(unbalancedOpening, "%s is off by %s", book, sum)
		}
	}
	if err := w.checkMirrors(); err != nil {
		return err
	}
	return w.checkCents()
}

// openingReference checks that the sub-account names something of the world.
func (w *world) openingReference(book, code, sub string) error {
	known := true
	switch code {
	case "2100":
		a, ok := w.accounts[sub]
		if !ok || a.enterprise != book {
			return refuse(unknownAccount, "opening of %s 2100:%s", book, sub)
		}
	case "1300", "2050":
		known = w.enterprise(sub)
	case "1500", "1590":
		known = w.owns(sub)
	case "3100":
		known = w.owns(sub) || sub == "general"
	case "2000", "2400":
		_, known = w.members[sub]
	case "3200":
		known = sub == "pool"
	}
	if !known {
		return refuse(unknownReference, "opening of %s %s:%s", book, code, sub)
	}
	return nil
}

// checkMirrors compares what two accounts, or an account and the world, must say alike.
func (w *world) checkMirrors() error {
	com := w.opening["COM"]
	for _, a := range w.assets {
		worn := wornBy(a)
		for account, want := range map[string]money.Amount{"1500:" + a.Code: a.Cost, "1590:" + a.Code: -worn, "3100:" + a.Code: worn - a.Cost} {
			if com[account] != want {
				return refuse(unbalancedOpening, "COM %s is %s, the asset says %s", account, com[account], want)
			}
		}
	}
	for _, e := range w.enterprises {
		if com["1300:"+e] != -w.opening[e]["3000"] {
			return refuse(unbalancedOpening, "COM 1300:%s is %s, %s 3000 is %s", e, com["1300:"+e], e, w.opening[e]["3000"])
		}
		if com["2050:"+e] != -w.opening[e]["1400"] {
			return refuse(unbalancedOpening, "COM 2050:%s is %s, %s 1400 is %s", e, com["2050:"+e], e, w.opening[e]["1400"])
		}
	}
	return nil
}

// checkCents: the commune's book and every bank are whole cents (economics.md D-05).
func (w *world) checkCents() error {
	for book, balances := range w.opening {
		for name, balance := range balances {
			if (book == "COM" || name == "1000") && balance%money.Cent != 0 {
				return refuse(amountPrecision, "opening of %s %s is %s, want whole cents", book, name, balance)
			}
		}
	}
	return nil
}

// wornBy is the depreciation so far: that of each month of life, one after the other.
func wornBy(a commune.Asset) (worn money.Amount) {
	months := min(a.Worn, a.Life)
	for a.Worn = 0; a.Worn < months; a.Worn++ {
		worn += a.Depreciation(worn)
	}
	return worn
}

func (w *world) owns(id string) bool {
	return slices.ContainsFunc(w.assets, func(a commune.Asset) bool { return a.Code == id })
}

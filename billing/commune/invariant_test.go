package commune_test

import (
	"strings"

	"pgregory.net/rapid"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// balances are those of all books, debit positive.
type balances map[string]map[string]money.Amount

func (v *village) balances(rt *rapid.T) balances {
	lines, err := ledger.Trial(v.Context(), v.tx, ledger.TrialFilter{})
	if err != nil {
		rt.Fatal(err)
	}
	b := balances{}
	for _, l := range lines {
		if b[l.Book] == nil {
			b[l.Book] = map[string]money.Amount{}
		}
		b[l.Book][l.Account] = l.Balance
	}
	return b
}

// sum adds an account up with its sub-accounts, credit positive.
func (b balances) owed(book, code string) (sum money.Amount) {
	for account, balance := range b[book] {
		if account == code || strings.HasPrefix(account, code+":") {
			sum -= balance
		}
	}
	return sum
}

// none runs a query for what must not be.
func (v *village) none(rt *rapid.T, invariant, query string, args ...any) {
	var found []string
	if err := v.tx.Select(&found, query, args...); err != nil {
		rt.Fatal(invariant, err)
	}
	if len(found) > 0 {
		rt.Fatalf("%s: %q", invariant, found)
	}
}

// check looks at the invariants that hold at all times (economics.md 9, as amended by 10).
func (v *village) check(rt *rapid.T) {
	b := v.balances(rt)
	for book, accounts := range b {
		var sum money.Amount
		for _, balance := range accounts {
			sum += balance
		}
		if sum != 0 {
			rt.Fatalf("I-02: %s sums to %s", book, sum)
		}
	}
	v.checkMirrors(rt, b)
	v.checkPapers(rt)
	v.checkStates(rt, b)
	v.checkBonds(rt, b)
	v.none(rt, "I-01", `SELECT entry_id::text FROM line GROUP BY entry_id, book HAVING sum(amount) <> 0`)
	v.none(rt, "I-04", `
		SELECT a.member FROM share a JOIN share b ON a.member = b.member AND a.contribution < b.contribution
		WHERE a.issued_on < COALESCE(b.cancelled_on, 'infinity') AND b.issued_on < COALESCE(a.cancelled_on, 'infinity')
		    AND a.cancelled_on IS DISTINCT FROM a.issued_on AND b.cancelled_on IS DISTINCT FROM b.issued_on`)
	v.none(rt, "I-05", `SELECT member FROM share s WHERE NOT EXISTS (SELECT FROM contribution c WHERE c.key = s.contribution AND c.member = s.member)`)
	v.none(rt, "I-06", `SELECT code FROM enterprise WHERE owned_bp <> 10000`)
	v.none(rt, "I-13: two agreements at once", `
		SELECT a.code FROM agreement a JOIN agreement b ON a.asset = b.asset AND a.code < b.code
		WHERE a.start_on < COALESCE(b.end_on, 'infinity') AND b.start_on < COALESCE(a.end_on, 'infinity')
		    AND a.end_on IS DISTINCT FROM a.start_on AND b.end_on IS DISTINCT FROM b.start_on`)
	v.none(rt, "I-14", `SELECT account FROM balance b WHERE balance < 0 OR balance <> -(
		SELECT COALESCE(sum(amount), 0) FROM line l WHERE l.book = b.book AND l.account = b.account)`)
	v.none(rt, "I-17", `
		SELECT entry_id::text FROM line GROUP BY entry_id
		HAVING bool_or(book = 'COM' AND account LIKE '2000%') AND bool_or(book <> 'COM' AND account ~ '^(2400|5200)')`)
	for _, book := range []string{"COM", "CALL", "HOST"} {
		if b[book]["1000"] < 0 || b[book]["1050"] < 0 {
			rt.Fatalf("D-38: banks of %s: %s, %s", book, b[book]["1000"], b[book]["1050"])
		}
	}
	var undistributed money.Amount
	err := v.tx.Get(&undistributed, `
		SELECT COALESCE(sum(s.amount), 0)::bigint FROM rent_settlement s JOIN agreement g ON g.code = s.agreement JOIN asset a ON a.code = g.asset
		WHERE s.way <> 'written_off' AND s.day >= $1::date AND a.liquidated_on IS NULL`, string(v.open.First()))
	if err != nil {
		rt.Fatal(err)
	}
	free := b["COM"]["1000"] - b.owed("COM", "2000") - b.owed("COM", "2050") - b.owed("COM", "2300") -
		(b.owed("COM", "3100:general") + b.owed("COM", "1300")) - undistributed - b.owed("COM", "4300") - b.owed("COM", "5400")
	if pool := b.owed("COM", "3200:pool"); pool != free {
		rt.Fatalf("I-20: the pool is %s, free cash %s", pool, free)
	}
}

// checkStates looks at what states say of the rest (economics.md 4).
func (v *village) checkStates(rt *rapid.T, b balances) {
	v.none(rt, "an enterprise that does not work rents something", `
		SELECT g.code FROM agreement g JOIN enterprise e ON e.code = g.enterprise
		WHERE e.state <> 'active' AND (g.end_on IS NULL OR g.end_on > GREATEST(g.start_on, $1::date))`, string(v.day))
	var gone []string
	if err := v.tx.Select(&gone, `SELECT e.code FROM enterprise e JOIN book k ON k.code = e.code WHERE e.state = 'wound_up' OR k.closed_on IS NOT NULL`); err != nil {
		rt.Fatal(err)
	}
	for _, e := range gone {
		for account, balance := range b[e] {
			if balance != 0 {
				rt.Fatalf("%s was wound up, and has %s on %s", e, balance, account)
			}
		}
	}
	v.none(rt, "a series in default whose asset is let", `
		SELECT s.code FROM series s JOIN agreement g ON g.asset = s.asset
		WHERE s.defaulted_on IS NOT NULL AND (g.end_on IS NULL OR g.end_on > GREATEST(g.start_on, s.defaulted_on))`)
	v.none(rt, "notice of a rent before it was due", `SELECT agreement FROM arrears_notice WHERE day < due_on`)
	v.none(rt, "dividends that were declared, and neither paid, forfeited nor owed", `
		SELECT m.code FROM member m
		WHERE COALESCE((SELECT sum(amount) FROM dividend WHERE member = m.code), 0) - COALESCE((SELECT sum(amount) FROM payout WHERE member = m.code), 0)
		    - COALESCE((SELECT sum(amount) FROM forfeit WHERE member = m.code), 0)
		    <> -COALESCE((SELECT sum(amount) FROM line WHERE book = 'COM' AND account = '2000:' || m.code), 0)`)
}

// checkMirrors is I-03 with D-19: what one book says of another.
func (v *village) checkMirrors(rt *rapid.T, b balances) {
	for _, e := range []string{"CALL", "HOST"} {
		if b.owed("COM", "2050:"+e) != b[e]["1400"] {
			rt.Fatalf("I-03: COM owes %s %s, its book says %s", e, b.owed("COM", "2050:"+e), b[e]["1400"])
		}
		if b["COM"]["1300:"+e] != b.owed(e, "3000") {
			rt.Fatalf("I-03: COM has a share of %s in %s, its book says %s", b["COM"]["1300:"+e], e, b.owed(e, "3000"))
		}
	}
	var all []struct {
		Code       string `db:"code"`
		Enterprise string `db:"enterprise"`
	}
	if err := v.tx.Select(&all, `SELECT code, enterprise FROM agreement WHERE enterprise IS NOT NULL`); err != nil {
		rt.Fatal(err)
	}
	for _, g := range all {
		if b["COM"]["1100:"+g.Code] != b.owed(g.Enterprise, "2300:"+g.Code) || b.owed("COM", "2300:"+g.Code) != b[g.Enterprise]["1350:"+g.Code] {
			rt.Fatalf("I-03: rent or deposit of %s differ: %v, %v", g.Code, b["COM"], b[g.Enterprise])
		}
	}
}

// checkBonds is I-08, I-09, I-10 and I-19.
func (v *village) checkBonds(rt *rapid.T, b balances) {
	v.none(rt, "I-08", `
		SELECT s.code FROM series s LEFT JOIN bid d ON d.series = s.code GROUP BY s.code
		HAVING s.cleared AND (sum(d.allotted) <> s.offer OR bool_or(d.rate_bps > s.rate_bps AND d.allotted > 0 OR d.rate_bps < s.rate_bps AND d.allotted < d.amount))
		    OR NOT s.cleared AND sum(d.allotted) > 0`)
	for account, balance := range b["COM"] {
		if code, _, _ := strings.Cut(account, ":"); code == "2100" || code == "2110" {
			if before, seen := v.bonds[account]; balance > 0 || code == "2100" && seen && -balance > before {
				rt.Fatalf("I-10: %s went from %s to %s", account, before, -balance)
			}
			v.bonds[account] = -balance
		}
	}
	var funded money.Amount
	if err := v.tx.Get(&funded, `SELECT COALESCE(sum(s.principal), 0)::bigint FROM series s JOIN asset_request r ON r.key = s.request WHERE r.state = 'funded'`); err != nil {
		rt.Fatal(err)
	}
	if b["COM"]["1050"] != b.owed("COM", "2200")+funded {
		rt.Fatalf("I-19: escrow is %s, subscriptions %s, bought and not delivered %s", b["COM"]["1050"], b.owed("COM", "2200"), funded)
	}
	for account := range b["COM"] {
		asset, is := strings.CutPrefix(account, "1500:")
		if !is {
			continue
		}
		var bonds money.Amount
		var series []string
		if err := v.tx.Select(&series, `SELECT code FROM series WHERE asset = $1 AND cleared`, asset); err != nil {
			rt.Fatal(err)
		}
		for _, s := range series {
			for account, balance := range b["COM"] {
				if strings.HasPrefix(account, "2100:"+s+"/") {
					bonds -= balance
				}
			}
		}
		value := b["COM"]["1500:"+asset] + b["COM"]["1590:"+asset]
		if b.owed("COM", "3100:"+asset) != commune.CommonsFund(value, bonds) {
			rt.Fatalf("I-09: fund of %s is %s, worth %s, bonds %s", asset, b.owed("COM", "3100:"+asset), value, bonds)
		}
	}
}

// closed looks at what must hold right after a close.
func (v *village) closed(rt *rapid.T, f commune.Figures) {
	b := v.balances(rt)
	var paid money.Amount
	for _, d := range f.Dividends {
		paid += d
	}
	if paid+f.Carry != f.Pool || f.Carry != b.owed("COM", "3200:pool") {
		rt.Fatalf("I-07: %s paid and %s carried of %s", paid, f.Carry, f.Pool)
	}
	if free := b["COM"]["1000"] - b.owed("COM", "2000") - b.owed("COM", "2050") - b.owed("COM", "2300"); paid > 0 && free < 0 {
		rt.Fatalf("I-11: %s paid, which leaves %s less than is owed", paid, -free)
	}
	v.none(rt, "I-07: equal days, other dividends", `SELECT days::text FROM dividend WHERE month = $1 GROUP BY days HAVING count(DISTINCT amount) > 1`, v.open)
	for asset, rest := range f.Remainder {
		if rest == 0 {
			continue
		}
		var series []string
		if err := v.tx.Select(&series, `SELECT code FROM series WHERE asset = $1 AND cleared`, asset); err != nil {
			rt.Fatal(err)
		}
		for _, s := range series {
			for account, balance := range b["COM"] {
				if strings.HasPrefix(account, "2110:"+s+"/") && balance != 0 {
					rt.Fatalf("I-12: %s of %s went to the pool, and %s of interest is owed to %s", rest, asset, -balance, account)
				}
			}
		}
	}
	v.none(rt, "I-15", `
		SELECT p.agreement FROM rent_posting p JOIN agreement g ON g.code = p.agreement
		WHERE p.month = $1 AND p.units <> COALESCE((SELECT sum(u.units) FROM asset_usage u WHERE u.asset = g.asset
		    AND to_char(u.day, 'YYYY-MM') = p.month AND u.day >= g.start_on AND (g.end_on IS NULL OR u.day < g.end_on)), 0)`, v.open)
	for book, accounts := range b {
		for account, balance := range accounts {
			if strings.ContainsAny(account[:1], "45") && balance != 0 {
				rt.Fatalf("%s %s is %s after the close", book, account, balance)
			}
		}
	}
}

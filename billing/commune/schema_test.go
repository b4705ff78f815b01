package commune_test

import (
	"strings"
	"testing"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// rules lists, for each table of schema replay, what a twin must have: columns, CHECKs, keys, indexes.
const rules = `
	SELECT rule FROM (
	    SELECT c.relname AS twin, format('%s: %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
	        replace(COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), $1 || '.', '')) AS rule
	    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	    WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'
	    UNION ALL
	    SELECT c.relname, format('%s: %s', c.relname, pg_get_constraintdef(k.oid))
	    FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('c', 'p', 'u')
	    WHERE c.relnamespace = $1::regnamespace
	    UNION ALL
	    SELECT c.relname, format('%s: %s', c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), '^.* INDEX .* ON .*' || c.relname || ' ', ''))
	    FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
	    WHERE c.relnamespace = $1::regnamespace
	) AS all_rules
	WHERE twin IN (SELECT relname FROM pg_class WHERE relnamespace = 'replay'::regnamespace AND relkind = 'r')
	ORDER BY rule`

// TestTwins: the tables that scenarios run in have the rules of their originals.
func TestTwins(t *testing.T) {
	db := pgtest.New(t)
	var real, twins []string
	if err := db.Select(&real, rules, "public"); err != nil {
		t.Fatal(err)
	}
	if err := db.Select(&twins, rules, "replay"); err != nil {
		t.Fatal(err)
	}
	if a, b := strings.Join(real, "\n"), strings.Join(twins, "\n"); a != b || len(real) < 150 {
		t.Errorf("%d rules\n%s\n\nbut of the twins %d\n%s", len(real), a, len(twins), b)
	}
}

// TestRulesOfTheSchema: what no operation does can't be done beside them either, by the program's own role.
func TestRulesOfTheSchema(t *testing.T) {
	db := pgtest.New(t)
	for _, q := range []string{
		`INSERT INTO member (code) VALUES ('M1'), ('M2')`,
		`INSERT INTO contribution (key, member, day, enterprise, kind) VALUES ('k', 'M1', '2027-01-01', 'CALL', 'work')`,
		`INSERT INTO share (member, issued_on, contribution) VALUES ('M1', '2027-01-01', 'k')`,
		`INSERT INTO asset (code, kind, meter, cost, life_months, acquired_on) VALUES ('A', 'trunk', 'seconds', 10000, 1, '2027-01-01')`,
		`INSERT INTO agreement (code, asset, enterprise, fixed, minimum, rate, included, start_on) VALUES ('R', 'A', 'CALL', 0, 0, 0, 0, '2027-01-01')`,
		`INSERT INTO distribution (month, figures) VALUES ('2027-01', '{}')`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(q, err)
		}
	}
	for what, tt := range map[string]struct{ query, refusal string }{
		"a part of an enterprise sold (I-06)":     {`UPDATE enterprise SET owned_bp = 9999`, "enterprise_owned_whole"},
		"an enterprise of somebody else":          {`INSERT INTO enterprise (code, name, owned_bp) VALUES ('COM', '', 0)`, "enterprise_owned_whole"},
		"a share passed on (R9)":                  {`UPDATE share SET member = 'M2'`, "permission denied"},
		"a share issued anew by its contribution": {`UPDATE share SET contribution = 'other'`, "permission denied"},
		"a share taken away":                      {`DELETE FROM share`, "permission denied"},
		"a second live share (R6)": {
			`WITH c AS (INSERT INTO contribution (key, member, day, enterprise, kind) VALUES ('k2', 'M1', '2027-01-01', 'CALL', 'work'))
			 INSERT INTO share (member, issued_on, contribution) VALUES ('M1', '2027-02-01', 'k2')`, "share_one_live",
		},
		"a share for nothing (R8, I-05)":        {`INSERT INTO share (member, issued_on, contribution) VALUES ('M2', '2027-01-01', 'money')`, "share_contribution_fkey"},
		"two shares for one work":               {`INSERT INTO share (member, issued_on, contribution) VALUES ('M2', '2027-01-01', 'k')`, "share_contribution_unique"},
		"work that one attests to oneself":      {`INSERT INTO contribution (key, member, day, enterprise, kind, attested_by) VALUES ('k3', 'M1', '2027-01-01', 'CALL', 'work', 'M1')`, "contribution_not_self_attested"},
		"work in no enterprise":                 {`INSERT INTO contribution (key, member, day, kind) VALUES ('k4', 'M1', '2027-01-01', 'work')`, "contribution_of_work"},
		"a second agreement without end (I-13)": {`INSERT INTO agreement (code, asset, member, fixed, minimum, rate, included, start_on) VALUES ('R2', 'A', 'M1', 0, 0, 0, 0, '2027-01-01')`, "agreement_one_without_end"},
		"an agreement with two lessees":         {`INSERT INTO agreement (code, asset, enterprise, member, fixed, minimum, rate, included, start_on, end_on) VALUES ('R2', 'A', 'CALL', 'M1', 0, 0, 0, 0, '2027-01-01', '2027-01-02')`, "agreement_one_lessee"},
		"a rent changed afterwards":             {`UPDATE agreement SET rate = 1`, "permission denied"},
		"what a month came to, changed":         {`UPDATE distribution SET figures = '{"pool": "1.00"}'`, "permission denied"},
		"a dividend paid twice a month": {
			`INSERT INTO dividend (month, member, days, amount) VALUES ('2027-01', 'M1', 1, 0), ('2027-01', 'M1', 1, 0)`, "dividend_pkey",
		},
		"the minute book rewritten": {`UPDATE act SET content = '{}'`, "permission denied"},
		"usage taken away":          {`DELETE FROM asset_usage`, "permission denied"},
		"a bid changed":             {`UPDATE bid SET amount = 1`, "permission denied"},
	} {
		_, err := db.Exec(tt.query)
		if err == nil || postgres.Constraint(err) != tt.refusal && !strings.Contains(err.Error(), tt.refusal) {
			t.Errorf("%s: %v, want %s", what, err, tt.refusal)
		}
	}
}

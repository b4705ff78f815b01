package commune

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"telecommune/billing/ledger"
)

// usesAtOnce is how many reports are stored by one statement.
const usesAtOnce = 1000

// Report meters a quantity that a lessee used. ErrState for an asset with another meter, ErrNotLet, ErrUnknown.
func (c *Commune) Report(ctx context.Context, a Act, u Use) error {
	r := reporting{Commune: c, act: a, quantities: true}
	return r.all(ctx, []reported{{Reported: Reported{Key: a.Key, Day: a.Date, Asset: u.Asset, Enterprise: u.Enterprise}, use: u}}, nil)
}

// Metered is what reports of the use of an asset came to.
type Metered struct {
	Asset    string `json:"asset"`
	Meter    Meter  `json:"meter"`
	Units    int64  `json:"units"`    // seconds, or millionths of a quantity
	Reported int    `json:"reported"` // reports
	Repeated int    `json:"repeated"` // reports that were known before, which counted then
}

// ReportAll meters what lessees used, all of it or nothing, each report once by its own key: quantities, and the seconds
// of assets that are no trunk, whose seconds are those of calls. It gives what was reported by asset; progress, when set,
// is told how many are done. What a single report is refused for, with its line: ErrAmount, ErrConflict, ErrNotLet,
// ErrState, ErrUnknown, ledger.ErrPeriodClosed.
func (c *Commune) ReportAll(ctx context.Context, a Act, rows []Reported, progress func(int)) ([]Metered, error) {
	r := reporting{Commune: c, act: a, came: map[string]*Metered{}}
	uses := make([]reported, len(rows))
	for i, row := range rows {
		uses[i] = reported{Reported: row}
	}
	if err := r.all(ctx, uses, progress); err != nil {
		return nil, err
	}
	came := make([]Metered, 0, len(r.came))
	for _, m := range r.came {
		came = append(came, *m)
	}
	slices.SortFunc(came, func(a, b Metered) int { return cmp.Compare(a.Asset, b.Asset) })
	return came, nil
}

// reporting is reports at work.
type reporting struct {
	*Commune

	act        Act
	calendar   ledger.Calendar
	quantities bool // the only meter that is taken, and units come as they are
	assets     map[string]metered
	came       map[string]*Metered // by asset; none: nobody asks
}

// metered is an asset with its agreements.
type metered struct {
	Code  string `db:"code"`
	Meter Meter  `db:"meter"`
	Trunk bool   `db:"trunk"`
	let   []Agreement
}

// reported is a report with what comes of it.
type reported struct {
	Reported

	use   Use
	again bool
}

func (r *reporting) all(ctx context.Context, rows []reported, progress func(int)) (err error) {
	if r.calendar, err = ledger.LockCalendar(ctx, r.tx, r.act.At); err != nil {
		return err
	}
	if err := r.readAssets(ctx, rows); err != nil {
		return err
	}
	done := 0
	for batch := range slices.Chunk(rows, usesAtOnce) {
		if err := r.batch(ctx, batch); err != nil {
			return err
		}
		if done += len(batch); progress != nil {
			progress(done)
		}
	}
	return nil
}

// readAssets reads the assets that are reported on.
func (r *reporting) readAssets(ctx context.Context, rows []reported) error {
	var codes []string
	r.assets = map[string]metered{}
	for _, row := range rows {
		if _, known := r.assets[row.Asset]; !known {
			r.assets[row.Asset] = metered{}
			codes = append(codes, row.Asset)
		}
	}
	var found []metered
	err := r.tx.SelectContext(ctx, &found, `
		SELECT a.code, a.meter, EXISTS (SELECT FROM trunk t WHERE t.asset = a.code) AS trunk FROM asset a WHERE a.code = ANY ($1)`, pq.Array(codes))
	if err != nil {
		return err
	}
	for _, a := range found {
		r.assets[a.Code] = a
	}
	var let []Agreement
	err = r.tx.SelectContext(ctx, &let, selectAgreement+` WHERE asset = ANY ($1)`, pq.Array(codes))
	for _, g := range let {
		a := r.assets[g.Asset]
		a.let = append(a.let, g)
		r.assets[g.Asset] = a
	}
	return err
}

// batch stores some reports. What was reported before is found by its key first: it counts, though the month may be closed.
func (r *reporting) batch(ctx context.Context, rows []reported) error {
	for i := range rows {
		if err := r.weigh(&rows[i]); err != nil {
			return rows[i].refused(err)
		}
	}
	if err := r.minutes(ctx, rows); err != nil {
		return err
	}
	var keys, assets, days []string
	var enterprises []*string
	var units []int64
	for _, row := range rows {
		if m := r.came[row.Asset]; r.came != nil {
			if m == nil {
				m = &Metered{Asset: row.Asset, Meter: r.assets[row.Asset].Meter}
				r.came[row.Asset] = m
			}
			m.count(row)
		}
		if row.again {
			continue
		}
		if err := r.allowed(row); err != nil {
			return row.refused(err)
		}
		keys, assets, days = append(keys, row.Key), append(assets, row.Asset), append(days, string(r.day(row)))
		enterprises, units = append(enterprises, nullable(row.Enterprise)), append(units, row.use.Units)
	}
	_, err := r.tx.ExecContext(ctx, `
		INSERT INTO asset_usage (key, asset, enterprise, day, units)
		SELECT u.key, u.asset, u.enterprise, u.day, u.units FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[])
		    AS u (key, asset, enterprise, day, units)`, pq.Array(keys), pq.Array(assets), pq.Array(enterprises), pq.Array(days), pq.Array(units))
	return err
}

func (m *Metered) count(row reported) {
	if row.again {
		m.Repeated++
		return
	}
	m.Reported++
	m.Units += row.use.Units
}

// refused names the line of a file.
func (r reported) refused(err error) error {
	if r.Line > 0 {
		return fmt.Errorf("line %d: %w", r.Line, err)
	}
	return err
}

func (r *reporting) day(row reported) ledger.Date {
	switch {
	case row.Day != "":
		return row.Day
	case r.act.Date != "":
		return r.act.Date
	}
	return ledger.DateOf(r.act.At, r.calendar.Zone)
}

// weigh finds the units of a report.
func (r *reporting) weigh(row *reported) (err error) {
	if r.quantities {
		return nil
	}
	a := r.assets[row.Asset]
	if a.Code == "" {
		return fmt.Errorf("asset %.40q: %w", row.Asset, ErrUnknown)
	}
	row.use = Use{Asset: row.Asset, Enterprise: row.Enterprise, Text: row.Text}
	row.use.Units, err = row.units(a.Meter)
	return err
}

// minutes writes the reports into the minute book, and finds which were there. ErrConflict.
func (r *reporting) minutes(ctx context.Context, rows []reported) error {
	n := len(rows)
	keys, days, given, contents := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, row := range rows {
		text, err := json.Marshal(row.use)
		if err != nil {
			return err
		}
		keys[i], days[i], given[i], contents[i] = row.Key, string(r.day(row)), string(row.Day), string(text)
	}
	var added []string
	err := r.tx.SelectContext(ctx, &added, `
		INSERT INTO act (key, kind, day, at, actor, content)
		SELECT u.key, 'usage', u.day, $4, $5, u.content FROM unnest($1::text[], $2::date[], $3::jsonb[]) WITH ORDINALITY AS u (key, day, content, n) ORDER BY u.n
		ON CONFLICT (key) DO NOTHING RETURNING key`, pq.Array(keys), pq.Array(days), pq.Array(contents), r.act.At, r.act.Actor)
	if err != nil || len(added) == n {
		return err
	}
	fresh := map[string]bool{}
	for _, key := range added {
		fresh[key] = true
	}
	for i := range rows {
		rows[i].again = !fresh[rows[i].Key]
		delete(fresh, rows[i].Key) // a second report of this key repeats the first
	}
	var other int
	err = r.tx.GetContext(ctx, &other, `
		SELECT COALESCE(min(u.n), 0) FROM unnest($1::text[], $2::text[], $3::jsonb[]) WITH ORDINALITY AS u (key, day, content, n) JOIN act a ON a.key = u.key
		WHERE a.kind <> 'usage' OR a.content <> u.content OR u.day <> '' AND a.day <> NULLIF(u.day, '')::date`, pq.Array(keys), pq.Array(given), pq.Array(contents))
	if err == nil && other > 0 {
		err = rows[other-1].refused(fmt.Errorf("%s: %w", rows[other-1].Key, ErrConflict))
	}
	return err
}

// allowed refuses what can't be metered.
func (r *reporting) allowed(row reported) error {
	a, day := r.assets[row.Asset], r.day(row)
	switch {
	case day < r.calendar.From:
		return fmt.Errorf("%s: %w", day, ledger.ErrPeriodClosed)
	case a.Code == "":
		return fmt.Errorf("asset %.40q: %w", row.Asset, ErrUnknown)
	case a.Meter == None, a.Meter == Seconds && r.quantities:
		return fmt.Errorf("asset %s meters %s: %w", a.Code, a.Meter, ErrState)
	case a.Meter == Seconds && a.Trunk:
		return fmt.Errorf("asset %s is a trunk, whose seconds are those of its calls: %w", a.Code, ErrState)
	}
	if !slices.ContainsFunc(a.let, func(g Agreement) bool {
		return g.Covers(day) && (row.Enterprise == "" || row.Enterprise == g.Enterprise)
	}) {
		return fmt.Errorf("asset %s on %s: %w", a.Code, day, ErrNotLet)
	}
	return nil
}

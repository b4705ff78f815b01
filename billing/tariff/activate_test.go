package tariff_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"telecommune/billing/tariff"
	"telecommune/internal/postgres/pgtest"
)

// states gives the versions of a deck as number and state, the newest first.
func states(t *testing.T, store *tariff.Store) string {
	t.Helper()
	list, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range list {
		all = append(all, fmt.Sprintf("%d %s", v.Number, v.State))
	}
	return strings.Join(all, ", ")
}

// inForce gives the version that prices a call at an instant, by decks loaded for another.
func inForce(t *testing.T, store *tariff.Store, loaded, at time.Time) string {
	t.Helper()
	decks, err := store.LoadAt(t.Context(), loaded)
	if err != nil {
		t.Fatal(err)
	}
	row, _ := decks.Retail("standard", "+380441234567", at)
	return row.Deck
}

func importRate(t *testing.T, store *tariff.Store, rate string, change func(*tariff.Import)) (tariff.Version, error) {
	t.Helper()
	deck := parse(t, retail(nil), "prefix,rate_per_minute\n380,"+rate+"\n")
	in := tariff.Import{Spec: deck.Spec, Rows: deck.All()}
	if change != nil {
		change(&in)
	}
	done, err := store.ImportRows(t.Context(), in)
	return done.Version, err
}

func mustImport(t *testing.T, store *tariff.Store, rate string, change func(*tariff.Import)) tariff.Version {
	t.Helper()
	v, err := importRate(t, store, rate, change)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func draft(in *tariff.Import) { in.Draft = true }

// TestLifeOfVersions tells the story of a deck: what is in force after each step, now and at the instants before.
func TestLifeOfVersions(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	ctx := t.Context()
	mustImport(t, store, "1.00", func(in *tariff.Import) { in.ActiveFrom = time.Now().Add(-time.Hour) })
	mustImport(t, store, "1.10", draft)
	if got, want := states(t, store), "2 draft, 1 active"; got != want {
		t.Fatalf("a draft changes nothing: %s, want %s", got, want)
	}
	later := time.Now().Add(24 * time.Hour).Truncate(time.Microsecond)
	activation := tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 2, At: later}
	if v, err := store.Activate(ctx, activation); err != nil || v.State != tariff.Future || !v.ActiveFrom.Equal(later) {
		t.Fatalf("activated later: %+v, %v", v, err)
	}
	if now, then := inForce(t, store, time.Now(), time.Now()), inForce(t, store, time.Now(), later); now != "standard@1" || then != "standard@2" {
		t.Fatalf("%s now and %s later", now, then)
	}
	activation.At = later.Add(time.Hour)
	if v, err := store.Activate(ctx, activation); err != nil || !v.ActiveFrom.Equal(activation.At) {
		t.Fatalf("moved: %+v, %v", v, err)
	}
	if back, now, err := store.Rollback(ctx, tariff.Retail, "standard", 2); err != nil || back.State != tariff.Draft || now.Number != 1 {
		t.Fatalf("a version to come is rolled back: %+v, %+v, %v", back, now, err)
	}
	activation.At = time.Time{}
	v, err := store.Activate(ctx, activation)
	if err != nil || v.State != tariff.Active || states(t, store) != "2 active, 1 past" {
		t.Fatalf("activated now: %+v, %v; %s", v, err, states(t, store))
	}
	during := time.Now()
	back, now, err := store.Rollback(ctx, tariff.Retail, "standard", 0)
	if err != nil || back.State != tariff.RolledBack || now.Number != 1 || states(t, store) != "2 rolled_back, 1 active" {
		t.Fatalf("rolled back: %+v, %+v, %v; %s", back, now, err, states(t, store))
	}
	hourAgo := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		proves     string
		loaded, at time.Time
		want       string
	}{
		{"the version before counts again", time.Now(), time.Now(), "standard@1"},
		{"what serve keeps for calls answered before", hourAgo, during, "standard@2"},
		{"and for those before that", hourAgo, v.ActiveFrom.Add(-time.Microsecond), "standard@1"},
		{"to the instant", hourAgo, *back.EndedAt, "standard@1"},
		{"a look at the past is as it was", during, during, "standard@2"},
	} {
		if got := inForce(t, store, c.loaded, c.at); got != c.want {
			t.Errorf("%s: %q, want %q", c.proves, got, c.want)
		}
	}
	if deck, err := store.Deck(ctx, tariff.Retail, "standard", 0); err != nil || deck.Version != 1 {
		t.Errorf("in force: %d, %v", deck.Version, err)
	}
	mustImport(t, store, "1.20", nil)
	if got, want := states(t, store), "3 active, 2 rolled_back, 1 past"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, now, err := store.Rollback(ctx, tariff.Retail, "standard", 0); err != nil || now.Number != 1 {
		t.Errorf("a version that was rolled back is no version before: %+v, %v", now, err)
	}
}

func TestRollbackOfSeveral(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	for i, rate := range []string{"1.00", "1.01", "1.02"} {
		mustImport(t, store, rate, func(in *tariff.Import) { in.ActiveFrom = time.Now().Add(time.Duration(i-4) * time.Minute) })
	}
	for _, want := range []string{"standard@2", "standard@1"} {
		if _, now, err := store.Rollback(t.Context(), tariff.Retail, "standard", 0); err != nil || now.String() != want {
			t.Fatalf("%s, %v; want %s", now, err, want)
		}
		if got := inForce(t, store, time.Now().Add(-time.Hour), time.Now()); got != want {
			t.Errorf("%s is in force, want %s", got, want)
		}
	}
	if got := inForce(t, store, time.Now().Add(-time.Hour), time.Now().Add(-90*time.Second)); got != "standard@3" {
		t.Errorf("%s was in force, want standard@3", got)
	}
}

func TestActivateRefuses(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	ctx := t.Context()
	mustImport(t, store, "1.00", nil)
	mustImport(t, store, "1.31", draft)
	before := states(t, store)
	var dear *tariff.TooDear
	for _, c := range []struct {
		proves string
		do     func() error
		is     func(error) bool
	}{
		{"no such version", func() error {
			_, err := store.Activate(ctx, tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 7})
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrNotFound) }},
		{"a version in force", func() error {
			_, err := store.Activate(ctx, tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 1})
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrActivated) }},
		{"the past", func() error {
			_, err := store.Activate(ctx, tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 2, At: time.Now().Add(-time.Second), Accept: true})
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrPast) }},
		{"a price of 31 % more", func() error {
			_, err := store.Activate(ctx, tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 2})
			return err
		}, func(err error) bool {
			return errors.As(err, &dear) && dear.Count == 1 && strings.Contains(err.Error(), "380 from 1.00 to 1.31")
		}},
		{"an import with such a price", func() error {
			_, err := importRate(t, store, "1.31", nil)
			return err
		}, func(err error) bool { return errors.As(err, &dear) }},
		{"the first version back", func() error {
			_, _, err := store.Rollback(ctx, tariff.Retail, "standard", 0)
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrNoneBefore) }},
		{"a draft back", func() error {
			_, _, err := store.Rollback(ctx, tariff.Retail, "standard", 2)
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrNotInForce) }},
		{"no deck back", func() error {
			_, _, err := store.Rollback(ctx, tariff.Trunk, "standard", 0)
			return err
		}, func(err error) bool { return errors.Is(err, tariff.ErrNotFound) }},
	} {
		if err := c.do(); err == nil || !c.is(err) {
			t.Errorf("%s: %v", c.proves, err)
		}
	}
	if after := states(t, store); after != before {
		t.Errorf("%s, and before %s", after, before)
	}
	mustImport(t, store, "1.30", nil) // 30 % is not over 30 %
	mustImport(t, store, "2.00", func(in *tariff.Import) { in.Accept = true })
	if v, err := store.Activate(ctx, tariff.Activation{Kind: tariff.Retail, Name: "standard", Version: 2, Accept: true}); err != nil || v.State != tariff.Active {
		t.Errorf("accepted: %+v, %v", v, err)
	}
}

// TestNoDeckIsHalfActive loads decks while versions of 200 rows are imported, activated and rolled back: each picture has
// all rows of one version.
func TestNoDeckIsHalfActive(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	deck := func(version int) tariff.Import {
		spec := retail(nil)
		var csv strings.Builder
		csv.WriteString("prefix,rate_per_minute\n")
		for prefix := 100; prefix < 300; prefix++ {
			fmt.Fprintf(&csv, "%d,0.%06d\n", prefix, version)
		}
		return tariff.Import{Spec: spec, Rows: tariff.ReadCSV(strings.NewReader(csv.String()), spec), Accept: true}
	}
	if _, err := store.ImportRows(t.Context(), deck(1)); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		defer done()
		for version := 2; version <= 20; version++ {
			in := deck(version)
			in.Draft = version%2 == 0
			v, err := store.ImportRows(t.Context(), in)
			if err == nil && in.Draft {
				_, err = store.Activate(t.Context(), tariff.Activation{Kind: v.Kind, Name: v.Name, Version: v.Number, Accept: true})
			}
			if err == nil && version%3 == 0 {
				_, _, err = store.Rollback(t.Context(), v.Kind, v.Name, 0)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	seen := map[string]bool{}
	for ctx.Err() == nil {
		decks, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		found := map[string]int{}
		for prefix := 100; prefix < 300; prefix++ {
			row, _ := decks.Retail("standard", numberOf(prefix), at)
			found[fmt.Sprintf("%s with the price %v", row.Deck, row.RatePerMinute)]++
		}
		if len(found) != 1 {
			t.Fatalf("a mixed deck: %v", found)
		}
		for deck := range found {
			seen[deck] = true
		}
	}
	changing.Wait()
	if len(seen) < 2 {
		t.Errorf("only %v was seen: the test looks at nothing", seen)
	}
}

func TestImportOfChanges(t *testing.T) {
	db := pgtest.New(t)
	addTrunk(t, db, "T1")
	store := tariff.NewStore(db)
	const plainHead = "prefix,destination,rate_per_minute,effective_from,effective_to\n"
	full := parse(t, carrier(), plainHead+"7,Russia,0.03,,\n7701,Kazakhstan,0.09,,\n7702,Kazakhstan,0.08,,2099-01-01\n7702,Kazakhstan,0.085,2099-01-01,\n998,Uzbekistan,0.07,,\n44,over,1,,2020-01-01\n")
	changes := format(t, letters("date = \"yyyy-mm-dd\"\n[marks]\nvalid = [\"\"]\nclosed = [\"closed\"]\n[columns]\neffective_from = \"C\"\nmark = \"D\"\n"))
	file := "7701;0.095;2090-01-01;\n7702;0.05;;\n998;;2090-01-01;closed\n7747;0.031;;\n"
	importChanges := func(spec tariff.Spec, dry bool) (tariff.Imported, error) {
		closed := new(tariff.Closed)
		return store.ImportRows(t.Context(), tariff.Import{
			Spec: spec, Changes: true, Closed: closed, DryRun: dry,
			Rows: changes.Read(strings.NewReader(file), int64(len(file)), spec, closed),
		})
	}
	if _, err := importChanges(carrier(), false); !errors.Is(err, tariff.ErrNoChanges) {
		t.Errorf("changes of nothing: %v", err)
	}
	if _, err := store.Import(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	dollars := carrier()
	dollars.Currency = "USD"
	if _, err := importChanges(dollars, false); !errors.Is(err, tariff.ErrNoChanges) {
		t.Errorf("changes in another currency: %v", err)
	}
	dry, err := importChanges(carrier(), true)
	if err != nil || dry.Diff.Dearer != 1 || dry.Diff.New != 1 || dry.Diff.Gone != 1 || dry.Diff.Cheaper != 1 {
		t.Errorf("%+v, %v; want one each of dearer, new, gone and cheaper", dry.Diff, err)
	}
	done, err := importChanges(carrier(), false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(store.Rates(t.Context(), done.Version))
	want := []string{
		"7 Russia 0.03 1/1", "7701 Kazakhstan 0.09 1/1 2090-01-01", "7701  0.095 1/1 2090-01-01", "7702  0.05 1/1", "7747  0.031 1/1",
		"998 Uzbekistan 0.07 1/1 2090-01-01",
	}
	if err != nil || !reflect.DeepEqual(got, want) || done.Rows != len(want) {
		t.Errorf("%d rows, %v:\n got %q\nwant %q", done.Rows, err, got, want)
	}
	if n, err := store.Version(t.Context(), tariff.Trunk, "T1", 2); err != nil || n.Rows != len(want) {
		t.Errorf("stored: %+v, %v", n, err)
	}
}

func TestFormatsOfTheStore(t *testing.T) {
	store := tariff.NewStore(pgtest.New(t))
	ctx := t.Context()
	text := letters("# a remark stays\n")
	if f, err := store.AddFormat(ctx, "beta", text); err != nil || f.Name != "beta" || f.Text != text {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := store.AddFormat(ctx, "beta", text); !errors.Is(err, tariff.ErrFormatExists) {
		t.Errorf("twice: %v", err)
	}
	for proves, f := range map[string][2]string{
		"a name with a space": {"a b", text}, "a file that is none": {"gamma", "colour = 1"}, "a file of 100 kB": {"gamma", text + strings.Repeat("#", 100<<10)},
	} {
		if _, err := store.AddFormat(ctx, f[0], f[1]); err == nil {
			t.Errorf("%s was taken", proves)
		}
	}
	if all, err := store.Formats(ctx); err != nil || len(all) != 1 || all[0].Text != text {
		t.Errorf("%+v, %v", all, err)
	}
	if err := store.RemoveFormat(ctx, "beta"); err != nil {
		t.Error(err)
	}
	if err := store.RemoveFormat(ctx, "beta"); !errors.Is(err, tariff.ErrNoFormat) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := store.Format(ctx, "beta"); !errors.Is(err, tariff.ErrNoFormat) {
		t.Errorf("%v", err)
	}
}

package commune_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"telecommune/billing/commune"
	"telecommune/billing/ledger"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
)

func TestReadUses(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const row = "disk,1.5,k1\n"
	for why, tc := range map[string]struct{ file, wrong string }{
		"plain":                    {"asset,quantity,key\n" + row, ""},
		"BOM and CRLF":             {"\ufeffasset,quantity,key\r\ndisk,1.5,k1\r\n", ""},
		"any order, all columns":   {"key,text,day,quantity,enterprise,asset\nk1,\"a, b\",2027-06-30,1.5,HOST,disk\n", ""},
		"an instant":               {"asset,quantity,key,at\ndisk,1.5,k1,2027-06-30T23:30:00Z\n", ""},
		"no rows":                  {"asset,quantity,key\n", ""},
		"nothing":                  {"", "line 1"},
		"a picture":                {"\x89PNG\r\n\x1a\n\x00\x00", "line 1"},
		"column unknown":           {"asset,quantity,key,price\n", `"price"`},
		"column twice":             {"asset,quantity,key,key\n", "key twice"},
		"column missing":           {"asset,quantity\n", "no column key"},
		"day and at":               {"asset,quantity,key,day,at\n", "day and at"},
		"quantity of zero":         {"asset,quantity,key\ndisk,0,k1\n", "line 2"},
		"quantity below zero":      {"asset,quantity,key\n" + row + "disk,-1,k2\n", "line 3"},
		"no quantity":              {"asset,quantity,key\ndisk,,k1\n", "line 2"},
		"quantity with 7 decimals": {"asset,quantity,key\ndisk,1.0000001,k1\n", "line 2"},
		"quantity too large":       {"asset,quantity,key\ndisk,99999999999999,k1\n", "line 2"},
		"not a number":             {"asset,quantity,key\ndisk,1e3,k1\n", "line 2"},
		"no key":                   {"asset,quantity,key\n" + row + row + "disk,1,\n", "line 4"},
		"key too long":             {"asset,quantity,key\ndisk,1," + strings.Repeat("k", 201) + "\n", "line 2"},
		"text not UTF-8":           {"asset,quantity,key,text\ndisk,1,k1,\xff\n", "line 2"},
		"text with NUL":            {"asset,quantity,key,text\ndisk,1,k1,a\x00b\n", "line 2"},
		"asset that can't be":      {"asset,quantity,key\n../disk,1,k1\n", "line 2"},
		"day that there is not":    {"asset,quantity,key,day\ndisk,1,k1,2027-02-29\n", "line 2"},
		"instant without zone":     {"asset,quantity,key,at\ndisk,1,k1,2027-06-30T23:30:00\n", "line 2"},
		"too few fields":           {"asset,quantity,key\n\n" + row + "disk,1\n", "line 4"},
		"a quote that never ends":  {"asset,quantity,key\n" + row + "\"disk,1,k1\n", "line 3"},
		"line after lines in text": {"asset,quantity,key,text\ndisk,1,k1,\"\"\n\n\ndisk,0,k2,\n", "line 5"},
		"too many":                 {"asset,quantity,key\n" + strings.Repeat(row, commune.MaxUses+1), "line 100002"},
		"too long":                 {"asset,quantity,key\n\"" + strings.Repeat("x", 40<<20), "32 MB"},
	} {
		rows, err := commune.ReadUses(strings.NewReader(tc.file), zone)
		switch {
		case tc.wrong == "" && (err != nil || len(rows) > 1):
			t.Errorf("%s: %v, %v", why, rows, err)
		case tc.wrong != "" && (!errors.Is(err, commune.ErrUses) || !strings.Contains(err.Error(), tc.wrong) || rows != nil):
			t.Errorf("%s: %v, want %s", why, err, tc.wrong)
		case why == "an instant" && rows[0].Day != "2027-07-01":
			t.Errorf("half past eleven in London is %s in Berlin", rows[0].Day)
		case why == "any order, all columns" && rows[0] != commune.Reported{Line: 2, Key: "k1", Day: "2027-06-30", Asset: "disk", Enterprise: "HOST", Quantity: 1_500_000, Text: "a, b"}:
			t.Errorf("%+v", rows[0])
		}
	}
}

func FuzzReadUses(f *testing.F) {
	f.Add("asset,quantity,key,day,text,enterprise\ndisk,1.5,k1,2027-06-30,t,HOST\n")
	f.Fuzz(func(t *testing.T, file string) {
		rows, err := commune.ReadUses(strings.NewReader(file), time.UTC)
		for _, r := range rows {
			if r.Quantity <= 0 || r.Key == "" || r.Line < 2 || err != nil {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	})
}

// hosted makes a commune with a disk and a press that HOST rents from the 10th of June on, and a trunk that CALL rents.
func hosted(t *testing.T, db *sqlx.DB) *commune.Store {
	t.Helper()
	s := settled(t, db)
	n := 0
	act := func() commune.Act {
		n++
		return commune.Act{Key: fmt.Sprint("host:", n), Actor: "test", At: june, Date: "2027-06-10"}
	}
	err := s.Do(t.Context(), func(c *commune.Commune) error {
		errs := []error{c.AddEnterprise(t.Context(), act(), "HOST", "Hosting")}
		for asset, meter := range map[string]commune.Meter{"disk": commune.Quantity, "press": commune.Seconds, "desk": commune.None} {
			errs = append(errs, c.AcceptGift(t.Context(), act(), commune.Gift{
				Value: 10 * money.Unit, Thing: commune.Thing{Asset: asset, Kind: "thing", Life: 10, Meter: meter},
				Agreement: &commune.Offered{Code: "R" + asset, Lessee: commune.Lessee{Enterprise: "HOST"}, Terms: commune.Terms{Rate: 600_000}},
			}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`INSERT INTO trunk (code, carrier, address, asset) VALUES ('t', 'c', '192.0.2.1:5060', 'A')`)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReportAll: all or nothing, each once by its key, also when the month is closed already.
func TestReportAll(t *testing.T) {
	db := pgtest.New(t)
	s := hosted(t, db)
	report := func(at time.Time, rows ...commune.Reported) (came []commune.Metered, err error) {
		for i := range rows {
			rows[i].Line = i + 2
		}
		err = s.Do(t.Context(), func(c *commune.Commune) error {
			came, err = c.ReportAll(t.Context(), commune.Act{Actor: "test", At: at}, rows, nil)
			return err
		})
		return came, err
	}
	metered := func() (sum int) {
		if err := db.Get(&sum, `SELECT COALESCE(sum(units), 0)::bigint FROM asset_usage WHERE asset <> 'A'`); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	good := func() []commune.Reported {
		return []commune.Reported{
			{Key: "u1", Day: "2027-06-11", Asset: "disk", Enterprise: "HOST", Quantity: 1_500_000, Text: "GB"},
			{Key: "u2", Day: "2027-06-12", Asset: "press", Quantity: 90 * money.Unit},
			{Key: "u3", Day: "2027-07-12", Asset: "disk", Quantity: 1_000_000}, // the month before waits for its close
		}
	}
	for why, tc := range map[string]struct {
		bad  commune.Reported
		want error
	}{
		"nothing of that name":    {commune.Reported{Asset: "dish", Quantity: 1}, commune.ErrUnknown},
		"no meter":                {commune.Reported{Asset: "desk", Quantity: 1}, commune.ErrState},
		"a trunk":                 {commune.Reported{Asset: "A", Quantity: money.Unit}, commune.ErrState},
		"half a second":           {commune.Reported{Asset: "press", Quantity: money.Unit / 2}, commune.ErrAmount},
		"nothing used":            {commune.Reported{Asset: "disk"}, commune.ErrAmount},
		"another's":               {commune.Reported{Asset: "disk", Enterprise: "CALL", Quantity: 1}, commune.ErrNotLet},
		"before it was let":       {commune.Reported{Asset: "disk", Quantity: 1, Day: "2027-06-09"}, commune.ErrNotLet},
		"the key of another":      {commune.Reported{Key: "u1", Asset: "disk", Enterprise: "HOST", Quantity: 1_500_001, Text: "GB", Day: "2027-06-11"}, commune.ErrConflict},
		"the key on another day":  {commune.Reported{Key: "u1", Asset: "disk", Enterprise: "HOST", Quantity: 1_500_000, Text: "GB", Day: "2027-06-12"}, commune.ErrConflict},
		"the key of another deed": {commune.Reported{Key: "host:1", Asset: "disk", Quantity: 1}, commune.ErrConflict},
	} {
		if tc.bad.Key == "" {
			tc.bad.Key = "bad"
		}
		if tc.bad.Day == "" {
			tc.bad.Day = "2027-06-15"
		}
		if _, err := report(june, append(good(), tc.bad)...); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "line 5") {
			t.Errorf("%s: %v, want %v", why, err, tc.want)
		}
	}
	if metered() != 0 {
		t.Error("a file that was refused left something behind")
	}
	came, err := report(june, good()...)
	if err != nil || fmt.Sprint(came) != "[{disk quantity 2500000 2 0} {press seconds 90 1 0}]" {
		t.Errorf("%v, %v", came, err)
	}
	const all = 1_500_000 + 90 + 1_000_000
	again, err := report(june, append(good(), good()...)...)
	if err != nil || fmt.Sprint(again) != "[{disk quantity 0 0 4} {press seconds 0 0 2}]" || metered() != all {
		t.Errorf("again: %v, %v, %d metered", again, err, metered())
	}
	if _, err := s.Close(t.Context(), closeJune); err != nil {
		t.Fatal(err)
	}
	if late, err := report(closeJune.Now, good()...); err != nil || late[0].Reported != 0 || metered() != all {
		t.Errorf("after the close: %v, %v", late, err)
	}
	_, err = report(closeJune.Now, commune.Reported{Key: "late", Asset: "disk", Quantity: 1, Day: "2027-06-30"})
	if !errors.Is(err, ledger.ErrPeriodClosed) {
		t.Errorf("a new report of a closed month: %v", err)
	}
	rents, err := s.Rents(t.Context(), "Rdisk")
	if err != nil || len(rents) != 1 || rents[0].Units != 1_500_000 || rents[0].Amount != 900_000 {
		t.Errorf("rent of the disk: %+v, %v", rents, err)
	}
}

// TestReportMany: a file of the longest is stored at once, and twice is once.
func TestReportMany(t *testing.T) {
	db := pgtest.New(t)
	s := hosted(t, db)
	rows := make([]commune.Reported, 3*1000+1)
	for i := range rows {
		rows[i] = commune.Reported{Line: i + 2, Key: fmt.Sprint("u", i%3000), Day: "2027-06-11", Asset: "disk", Quantity: money.Amount(1 + i%3000)}
	}
	for _, want := range []string{"[{disk quantity 4501500 3000 1}]", "[{disk quantity 0 0 3001}]"} {
		told := 0
		err := s.Do(t.Context(), func(c *commune.Commune) error {
			came, err := c.ReportAll(t.Context(), commune.Act{Actor: "test", At: june}, rows, func(int) { told++ })
			if fmt.Sprint(came) != want || told != 4 {
				t.Errorf("%v, want %s; told %d times", came, want, told)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

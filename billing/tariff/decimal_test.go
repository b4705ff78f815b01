package tariff

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

func TestSheetNumber(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"0", "0"},
		{"380", "380"},
		{"0.0125", "0.0125"},
		{"1.25E-2", "0.0125"},
		{"1.2500000000000001E-2", "0.0125"},
		{"1.2499999999999999E-2", "0.0125"},
		{"0.30000000000000004", "0.3"},
		{"9.9999999999999995E-7", "0.000001"},
		{"99999999999999999", "100000000000000000"},
		{"1e+3", "1000"},
		{"3.8044E4", "38044"},
		{"-1.5", "-1.5"},
		{"-0", "0"},
		{".5", "0.5"},
		{"5.", "5"},
		{"0.1234567", "0.1234567"},
		{"100", "100"},
		{"1E2", "100"},
		{"", ""},
		{".", ""},
		{"e5", ""},
		{"NaN", ""},
		{"Infinity", ""},
		{"1e999", ""},
		{"1e-999", ""},
		{"1,5", ""},
		{"0x10", ""},
		{"1_000", ""},
		{"+1", ""},
		{"１", ""},
	} {
		got, err := sheetNumber(c.raw)
		if got != c.want || (err == nil) == (c.want == "") {
			t.Errorf("%q: %q, %v; want %q", c.raw, got, err, c.want)
		}
	}
}

// TestSheetNumberIsWhatWasTyped writes decimals of up to six places as a spreadsheet does, by the nearest binary fraction
// with 17 digits.
func TestSheetNumberIsWhatWasTyped(t *testing.T) {
	n, random := 20_000, rand.New(rand.NewPCG(1, 2))
	if os.Getenv("TELECOMMUNE_LONG") != "" {
		n = 1_000_000
	}
	for range n {
		typed := fmt.Sprintf("%d.%06d", random.IntN(10_000), random.IntN(1_000_000))
		f, err := strconv.ParseFloat(typed, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []byte{'g', 'e', 'f'} {
			raw := strconv.FormatFloat(f, format, 17, 64)
			if format == 'e' {
				raw = strconv.FormatFloat(f, format, 16, 64)
			}
			got, err := sheetNumber(raw)
			want := strconv.FormatFloat(f, 'f', -1, 64)
			if err != nil || got != want {
				t.Fatalf("%s, written as %s, is read as %q, %v; want %s", typed, raw, got, err, want)
			}
		}
	}
}

func FuzzSheetNumber(f *testing.F) {
	for _, s := range []string{"1.2500000000000001E-2", "-0.5", "99999999999999999", "1e-40", ".", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := sheetNumber(raw)
		if err != nil {
			return
		}
		again, err := sheetNumber(got)
		if err != nil && len(got) <= maxNumber || err == nil && again != got {
			t.Fatalf("%q is %q, and that %q, %v", raw, got, again, err)
		}
	})
}

func FuzzCodes(f *testing.F) {
	f.Add("+61", "38,39", true)
	f.Add("", "4420-4429", false)
	f.Fuzz(func(t *testing.T, country, cell string, first bool) {
		codes := Codes{Separator: ",", Range: "-", CountryFirst: first, Plus: "+"}
		all, err := codes.expand(country, cell)
		if err != nil {
			return
		}
		if len(all) == 0 || len(all) > maxCodes {
			t.Fatalf("%q %q: %d codes", country, cell, len(all))
		}
	})
}

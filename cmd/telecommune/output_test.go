package main

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"telecommune/internal/money"
)

type place struct {
	City string `json:"city"`
}

type rowOfAll struct {
	place
	Name    string       `json:"name"`
	Price   money.Amount `json:"price"`
	Calls   int          `json:"calls"`
	At      time.Time    `json:"at"`
	Ended   *time.Time   `json:"ended"`
	Address netip.Prefix `json:"address,omitzero"`
	Secret  string       `json:"-"`
	Tags    []string     `json:"tags"`
}

func written(t *testing.T, format string, write func(*cobra.Command) error) string {
	t.Helper()
	cmd := &cobra.Command{Use: "x"}
	addOutputFlag(cmd.Flags())
	if err := cmd.Flags().Set("output", format); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.SetOut(&out)
	if err := write(cmd); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestOutput(t *testing.T) {
	at := time.Date(2027, 6, 30, 18, 0, 0, 0, time.FixedZone("", 7200))
	rows := []rowOfAll{
		{place{"Kyiv"}, "Oksana", 1_234_500_000, 3, at, &at, netip.MustParsePrefix("192.0.2.0/28"), "secret", []string{"a"}},
		{place{"Łódź"}, "a \"b\", c\x1b[2J", -5_000, 12, at, nil, netip.Prefix{}, "", nil},
	}
	for what, tt := range map[string]struct {
		format string
		write  func(*cobra.Command) error
		want   string
	}{
		"table: figures to the right, nothing a terminal would act on": {
			formatTable, func(c *cobra.Command) error { return list(c, rows, "name", "city", "price", "calls") },
			"" +
				"CITY  NAME            PRICE  CALLS\n" +
				"Kyiv  Oksana        1234.50      3\n" +
				"Łódź  a \"b\", c·[2J   -0.005     12\n",
		},
		"table of nothing": {
			formatTable, func(c *cobra.Command) error { return list(c, []rowOfAll{}, "name", "price") },
			"NAME  PRICE\n",
		},
		"names and values, those left out that JSON leaves out": {
			formatTable, func(c *cobra.Command) error { return show(c, rows[1]) },
			"" +
				"city   Łódź\n" +
				"name   a \"b\", c·[2J\n" +
				"price  -0.005\n" +
				"calls  12\n" +
				"at     2027-06-30T16:00:00Z\n" +
				"ended\n",
		},
		"csv": {
			formatCSV, func(c *cobra.Command) error { return list(c, rows, "name") },
			"" +
				"city,name,price,calls,at,ended,address\n" +
				"Kyiv,Oksana,1234.50,3,2027-06-30T16:00:00Z,2027-06-30T16:00:00Z,192.0.2.0/28\n" +
				"Łódź,\"a \"\"b\"\", c\x1b[2J\",-0.005,12,2027-06-30T16:00:00Z,,\n",
		},
		"csv of one": {
			formatCSV, func(c *cobra.Command) error { return show(c, place{"Kyiv"}) },
			"city\nKyiv\n",
		},
		"json of nothing is an array": {
			formatJSON, func(c *cobra.Command) error { return list[rowOfAll](c, nil) },
			"[]\n",
		},
		"json of one": {
			formatJSON, func(c *cobra.Command) error { return show(c, place{"<Kyiv>"}) },
			"{\n  \"city\": \"<Kyiv>\"\n}\n",
		},
	} {
		if got := written(t, tt.format, tt.write); got != tt.want {
			t.Errorf("%s:\n%s\nwant:\n%s", what, got, tt.want)
		}
	}
}

package routing

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"telecommune/internal/e164"
	"telecommune/internal/money"
)

// By default only numbers of ordinary subscribers are called.
func TestDeniedByDefault(t *testing.T) {
	barring := NewBarring(Limits{MaxRate: DefaultMaxRate}, nil)
	for number, want := range map[e164.Number]struct {
		denial  Denial
		country string
	}{
		"+380441234567":    {"", "UA"},
		"+4930123456":      {"", "DE"},
		"+4915112345678":   {"", "DE"},
		"+4932112345678":   {"", "DE"}, // VoIP
		"+12125551234":     {"", "US"}, // fixed or mobile: nobody can tell
		"+18765551234":     {"", "JM"}, // behind the code of the United States
		"+77012345678":     {"", "KZ"}, // behind Russia's
		"+18005551234":     {"", "US"}, // freephone of a country
		"+499001234567":    {Premium, "DE"},
		"+19005551234":     {Premium, "US"},
		"+449011234567":    {Premium, "GB"},
		"+491805123456":    {SharedCost, "DE"},
		"+491371234567":    {SharedCost, "DE"},
		"+447011234567":    {Personal, "GB"},
		"+4970012345678":   {Personal, "DE"},
		"+80012345678":     {SharedCost, ""},
		"+80812345678":     {SharedCost, ""},
		"+870773111234":    {Satellite, ""},
		"+878101234567890": {Personal, ""},
		"+881631234567":    {Satellite, ""},
		"+88213123456":     {Satellite, ""},
		"+8835100012345":   {Satellite, ""},
		"+88810123456":     {Unallocated, ""},
		"+979123456789":    {Premium, ""},
		"+99912345678":     {Unallocated, ""},
		"+210123456":       {Unallocated, ""},
		"+49999123456":     {Unallocated, "DE"},
		"+4930":            {Unallocated, "DE"},
		"+49112":           {Emergency, "DE"},
		"+1911":            {Emergency, ""}, // of a country, whichever
		"+44999":           {Emergency, "GB"},
		"+61000":           {Emergency, "AU"},
		"+49115":           {Short, "DE"},
		"+4911833":         {Short, "DE"},
		"":                 {Unallocated, ""},
	} {
		if got := barring.Denies(number, 0); got != want.denial {
			t.Errorf("%s is denied for %q, want %q", number, got, want.denial)
		}
		if got := CountryOf(number); got != want.country && number != "+1911" {
			t.Errorf("%s is of %q, want %q", number, got, want.country)
		}
	}
}

func TestOwnRules(t *testing.T) {
	six := 6 * money.Unit
	barring := NewBarring(Limits{MaxRate: 500_000, Countries: Countries{"DE", "UA"}}, []Rule{
		{Prefix: "870", Action: Allow, MaxRate: &six},
		{Prefix: "49", Action: Allow},
		{Prefix: "4918", Action: Block},
		{Prefix: "491805", Action: Allow},
		{Prefix: "380", Action: Block},
		{Prefix: "38044", Action: Allow},
	})
	for _, tc := range []struct {
		why       string
		number    e164.Number
		perMinute money.Amount
		want      Denial
	}{
		{"a rule lets what is denied by default", "+499001234567", 0, ""},
		{"and what no numbering plan knows", "+49999123456", 0, ""},
		{"and short numbers", "+49115", 0, ""},
		{"but no emergency number", "+49112", 0, Emergency},
		{"a longer rule blocks", "+491801123456", 0, OwnRule},
		{"a still longer one lets", "+491805123456", 0, ""},
		{"a rule blocks what is allowed by default", "+380501234567", 0, OwnRule},
		{"except for the city", "+380441234567", 0, ""},
		{"the cap holds where a rule lets", "+380441234567", 500_001, TooDear},
		{"up to the cap", "+380441234567", 500_000, ""},
		{"a rule with a cap of its own", "+870773111234", 6 * money.Unit, ""},
		{"which holds too", "+870773111234", 6*money.Unit + 1, TooDear},
		{"a country that is not named", "+436641234567", 0, Foreign},
		{"kind comes before country", "+19005551234", 0, Premium},
		{"country comes before price", "+436641234567", money.Unit, Foreign},
	} {
		if got := barring.Denies(tc.number, tc.perMinute); got != tc.want {
			t.Errorf("%s: %s at %s is denied for %q, want %q", tc.why, tc.number, tc.perMinute, got, tc.want)
		}
	}
}

// The rule that counts is the longest one whose prefix the number has, found the plain way.
func TestLongestRuleCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[1-3]{4,8}`)
		own := map[string]Rule{}
		var list []Rule
		for _, prefix := range rapid.SliceOf(rapid.StringMatching(`[1-3]{1,8}`)).Draw(t, "prefixes") {
			if _, twice := own[prefix]; !twice {
				own[prefix] = Rule{Prefix: prefix, Action: Block}
				list = append(list, own[prefix])
			}
		}
		number := e164.Number("+" + digits.Draw(t, "number"))
		longest := ""
		for _, r := range list {
			if n := len(r.Prefix); n > len(longest) && n < len(number) && string(number[1:1+n]) == r.Prefix {
				longest = r.Prefix
			}
		}
		got, ruled := NewBarring(Limits{}, list).of(number)
		if got.Prefix != longest || ruled != (longest != "") {
			t.Fatalf("%s has rule %q of %v, want %q", number, got.Prefix, list, longest)
		}
	})
}

func TestParseRules(t *testing.T) {
	for in, want := range map[string]string{
		"4918": "4918", "+4918": "4918", "1": "1", "": "", "+": "", "0": "", "049": "", "49x": "", "++49": "",
		"1234567890123456": "", "٤٩": "",
	} {
		if got, err := ParsePrefix(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParsePrefix(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]Countries{
		"DE": {"DE"}, "ua,de, UA": {"DE", "UA"}, "all": {}, "": nil, "XX": nil, "DE,": nil, "Germany": nil, "001": nil,
	} {
		got, err := ParseCountries(in)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("ParseCountries(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

// BenchmarkDenies is what the decision adds to each call.
func BenchmarkDenies(b *testing.B) {
	barring := NewBarring(Limits{MaxRate: DefaultMaxRate}, []Rule{{Prefix: "25270", Action: Block}})
	b.ReportAllocs()
	for b.Loop() {
		if barring.Denies("+380441234567", 10_000) != "" {
			b.Fatal("denied")
		}
	}
}

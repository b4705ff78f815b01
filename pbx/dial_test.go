package pbx

import (
	"errors"
	"strings"
	"testing"

	"telecommune/internal/e164"
	"telecommune/routing"
)

func TestDialled(t *testing.T) {
	for _, tc := range []struct {
		why, country, dialled string
		want                  e164.Number // none: refused
	}{
		{"international with 00", "DE", "00380441234567", "+380441234567"},
		{"international with plus, from a softphone", "DE", "+380441234567", "+380441234567"},
		{"00 works in countries that dial 011", "US", "00442071838750", "+442071838750"},
		{"a foreign range that no numbering plan knows yet", "DE", "0049999123456", "+49999123456"},
		{"fifteen digits", "DE", "+881234567890123", "+881234567890123"},
		{"Germany, national", "DE", "030123456", "+4930123456"},
		{"Germany, with the country code and no prefix", "DE", "4930123456", "+4930123456"},
		{"Ukraine, national", "UA", "0441234567", "+380441234567"},
		{"Italy keeps its zero", "IT", "0612345678", "+390612345678"},
		{"France, national", "FR", "0123456789", "+33123456789"},
		{"Hungary's trunk prefix is 06", "HU", "06301234567", "+36301234567"},
		{"Russia's trunk prefix is 8", "RU", "84951234567", "+74951234567"},
		{"Russia, international", "RU", "810442071838750", "+442071838750"},
		{"America, ten digits", "US", "2125551234", "+12125551234"},
		{"America, with the 1", "US", "12125551234", "+12125551234"},
		{"America, international", "US", "011442071838750", "+442071838750"},
		{"Britain, national", "GB", "02071838750", "+442071838750"},
		{"Australia, national", "AU", "0291234567", "+61291234567"},
		{"Australia, international", "AU", "0011442071838750", "+442071838750"},
		{"Brazil, with a carrier's code", "BR", "01511912345678", "+5511912345678"},

		{"emergency, Europe", "DE", "112", ""},
		{"emergency, Germany", "DE", "110", ""},
		{"emergency, America", "US", "911", ""},
		{"emergency, Britain", "GB", "999", ""},
		{"emergency, Australia", "AU", "000", ""},
		{"emergency behind 00", "DE", "00112", ""},
		{"a local number without its area", "US", "5551234", ""},
		{"a local number without its area", "DE", "123456", ""},
		{"nothing", "DE", "", ""},
		{"a plus alone", "DE", "+", ""},
		{"zeros", "DE", "000000000000", ""},
		{"no country has a code with 0", "DE", "+0441234567", ""},
		{"a plus is no trunk prefix", "DE", "+030123456", ""},
		{"two plus", "DE", "++380441234567", ""},
		{"too long", "DE", "0038044123456789012", ""},
		{"far too long", "DE", strings.Repeat("1", 10_000), ""},
		{"sixteen digits", "DE", "+1234567890123456", ""},
		{"an unknown country", "ZZ", "030123456", ""},
		{"no country", "", "030123456", ""},
		{"a parameter", "DE", "030123456;phone-context=+1", ""},
		{"a parameter", "DE", "+49301234;tgrp=x", ""},
		{"a host", "DE", "+4930123456@evil.example", ""},
		{"a list of channels", "DE", "030123456&SIP/x", ""},
		{"letters", "US", "1800FLOWERS", ""},
		{"keys of a telephone that are no digits", "DE", "*21*0301234", ""},
		{"a hash inside", "DE", "03012#3456", ""},
		{"DTMF letters", "DE", "0301234A", ""},
		{"digits of another script", "DE", "٠٣٠١٢٣٤٥٦", ""},
		{"spaces", "DE", "030 123456", ""},
		{"a line break and a zero byte", "DE", "030123\r\n\x00", ""},
	} {
		got, err := Dialled(tc.dialled, tc.country)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %.40q in %s = %q, %v; want %q", tc.why, tc.dialled, tc.country, got, err, tc.want)
		}
		if err != nil && (!errors.Is(err, ErrDialled) || len(err.Error()) > 120) {
			t.Errorf("%s: error %v, want a short ErrDialled", tc.why, err)
		}
	}
}

// What is a short number where it is dialled says so, for a prompt of its own.
func TestDialledShort(t *testing.T) {
	for _, tc := range []struct {
		why, country, dialled string
		want                  routing.Denial
	}{
		{"emergency, Europe", "DE", "112", routing.Emergency},
		{"emergency, Germany", "DE", "110", routing.Emergency},
		{"emergency, France", "FR", "15", routing.Emergency},
		{"emergency, Ukraine", "UA", "103", routing.Emergency},
		{"emergency, Australia", "AU", "000", routing.Emergency},
		{"emergency of another country: a traveller in distress", "DE", "911", routing.Emergency},
		{"emergency of another country", "US", "999", routing.Emergency},
		{"directory", "DE", "11833", routing.Short},
		{"public authorities", "DE", "115", routing.Short},
		{"America's directory", "US", "411", routing.Short},
		{"too short, and nothing", "DE", "030", ""},
		{"a local number", "DE", "123456", ""},
	} {
		_, err := Dialled(tc.dialled, tc.country)
		var short denied
		errors.As(err, &short)
		if !errors.Is(err, ErrDialled) || routing.Denial(short) != tc.want {
			t.Errorf("%s: %s in %s: %v, want %q", tc.why, tc.dialled, tc.country, err, tc.want)
		}
	}
}

func FuzzDialled(f *testing.F) {
	for _, s := range []string{"00380441234567", "+4930123456", "0011442071838750", "112", "*21#", "1;x@y&z", "٠٣٠"} {
		f.Add(s, "DE")
		f.Add(s, "AU")
	}
	f.Fuzz(func(t *testing.T, s, country string) {
		n, err := Dialled(s, country)
		if err != nil {
			if n != "" || !errors.Is(err, ErrDialled) {
				t.Fatalf("Dialled(%q, %q) = %q, %v", s, country, n, err)
			}
			return
		}
		if again, err := e164.FromDigits(n.Digits()); err != nil || again != n {
			t.Fatalf("Dialled(%q, %q) = %q, which is no number", s, country, n)
		}
	})
}

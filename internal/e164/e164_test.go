package e164

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]Number{
		"+380441234567":                      "+380441234567",
		"00380441234567":                     "+380441234567",
		"+49 (30) 123-456":                   "+4930123456",
		"+123456789012345":                   "+123456789012345",
		"+1234567890123456":                  "", // 16 digits
		"380441234567":                       "", // neither + nor 00: a national number, or nobody knows
		"+0441234567":                        "", // no country code begins with 0
		"+12":                                "",
		"+":                                  "",
		"":                                   "",
		"+4930123456;phone":                  "",
		"+4930@example":                      "",
		"+49&30":                             "",
		"+49301234\x0056":                    "",
		"+4930123456\r\nVia:":                "",
		"+٤٩٣٠١٢٣٤":                          "",
		"+" + strings.Repeat("1", 1_000_000): "",
	} {
		got, err := Parse(in)
		if got != want || (want == "") != errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%.40q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

package pbx_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"telecommune/pbx"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Ann":                          "Ann",
		"a\x00b\r\nc\x1b[31m":          "abc[31m",
		"<script>alert(1)</script>":    "<script>alert(1)</script>", // escaped where it is shown
		"\xff\xfe":                     "",
		strings.Repeat("x", 10_000):    strings.Repeat("x", pbx.MaxForeign),
		strings.Repeat("é", 40):        strings.Repeat("é", pbx.MaxForeign/2),
		strings.Repeat("\x00", 10_000): "",
	} {
		if got := pbx.Printable(in); got != want || len(got) > pbx.MaxForeign || !utf8.ValidString(got) {
			t.Errorf("%.20q: got %q", in, got)
		}
	}
}

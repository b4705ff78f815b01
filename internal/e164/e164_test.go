package e164

import (
	"errors"
	"strings"
	"testing"
)

// Each number that can't be gets one answer, which says what is wrong with it.
func TestParse(t *testing.T) {
	for in, want := range map[string]struct {
		number Number
		err    error
	}{
		"+380441234567":      {number: "+380441234567"},
		"00380441234567":     {number: "+380441234567"},
		"+49 (30) 123-456":   {number: "+4930123456"},
		"+123456789012345":   {number: "+123456789012345"},
		"+1234567890123456":  {err: errLong}, // 16 digits
		"001234567890123456": {err: errLong},
		"+1 234 567 890 123 456 789 012 345 678 901": {err: errLong},
		"+" + strings.Repeat("1", 1_000_000):         {err: errLong},
		"380441234567":                               {err: errNoPlus}, // a national number, or nobody knows
		"0441234567":                                 {err: errNoPlus},
		"+0441234567":                                {err: errZero},
		"000441234567":                               {err: errZero},
		"+00380441234567":                            {err: errZero},
		"+12":                                        {err: errShort},
		"+":                                          {err: errEmpty},
		"00":                                         {err: errEmpty},
		"":                                           {err: errNoPlus},
		"++380441234567":                             {err: errPlus},
		"+380+441234567":                             {err: errPlus},
		"00+380441234567":                            {err: errPlus},
		"+1800FLOWERS":                               {err: errLetters},
		"+49301234567x12":                            {err: errLetters},
		"+49301234é":                                 {err: errLetters},
		"+4930123456;phone":                          {err: errStrange},
		"+4930@example":                              {err: errStrange},
		"+49&30":                                     {err: errStrange},
		"+4930*1#":                                   {err: errStrange},
		"+49301234\x0056":                            {err: errStrange},
		"+4930123456\r\nVia:":                        {err: errStrange},
		"+49301234\xff\xfe":                          {err: errStrange},
		"+٤٩٣٠١٢٣٤":                                  {err: errScript},
		"+４９３０１２３４":                                  {err: errScript}, // full width
		"+4930१२३४":                                  {err: errScript},
	} {
		got, err := Parse(in)
		if got != want.number || !errors.Is(err, want.err) {
			t.Errorf("Parse(%.40q) = %q, %v; want %q, %v", in, got, err, want.number, want.err)
		}
		if err != nil && (!errors.Is(err, ErrSyntax) || len(err.Error()) > 300 || strings.ContainsAny(err.Error(), "\r\n\x00")) {
			t.Errorf("Parse(%.40q): error %q, want one short line of ErrSyntax", in, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"+380441234567", "0049 30/123-456", "++49", "+٤٩٣٠", "+1800FLOWERS", "+\xff", "000000", "+1234567890123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if n != "" || !errors.Is(err, ErrSyntax) || len(err.Error()) > 500 {
				t.Fatalf("Parse(%q) = %q, %v", s, n, err)
			}
			return
		}
		if again, err := Parse(n.String()); err != nil || again != n || len(n) < 5 || len(n) > 1+MaxDigits || n[0] != '+' || n[1] == '0' {
			t.Fatalf("Parse(%q) = %q, which is no number: %v", s, n, err)
		}
	})
}

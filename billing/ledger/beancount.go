package ledger

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"telecommune/internal/money"
)

// beancount writes a file that `bean-check` takes, with tolerance zero.
type beancount struct{ *bufio.Writer }

// beancountName spells an account as beancount wants it: parts of letters, digits and dashes, each beginning with a
// capital or a digit. A dash and a capital stand for what else we have, and X- stands before a part that would begin
// otherwise:
//
//   - -D      _  -U      .  -P      /  -S      anna  X-anna      _a  X--Ua
//
// It can be turned back: after X only this mark is a dash followed by a small letter or another dash.
func beancountName(book, account string) string {
	code, sub, _ := strings.Cut(account, ":")
	name := string(TypeOf(account)) + ":" + beancountPart(book) + ":" + code
	if sub != "" {
		name += ":" + beancountPart(sub)
	}
	return name
}

var beancountEscapes = strings.NewReplacer("-", "-D", "_", "-U", ".", "-P", "/", "-S")

func beancountPart(s string) string {
	s = beancountEscapes.Replace(s)
	if first := s[0]; first >= 'A' && first <= 'Z' || first >= '0' && first <= '9' {
		return s
	}
	return "X-" + s
}

// beancountText is a string between quotes.
func beancountText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(escape(s, "")) + `"`
}

// beancountAmount always has six decimals: reports of beancount round to what most amounts of a currency have.
func beancountAmount(a money.Amount) string {
	s := a.String()
	return s + strings.Repeat("0", 6-len(s[strings.IndexByte(s, '.')+1:]))
}

func (b beancount) header(accounts []exported) {
	b.WriteString("; Books of telecommune. Names are Type:BOOK:CODE:SUB. In BOOK and SUB -D is a dash, -U an underscore, -P a\n" +
		"; point, -S a slash, and X- stands before what begins with none of A to Z and 0 to 9.\n\n")
	for _, c := range currenciesOf(accounts) {
		fmt.Fprintf(b, "option \"operating_currency\" %q\n", string(c))
	}
	b.WriteString("option \"inferred_tolerance_default\" \"*:0\"\noption \"inferred_tolerance_multiplier\" \"0\"\n\n")
	for _, a := range accounts {
		fmt.Fprintf(b, "%s open %s %s\n", a.First, beancountName(a.Book, a.Account), a.Currency)
		if name := NameOf(a.Book, a.Account); name != "" {
			b.WriteString("  name: " + beancountText(name) + "\n")
		}
	}
}

func (b beancount) entry(p Posted, currencies map[string]money.Currency) {
	fmt.Fprintf(b, "\n%s * %s\n  key: %s\n  id: \"%s\"\n  kind: \"%s\"\n  at: \"%s\"\n  actor: %s\n", p.Date, beancountText(p.Text),
		beancountText(p.Key), p.ID, p.Kind, instantOf(p.At), beancountText(p.Actor))
	if p.Reverses != nil {
		fmt.Fprintf(b, "  reverses: \"%s\"\n", p.Reverses)
	}
	for _, l := range p.Lines {
		fmt.Fprintf(b, "  %s  %s %s\n", beancountName(l.Book, l.Account), beancountAmount(l.Amount), currencies[l.Book])
	}
}

// An assertion of beancount counts at the start of its day, so these bear the day after the last entry. It is of the
// account and all below it.
func (b beancount) footer(accounts []exported, last Date) {
	day, err := time.Parse(time.DateOnly, string(last))
	if err != nil {
		panic("a date of the books is none: " + err.Error()) // Date.Scan writes no other
	}
	b.WriteString("\n")
	for i, a := range accounts {
		balance, err := a.Balance, error(nil)
		for _, below := range accounts[i+1:] { // which come next in their order
			if below.Book != a.Book || !strings.HasPrefix(below.Account, a.Account+":") || err != nil {
				break
			}
			balance, err = balance.Add(below.Balance)
		}
		if err != nil {
			continue // a sum that does not fit; those below it are asserted one by one
		}
		fmt.Fprintf(b, "%s balance %s  %s ~ 0 %s\n", day.AddDate(0, 0, 1).Format(time.DateOnly),
			beancountName(a.Book, a.Account), beancountAmount(balance), a.Currency)
	}
}

package tariff

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"telecommune/internal/money"
)

// Format says how a carrier writes its decks, so that they become rows of the plain format. Whatever could be read in two
// ways is declared in it, and nothing is guessed. It is written as a TOML file, which carriers' customers can share.
type Format struct {
	File       string         `toml:"file"`         // csv or xlsx
	Encoding   string         `toml:"encoding"`     // of csv: utf-8, utf-16, windows-1252 or iso-8859-1
	Delimiter  string         `toml:"delimiter"`    // of csv: one character, or tab
	Sheet      string         `toml:"sheet"`        // of xlsx: its name; needed when there is more than one
	Skip       int            `toml:"skip"`         // lines before the header, or before the first row
	Header     bool           `toml:"header"`       // a row names the columns; else they are letters, A to ZZ
	EndAtBlank bool           `toml:"end_at_blank"` // the deck ends with the first blank line; else those are passed over
	Currency   money.Currency `toml:"currency"`     // of the prices; empty: as the import says
	Decimal    string         `toml:"decimal"`      // . or ,
	Thousands  string         `toml:"thousands"`    // . , ' or a space; empty: none
	Per        string         `toml:"per"`          // what the rate is for: minute or second
	Round      money.Mode     `toml:"round"`        // up or half_up, for prices with more than six decimals; empty: refuse them
	Date       string         `toml:"date"`         // dd, mm and yyyy in order, such as dd/mm/yyyy

	Columns  Columns  `toml:"columns"`
	Codes    Codes    `toml:"codes"`
	Marks    Marks    `toml:"marks"`
	Defaults Defaults `toml:"defaults"`

	layout string // of dates
}

// Columns says where each thing stands: a name of the header or a letter. Prefix and rate are needed.
type Columns struct {
	Prefix        string `toml:"prefix"`
	CountryCode   string `toml:"country_code"` // stands before each code of the prefix column
	Destination   string `toml:"destination"`
	Rate          string `toml:"rate"`
	ConnectFee    string `toml:"connect_fee"`
	Increments    string `toml:"increments"` // first and next interval in seconds, such as 60/1
	IntervalFirst string `toml:"interval_first"`
	IntervalNext  string `toml:"interval_next"`
	EffectiveFrom string `toml:"effective_from"`
	EffectiveTo   string `toml:"effective_to"`
	Mark          string `toml:"mark"`
}

// Codes says how codes are written in a cell. Each of them makes a row.
type Codes struct {
	Separator    string `toml:"separator"`     // between codes, as in 38,39; empty: one code a cell
	Range        string `toml:"range"`         // between the first and the last of several, as in 4420-4429; empty: none
	CountryFirst bool   `toml:"country_first"` // the first word is the country code of all others, as in 61 38,39
	Plus         string `toml:"plus"`          // what stands before a country code, such as + or 00; empty: nothing
}

// Marks are the words of a column that says what becomes of a row. Others are refused.
type Marks struct {
	Valid  []string `toml:"valid"`  // the row counts: new, dearer, cheaper, as it was
	Closed []string `toml:"closed"` // the row is none: calls to it are not carried any more
}

// Defaults are what the carrier's terms say of all rows that don't say otherwise.
type Defaults struct {
	IntervalFirst int `toml:"interval_first"` // seconds
	IntervalNext  int `toml:"interval_next"`  // seconds
}

const (
	fileCSV  = "csv"
	fileXLSX = "xlsx"
)

// dateLayouts are the orders that a format can declare, as time.Parse takes them.
var dateLayouts = func() map[string]string {
	layouts := map[string]string{}
	for _, sep := range []string{"-", "/", "."} {
		layouts["dd"+sep+"mm"+sep+"yyyy"] = "2" + sep + "1" + sep + "2006"
		layouts["mm"+sep+"dd"+sep+"yyyy"] = "1" + sep + "2" + sep + "2006"
		layouts["yyyy"+sep+"mm"+sep+"dd"] = "2006" + sep + "1" + sep + "2"
	}
	return layouts
}()

// ParseFormat reads a format. A key that it has not is an error, as is whatever is left open.
func ParseFormat(text string) (Format, error) {
	f := Format{Decimal: ".", Per: "minute"}
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return Format{}, tomlError(err)
	}
	if err := f.check(); err != nil {
		return Format{}, err
	}
	return f, nil
}

// tomlError says in one line where a file is wrong.
func tomlError(err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %s", line, strings.Join(unknown.Errors[0].Key(), "."))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, column := wrong.Position()
		return fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return err
}

func (f *Format) check() error {
	switch {
	case f.File != fileCSV && f.File != fileXLSX:
		return fmt.Errorf("file = %q: want csv or xlsx", f.File)
	case f.File == fileCSV && encodings[f.Encoding] == nil:
		return fmt.Errorf("encoding = %q: want utf-8, utf-16, windows-1252 or iso-8859-1", f.Encoding)
	case f.File == fileCSV && f.delimiter() == utf8.RuneError:
		return fmt.Errorf("delimiter = %q: want one character that is no quote, letter or digit, or tab", f.Delimiter)
	case f.File == fileCSV && f.Sheet != "", f.File == fileXLSX && f.Encoding+f.Delimiter != "":
		return errors.New("encoding and delimiter are for csv, sheet is for xlsx")
	case f.Skip < 0 || f.Skip > 1000:
		return fmt.Errorf("skip = %d: want 0 to 1000", f.Skip)
	case f.Currency != "" && !currencySyntax.MatchString(string(f.Currency)):
		return fmt.Errorf("currency = %q: want three capital letters, such as EUR", f.Currency)
	case f.Decimal != "." && f.Decimal != ",":
		return fmt.Errorf("decimal = %q: want . or ,", f.Decimal)
	case !slices.Contains([]string{"", ".", ",", "'", " "}, f.Thousands) || f.Thousands == f.Decimal:
		return fmt.Errorf("thousands = %q: want . , ' or a space, another than decimal", f.Thousands)
	case f.Per != "minute" && f.Per != "second":
		return fmt.Errorf("per = %q: want minute or second", f.Per)
	case f.Round != "" && f.Round != money.Up && f.Round != money.HalfUp:
		return fmt.Errorf("round = %q: want up or half_up", f.Round)
	case f.Defaults.IntervalFirst < 0 || f.Defaults.IntervalFirst > longestCall ||
		f.Defaults.IntervalNext < 0 || f.Defaults.IntervalNext > longestCall:
		return fmt.Errorf("intervals of defaults: want 1 to %d seconds", longestCall)
	}
	return errors.Join(f.checkDate(), f.checkColumns(), f.Codes.check())
}

func (f *Format) checkDate() error {
	dated := f.Columns.EffectiveFrom+f.Columns.EffectiveTo != ""
	if f.Date == "" && !dated {
		return nil
	}
	f.layout = dateLayouts[f.Date]
	if f.layout == "" {
		return fmt.Errorf("date = %q: want dd, mm and yyyy in the order of the file, such as dd/mm/yyyy or yyyy-mm-dd", f.Date)
	}
	return nil
}

func (f *Format) checkColumns() error {
	c := &f.Columns
	switch {
	case c.Prefix == "" || c.Rate == "":
		return errors.New("columns: prefix and rate are needed")
	case c.Increments != "" && c.IntervalFirst+c.IntervalNext != "":
		return errors.New("columns: increments, or interval_first and interval_next")
	case c.CountryCode != "" && f.Codes.CountryFirst:
		return errors.New("the country code has a column of its own, or stands first in the cell (country_first)")
	case (c.Mark == "") != (len(f.Marks.Valid)+len(f.Marks.Closed) == 0):
		return errors.New("marks: want the words that are valid and those that are closed, and columns.mark")
	}
	for _, word := range f.Marks.Valid {
		if slices.Contains(f.Marks.Closed, word) {
			return fmt.Errorf("marks: %q is both valid and closed", word)
		}
	}
	if f.Header {
		return nil
	}
	for _, to := range c.used() {
		if letterColumn(to.ref) < 0 {
			return fmt.Errorf("columns.%s = %q: want a letter, A to ZZ, or header = true", to.name, to.ref)
		}
	}
	return nil
}

func (c *Codes) check() error {
	for name, mark := range map[string]string{"separator": c.Separator, "range": c.Range, "plus": c.Plus} {
		if len(mark) > 3 || name != "plus" && strings.ContainsAny(mark, "0123456789") {
			return fmt.Errorf("codes.%s = %q: want up to three characters", name, mark)
		}
	}
	if c.Separator != "" && c.Separator == c.Range {
		return errors.New("codes: separator and range are the same")
	}
	return nil
}

// delimiter gives the character between fields, or utf8.RuneError.
func (f *Format) delimiter() rune {
	if f.Delimiter == "tab" {
		return '\t'
	}
	r, size := utf8.DecodeRuneInString(f.Delimiter)
	if size != len(f.Delimiter) || r == '"' || r <= ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		return utf8.RuneError
	}
	return r
}

// Read reads the rows of a file that is written so. Prefixes that are marked as closed go to closed, which may be nil.
func (f *Format) Read(file io.ReaderAt, size int64, spec Spec, closed *Closed) Rows {
	return func(yield func(Row, error) bool) {
		if err := spec.check(); err != nil {
			yield(Row{}, err)
			return
		}
		if closed != nil {
			closed.reset()
		}
		m := mapper{checker: newChecker(spec, yield), format: f, closed: closed}
		if f.File == fileXLSX {
			m.end(eachSheetRow(file, size, f.Sheet, m.row))
			return
		}
		m.end(f.eachTextRow(io.NewSectionReader(file, 0, size), m.row))
	}
}

// letterColumn gives the place of a column by its letters, from 0; -1 when they are none.
func letterColumn(letters string) int {
	if letters == "" || len(letters) > 2 {
		return -1
	}
	n := 0
	for _, c := range []byte(letters) {
		if c < 'A' || c > 'Z' {
			return -1
		}
		n = 26*n + int(c-'A') + 1
	}
	return n - 1
}

// columnLetters is the reverse of letterColumn.
func columnLetters(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return string(rune('A'+n/26-1)) + string(rune('A'+n%26))
}

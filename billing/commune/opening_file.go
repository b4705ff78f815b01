package commune

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// ErrOpening is returned by ReadOpening for a file that is none.
var ErrOpening = errors.New("not a file of an opening")

// openingFile is how people write an opening.
type openingFile struct {
	FirstPeriod word                       `toml:"first_period"`
	Balances    map[string]map[string]word `toml:"balances"`
	Members     []struct {
		Code, Name word
		Joined     toml.LocalDate
		Left       *toml.LocalDate
	} `toml:"member"`
	Assets []openingAsset `toml:"asset"`
}

type openingAsset struct {
	Code, Kind, Meter, Cost word
	Life                    int               `toml:"life_months"`
	Worn                    int               `toml:"months_depreciated"`
	Agreement               *openingAgreement `toml:"agreement"`
}

type openingAgreement struct {
	Code, Lessee, Fixed, Minimum, Rate, Included word
	Start                                        toml.LocalDate
	LesseeMember                                 word `toml:"lessee_member"`
}

// word is a value of the file, in quotes or without: an amount never is a float.
type word string

// UnmarshalText takes it as it is written.
func (w *word) UnmarshalText(text []byte) error {
	*w = word(text)
	return nil
}

// ReadOpening reads an opening from a file of TOML, of the form that docs/commune.md shows. ErrOpening.
func ReadOpening(r io.Reader) (Opening, error) {
	var f openingFile
	if err := toml.NewDecoder(r).DisallowUnknownFields().Decode(&f); err != nil {
		var unknown *toml.StrictMissingError
		var bad *toml.DecodeError
		switch {
		case errors.As(err, &unknown):
			row, _ := unknown.Errors[0].Position()
			err = fmt.Errorf("line %d: nothing is called %s", row, strings.Join(unknown.Errors[0].Key(), "."))
		case errors.As(err, &bad):
			row, _ := bad.Position()
			err = fmt.Errorf("line %d: %w", row, err)
		}
		return Opening{}, fmt.Errorf("%w: %w", ErrOpening, err)
	}
	o, err := f.opening()
	if err != nil {
		return Opening{}, fmt.Errorf("%w: %w", ErrOpening, err)
	}
	return o, nil
}

func (f openingFile) opening() (o Opening, err error) {
	if o.Period, err = ledger.ParsePeriod(string(f.FirstPeriod)); err != nil {
		return o, fmt.Errorf("first_period: %w", err)
	}
	o.Balances = map[string]map[string]money.Amount{}
	for book, accounts := range f.Balances {
		o.Balances[book] = map[string]money.Amount{}
		for account, amount := range accounts {
			if o.Balances[book][account], err = money.Parse(string(amount)); err != nil {
				return o, fmt.Errorf("balance of %s %.40s: %w", book, account, err)
			}
		}
	}
	if len(o.Balances) == 0 {
		return o, errors.New("there are no balances")
	}
	for _, m := range f.Members {
		founder := Membership{Member: string(m.Code), Name: string(m.Name)}
		if founder.Joined, err = ledger.ParseDate(m.Joined.String()); err == nil && m.Left != nil {
			founder.Left, err = ledger.ParseDate(m.Left.String())
		}
		switch {
		case err != nil:
			return o, fmt.Errorf("member %.40q: %w", m.Code, err)
		case founder.Left != "" && founder.Left < founder.Joined || founder.Joined > o.Period.First():
			return o, fmt.Errorf("member %.40q: joined by the first day of %s, and left after that if at all", m.Code, o.Period)
		}
		o.Members = append(o.Members, founder)
	}
	for _, a := range f.Assets {
		if err := a.add(&o); err != nil {
			return o, fmt.Errorf("asset %.40q: %w", a.Code, err)
		}
	}
	return o, nil
}

// add puts an asset and its agreement to an opening.
func (a openingAsset) add(o *Opening) error {
	asset := Asset{Code: string(a.Code), Kind: string(a.Kind), Meter: Meter(a.Meter), Life: a.Life, Worn: a.Worn, Acquired: o.Period.First()}
	if !slices.Contains([]Meter{Seconds, Quantity, None}, asset.Meter) {
		return fmt.Errorf("meter %.40q: want %s, %s or %s", a.Meter, Seconds, Quantity, None)
	}
	if a.Life < 1 || a.Worn < 0 {
		return errors.New("life_months is at least 1, months_depreciated not below 0")
	}
	var err error
	if asset.Cost, err = money.Parse(string(a.Cost)); err == nil {
		err = wholeCents(asset.Cost)
	}
	if err != nil {
		return fmt.Errorf("cost: %w", err)
	}
	o.Assets = append(o.Assets, asset)
	if a.Agreement == nil {
		return nil
	}
	g, err := a.Agreement.read(asset)
	if err != nil {
		return fmt.Errorf("agreement %.40q: %w", a.Agreement.Code, err)
	}
	o.Agreements = append(o.Agreements, g)
	return nil
}

func (g openingAgreement) read(asset Asset) (a Agreement, err error) {
	a = Agreement{
		Code: string(g.Code), Asset: asset.Code, Lessee: Lessee{Enterprise: string(g.Lessee), Member: string(g.LesseeMember)},
	}
	if (g.Lessee == "") == (g.LesseeMember == "") {
		return a, errors.New("want a lessee or a lessee_member")
	}
	if a.Start, err = ledger.ParseDate(g.Start.String()); err != nil {
		return a, fmt.Errorf("start: %w", err)
	}
	for _, part := range []struct {
		text word
		into *money.Amount
	}{{g.Fixed, &a.Fixed}, {g.Minimum, &a.Minimum}, {g.Rate, &a.Rate}} {
		if part.text == "" {
			continue
		}
		if *part.into, err = money.Parse(string(part.text)); err == nil && *part.into < 0 {
			err = ErrAmount
		}
		if err != nil {
			return a, err
		}
	}
	a.Included, err = ParseUnits(asset.Meter, string(g.Included))
	return a, err
}

// ParseUnits reads how much use there is of an asset with a meter: a quantity of up to six decimals, in millionths, else
// whole seconds. Nothing is 0.
func ParseUnits(m Meter, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if m == Quantity {
		a, err := money.Parse(s)
		if err != nil || a < 0 {
			return 0, fmt.Errorf("%.40q is not a quantity: want a decimal such as 12.5", s)
		}
		return int64(a), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%.40q is not a whole number of seconds", s)
	}
	return n, nil
}

package tariff

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"telecommune/internal/money"
)

// CostPlus is a rule that makes callers' prices of what carriers ask.
type CostPlus struct {
	Trunks  []string     // codes; of several the cheapest counts
	Percent Percent      // put on the carrier's rate and connection fee; may be over 100
	Add     money.Amount // put on a minute after that, without VAT
	VAT     Percent      // put on the sum
	Floor   money.Amount // a minute costs at least this, VAT included
}

// maxMarkup is a percentage that is a slip rather than a price.
const maxMarkup = 10_000 * hundredPercent

// costPlusRounding is that of rates and fees made by cost-plus, and of the prices of calls by them.
var costPlusRounding = money.Rounding{Unit: 100 * money.Micro, Mode: money.Up}

// Apply makes the rows of a retail deck of the carriers' rows in force at an instant, in the commune's currency at the
// exchange rate of that instant. The rows are fixed: they last until the rule is applied again.
//
// A caller's minute costs ((carrier's rate * (1 + Percent)) + Add) * (1 + VAT), at least Floor; the connection fee is
// (carrier's fee * (1 + Percent)) * (1 + VAT); each is an exact fraction rounded once, up to 0.0001. Billing steps are the
// carrier's. With one trunk its windows are kept, with its zone and holidays. With several, each trunk counts for a prefix
// with the dearest of its hours, and the cheapest of them makes the price, which has no windows.
//
// ErrNotFound when a trunk has no deck in force, ErrNoExchangeRate when its currency has no rate.
func (c CostPlus) Apply(d *Decks, name string, at time.Time) (Deck, error) {
	if len(c.Trunks) == 0 || c.Percent < 0 || c.Percent > maxMarkup || c.VAT < 0 || c.VAT > hundredPercent || c.Add < 0 || c.Floor < 0 {
		return Deck{}, errors.New("cost-plus: want at least one trunk, percentages that can be, and nothing negative")
	}
	var sources []source
	var decks []string
	for _, code := range c.Trunks {
		s, err := d.source(code, at)
		if err != nil {
			return Deck{}, fmt.Errorf("cost-plus on trunk %s: %w", code, err)
		}
		sources, decks = append(sources, s), append(decks, s.String())
	}
	rows, first := sources[0].rows, sources[0].version
	deck := Deck{Spec: Spec{
		Kind: Retail, Name: name, Currency: d.exchange.home, Zone: first.calendar.zone, ActiveFrom: at, Holidays: first.holidays,
		Source: fmt.Sprintf("cost-plus: %s + %s%% + %s a minute, at least %s, with %s%% VAT",
			strings.Join(decks, " or "), c.Percent, c.Add, c.Floor, c.VAT),
	}}
	if len(sources) > 1 {
		rows, deck.Holidays = cheapest(sources), nil
	}
	for _, row := range rows {
		row, err := c.row(row)
		if err != nil {
			return Deck{}, fmt.Errorf("cost-plus on prefix %s: %w", row.Prefix, err)
		}
		deck.Rows = append(deck.Rows, row)
	}
	return deck, nil
}

// row makes a caller's row of a carrier's.
func (c CostPlus) row(cost Row) (Row, error) {
	row := Retail.Defaults()
	row.Prefix, row.Destination, row.Window = cost.Prefix, cost.Destination, cost.Window
	row.IntervalFirst, row.IntervalNext = cost.IntervalFirst, cost.IntervalNext
	row.RoundingUnit, row.RoundingMode = costPlusRounding.Unit, costPlusRounding.Mode
	var err error
	if row.RatePerMinute, err = c.price(cost, cost.RatePerMinute, c.Add); err != nil {
		return row, err
	}
	row.RatePerMinute = max(row.RatePerMinute, c.Floor)
	if row.ConnectFee, err = c.price(cost, cost.ConnectFee, 0); err != nil {
		return row, err
	}
	_, err = row.Price(longestCall)
	return row, err
}

// price is (amount / exchange rate * (1 + Percent) + add) * (1 + VAT), rounded once.
func (c CostPlus) price(cost Row, amount, add money.Amount) (money.Amount, error) {
	sum := big.NewRat(int64(amount), 1)
	if cost.ExchangeRate != 0 {
		sum.Mul(sum, big.NewRat(int64(money.Unit), int64(cost.ExchangeRate)))
	}
	sum.Mul(sum, big.NewRat(int64(hundredPercent+c.Percent), int64(hundredPercent)))
	sum.Add(sum, big.NewRat(int64(add), 1))
	sum.Mul(sum, big.NewRat(int64(hundredPercent+c.VAT), int64(hundredPercent)))
	sum.Quo(sum, big.NewRat(int64(costPlusRounding.Unit), 1))
	units, rest := new(big.Int).QuoRem(sum.Num(), sum.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		units.Add(units, big.NewInt(1))
	}
	units.Mul(units, big.NewInt(int64(costPlusRounding.Unit)))
	if !units.IsInt64() {
		return 0, money.ErrRange
	}
	return money.Amount(units.Int64()), nil
}

// source is a trunk's deck as it is at an instant.
type source struct {
	trunk   string
	version version
	rows    []Row // those in force, with the exchange rate
	rate    ExchangeRate
}

func (s source) String() string {
	text := fmt.Sprintf("%s@%d", s.trunk, s.version.number)
	if s.rate != 0 {
		text += fmt.Sprintf(" at %s %s", s.rate, s.version.currency)
	}
	return text
}

func (d *Decks) source(code string, at time.Time) (source, error) {
	number, ok := d.trunk.inForce(code, at)
	if !ok {
		return source{}, ErrNotFound
	}
	s := source{trunk: code, version: d.trunk.versions[number]}
	if s.rate, ok = d.exchange.at(s.version.currency, at); !ok {
		return source{}, fmt.Errorf("%s: %w", s.version.currency, ErrNoExchangeRate)
	}
	for _, row := range d.trunk.rows(number) {
		if row.effective(at) {
			row.ExchangeRate = s.rate
			s.rows = append(s.rows, row)
		}
	}
	return s, nil
}

// cheapest gives for each prefix of any source the row of the cheapest, without window.
func cheapest(sources []source) []Row {
	tables := make([]map[string][]Row, len(sources))
	var prefixes []string
	for i, s := range sources {
		tables[i] = map[string][]Row{}
		for _, row := range s.rows {
			tables[i][row.Prefix] = append(tables[i][row.Prefix], row)
			prefixes = append(prefixes, row.Prefix)
		}
	}
	slices.Sort(prefixes)
	var rows []Row
	for _, prefix := range slices.Compact(prefixes) {
		var best Row
		var least money.Amount
		for _, table := range tables {
			row, cost, ok := dearest(table, prefix)
			if ok && (best == Row{} || cost < least) {
				best, least = row, cost
			}
		}
		best.Prefix, best.Window = prefix, ""
		rows = append(rows, best)
	}
	return rows
}

// dearest gives the row that a call to a prefix costs most by, of those that can count for it: its own, and while they are
// in windows only, those of shorter prefixes.
func dearest(table map[string][]Row, prefix string) (best Row, most money.Amount, ok bool) {
	for n := len(prefix); n > 0; n-- {
		always := false
		for _, row := range table[prefix[:n]] {
			cost, err := row.Price(ExpectedSeconds)
			if err != nil {
				continue
			}
			if !ok || cost > most {
				best, most, ok = row, cost, true
			}
			always = always || row.Window == ""
		}
		if always {
			break
		}
	}
	return best, most, ok
}

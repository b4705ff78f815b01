package commune

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"telecommune/billing/ledger"
	"telecommune/internal/money"
)

// Situation is all that a month's close depends on.
type Situation struct {
	Period   ledger.Period
	Book     string // the commune's
	Rented   []Rented
	Assets   []Owned
	Expenses []Expense
	Levy     Levy
	Members  []MemberDays
	Balances map[string]money.Amount // of the commune's book on the month's last day, debit positive
	Banks    map[string]money.Amount // of the enterprises that pay rent by order, and what the commune owes them is in Balances
}

// Rented is an agreement that has days in the month.
type Rented struct {
	Agreement

	Meter Meter `db:"meter"`
	Units int64 // used on its days of the month
	Order *Order
}

// Order tells the close to pay the rent that it posts (D-17).
type Order struct {
	Amount money.Amount // at most; 0: all
	Offset money.Amount // of it, netted with what the commune owes the enterprise
}

// Owned is an asset that the commune owns at the month's end, or has bought bonds' money in escrow for.
type Owned struct {
	Asset // without day of acquisition as long as it is only funded

	Agreements []string     // all it ever had
	Collected  money.Amount // rent that came in during the month before the close, deposits applied included
	Bonds      []Bonds      // none or one
}

// Bonds are a series with its holders, in the order of their bids.
type Bonds struct {
	Series

	Holders []string
}

// Expense is borne by all members before the split (R25).
type Expense struct {
	Amount money.Amount `db:"amount"`
	Text   string       `db:"text"`
}

// MemberDays is for how many days of the month somebody was a member: the day of joining counts, that of leaving does not
// (P-07).
type MemberDays struct {
	Member string `json:"member" db:"member"`
	Days   int    `json:"days" db:"days"`
}

// Figures are what a month came to (scenarios/format.md 10), by the codes of agreements, series, assets and members.
type Figures struct {
	Rents          map[string]money.Amount `json:"rents"`
	Interest       map[string]money.Amount `json:"interest"` // accrued
	InterestPaid   map[string]money.Amount `json:"interest_paid"`
	Redeemed       map[string]money.Amount `json:"redeemed"`
	Remainder      map[string]money.Amount `json:"remainder"`               // rent passed to the pool
	Distributions  map[string]money.Amount `json:"distributions,omitempty"` // of enterprises, and what was left of those wound up
	MutualExpenses money.Amount            `json:"mutual_expenses"`
	Levy           money.Amount            `json:"levy"`
	Pool           money.Amount            `json:"pool"` // after the levy, before the split
	Dividends      map[string]money.Amount `json:"dividends"`
	Carry          money.Amount            `json:"carry"` // what stays in the pool
}

// Result is what a close is to do.
type Result struct {
	Figures Figures
	Entries []Draft
	Rents   []Posting
	Paid    []Payment
	Worn    []string // assets that are a month older
}

// Posting is the rent of an agreement for a month.
type Posting struct {
	Agreement string
	Days      int
	Units     int64
	Amount    money.Amount
}

// Payment is rent that comes in.
type Payment struct {
	Agreement      string
	Amount, Offset money.Amount
}

// closing is a close at work.
type closing struct {
	Situation
	*sheet

	result    Result
	collected map[string]money.Amount // by asset
}

// Close works out what a month's close does, in the order of scenarios/format.md 7 but for the results of the enterprises.
// It decides everything and does nothing: the same situation always gives the same result. ErrFunds, ErrState,
// money.ErrRange.
func Close(s Situation) (Result, error) {
	c := &closing{
		Situation: s, sheet: &sheet{book: s.Book, balances: s.Balances}, collected: map[string]money.Amount{},
		result: Result{Figures: Figures{
			Rents: map[string]money.Amount{}, Interest: map[string]money.Amount{}, InterestPaid: map[string]money.Amount{},
			Redeemed: map[string]money.Amount{}, Remainder: map[string]money.Amount{}, Dividends: map[string]money.Amount{},
		}},
	}
	for _, step := range []func() error{
		c.rents, c.orders, c.depreciation, c.bondService, c.expenses, c.assetResults, c.split, c.solvent,
	} {
		if err := step(); err != nil {
			return Result{}, err
		}
		if c.err != nil {
			return Result{}, c.err
		}
	}
	c.result.Entries = c.drafts
	return c.result, nil
}

// rents is step 1.
func (c *closing) rents() error {
	of := daysIn(c.Period, "", "")
	for _, g := range c.Rented {
		days := g.Days(c.Period)
		rent, err := g.Rent(g.Meter, Part{days, of}, g.Units)
		if err != nil {
			return err
		}
		c.result.Figures.Rents[g.Code] = rent
		c.result.Rents = append(c.result.Rents, Posting{g.Code, days, g.Units, rent})
		c.post("rent:"+g.Code, "rent", fmt.Sprintf("Rent %s %s", g.Code, c.Period), g.rentLines(c.Book, rent)...)
	}
	return nil
}

// orders is step 2.
func (c *closing) orders() error {
	for _, g := range c.Rented {
		rent := c.result.Figures.Rents[g.Code]
		if g.Order == nil || rent == 0 {
			continue
		}
		amount := rent
		if g.Order.Amount > 0 {
			amount = min(amount, g.Order.Amount)
		}
		offset := min(g.Order.Offset, amount)
		if offset > 0 && offset > c.owed(sub("2050", g.Enterprise)) {
			return fmt.Errorf("rent of %s is to be netted with %s, the commune owes %s: %w",
				g.Code, offset, c.owed(sub("2050", g.Enterprise)), ErrState)
		}
		if g.Enterprise != "" {
			c.Banks[g.Enterprise] = c.add(c.Banks[g.Enterprise], offset-amount)
			if c.Banks[g.Enterprise] < 0 {
				return fmt.Errorf("%s can't pay the rent of %s: %w", g.Enterprise, g.Code, ErrFunds)
			}
		}
		c.result.Paid = append(c.result.Paid, Payment{g.Code, amount, offset})
		c.collected[g.Asset] = c.add(c.collected[g.Asset], amount)
		c.post("rent-paid:"+g.Code, "rent-paid", "Rent "+g.Code+" paid", g.paymentLines(c.Book, amount, offset)...)
	}
	return nil
}

// depreciation is step 3.
func (c *closing) depreciation() error {
	for _, a := range c.Assets {
		if a.Acquired != "" && a.Worn < a.Life {
			c.wear(a.Asset)
			c.result.Worn = append(c.result.Worn, a.Code)
		}
	}
	return nil
}

// wear drafts an asset's depreciation of a month.
func (s *sheet) wear(a Asset) {
	amount := a.Depreciation(s.owed(sub("1590", a.Code)))
	s.post("depreciation:"+a.Code, "depreciation", "Depreciation "+a.Code,
		s.debit(sub("5100", a.Code), amount), s.credit(sub("1590", a.Code), amount))
}

// bondService is step 4. The rent of an asset serves its own series alone (P-08).
func (c *closing) bondService() error {
	for i := range c.Assets {
		a := &c.Assets[i]
		a.Collected = c.add(a.Collected, c.collected[a.Code])
		for _, b := range a.Bonds {
			due := b.Due(c.Period, c.outstanding(b))
			served, err := c.serve(b, c.Period.Last(), a.Collected, due)
			if err != nil {
				return err
			}
			f := c.result.Figures
			f.Interest[b.Code], f.InterestPaid[b.Code], f.Redeemed[b.Code] = served.interest, served.interestPaid, served.redeemed
			a.Collected = served.rest
		}
	}
	return nil
}

// outstanding is the principal of a series.
func (s *sheet) outstanding(b Bonds) (sum money.Amount) {
	for _, h := range b.Holders {
		sum = s.add(sum, s.owed(ofHolder("2100", b.Code, h)))
	}
	return sum
}

// served is what came of the service of a series.
type served struct {
	interest, interestPaid, redeemed money.Amount
	rest                             money.Amount // of the money
}

// serve lets a series' interest accrue up to and including a day, and pays what is due to its holders as far as money
// goes.
func (s *sheet) serve(b Bonds, day ledger.Date, cash, due money.Amount) (served, error) {
	claims := Claims{Due: due}
	for _, h := range b.Holders {
		claims.Arrears = append(claims.Arrears, s.owed(ofHolder("2110", b.Code, h)))
		claims.Outstanding = append(claims.Outstanding, s.owed(ofHolder("2100", b.Code, h)))
	}
	var err error
	if claims.Interest, err = b.InterestUntil(day, claims.Outstanding); err != nil {
		return served{}, err
	}
	paid, err := claims.Pay(cash)
	if err != nil {
		return served{}, err
	}
	var accrued, interest, principal []ledger.Line
	for i, h := range b.Holders {
		accrued = append(accrued, s.credit(ofHolder("2110", b.Code, h), claims.Interest[i]))
		interest = append(interest, s.debit(ofHolder("2110", b.Code, h), s.add(paid.Arrears[i], paid.Interest[i])))
		principal = append(principal, s.debit(ofHolder("2100", b.Code, h), paid.Principal[i]))
	}
	out := served{
		interest: s.sum(claims.Interest), interestPaid: s.add(s.sum(paid.Arrears), s.sum(paid.Interest)),
		redeemed: s.sum(paid.Principal), rest: paid.Rest,
	}
	s.post("interest:"+b.Code, "interest", b.Code+": interest", append(accrued, s.debit(sub("5000", b.Code), out.interest))...)
	s.post("interest-paid:"+b.Code, "interest-paid", b.Code+": interest paid", append(interest, s.credit(bank, out.interestPaid))...)
	s.post("redemption:"+b.Code, "redemption", b.Code+": redemption", append(principal, s.credit(bank, out.redeemed))...)
	return out, nil
}

// expenses is step 5.
func (c *closing) expenses() error {
	for i, e := range c.Expenses {
		text := "Mutual expense"
		if e.Text != "" {
			text += ": " + e.Text
		}
		c.post(fmt.Sprintf("expense:%d", i), "expense", text, c.debit("5400", e.Amount), c.credit(bank, e.Amount))
	}
	return nil
}

// assetResults is step 6.
func (c *closing) assetResults() error {
	for _, a := range c.Assets {
		c.earned(a)
		value := c.add(c.balances[sub("1500", a.Code)], c.balances[sub("1590", a.Code)])
		bonds := money.Amount(0)
		for _, b := range a.Bonds {
			bonds = c.add(bonds, c.outstanding(b))
		}
		more := CommonsFund(value, bonds) - c.owed(sub("3100", a.Code))
		c.post("fund:"+a.Code, "commons-fund", "Commons fund "+a.Code,
			c.debit(sub("3200", a.Code), more), c.credit(sub("3100", a.Code), more))
		c.result.Figures.Remainder[a.Code] = a.Collected
		c.post("remainder:"+a.Code, "remainder", "Remaining rent of "+a.Code,
			c.debit(sub("3200", a.Code), a.Collected), c.credit(pool, a.Collected))
	}
	expenses, amount := c.clear("5400")
	c.result.Figures.MutualExpenses = amount // with what an enterprise that was wound up lacked
	c.post("expenses", "close", "Mutual expenses", c.debit(pool, amount), expenses)
	c.distributions()
	return nil
}

// distributions brings what enterprises gave to the pool (P-16, T-21).
func (c *closing) distributions() {
	for _, account := range slices.Sorted(maps.Keys(c.balances)) {
		enterprise, is := strings.CutPrefix(account, sub("4300", ""))
		if !is || c.balances[account] == 0 {
			continue
		}
		line, amount := c.clear(account)
		if c.result.Figures.Distributions == nil {
			c.result.Figures.Distributions = map[string]money.Amount{}
		}
		c.result.Figures.Distributions[enterprise] = -amount
		c.post("distribution:"+enterprise, "close", "Distribution of "+enterprise, line, c.debit(pool, amount))
	}
}

// earned closes what an asset earned and cost to its rent surplus, in one net line.
func (s *sheet) earned(a Owned) {
	accounts := []string{sub("5100", a.Code), sub("4100", a.Code), sub("5200", a.Code)}
	for _, g := range a.Agreements {
		accounts = append(accounts, sub("4000", g), sub("5300", g))
	}
	for _, b := range a.Bonds {
		accounts = append(accounts, sub("5000", b.Code), sub("4200", b.Code))
	}
	var lines []ledger.Line
	var net money.Amount
	for _, account := range accounts {
		line, amount := s.clear(account)
		lines, net = append(lines, line), s.add(net, amount)
	}
	s.post("asset:"+a.Code, "close", "Result of "+a.Code, append(lines, s.debit(sub("3200", a.Code), net))...)
}

// split is step 7.
func (c *closing) split() error {
	f := &c.result.Figures
	var err error
	if f.Levy, err = c.Levy.Of(c.owed(pool)); err != nil {
		return err
	}
	c.post("levy", "levy", "Renewal levy", c.debit(pool, f.Levy), c.credit(general, f.Levy))
	f.Pool = c.owed(pool)
	distributable, err := Distributable(f.Pool, c.balances[bank],
		Liabilities{Dividends: c.allOwed("2000"), Enterprises: c.allOwed("2050"), Deposits: c.allOwed("2300")})
	if err != nil {
		return err
	}
	days := make([]int, len(c.Members))
	for i, m := range c.Members {
		days[i] = m.Days
	}
	shares, _, err := EvenSplit(distributable, days)
	if err != nil {
		return err
	}
	lines := make([]ledger.Line, 0, len(shares)+1)
	for i, m := range c.Members {
		f.Dividends[m.Member] = shares[i]
		lines = append(lines, c.credit(sub("2000", m.Member), shares[i]))
	}
	c.post("dividends", "dividend", "Rent dividend "+string(c.Period), append(lines, c.debit(pool, c.sum(shares)))...)
	f.Carry = c.owed(pool)
	return nil
}

// solvent refuses a close that would leave the commune's bank negative, as a whole (D-38). Money comes in before it goes
// out, so that the end is the lowest point.
func (c *closing) solvent() error {
	if c.balances[bank] < 0 {
		return fmt.Errorf("the commune's bank would be at %s: %w", c.balances[bank], ErrFunds)
	}
	return nil
}

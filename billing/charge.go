package billing

import (
	"fmt"

	"telecommune/billing/ledger"
	"telecommune/billing/tariff"
	"telecommune/internal/money"
)

// Charge is what a call costs its caller, and the enterprise that carries it.
type Charge struct {
	Billed int          // seconds that are charged for
	Price  money.Amount // with what the access number adds
	VAT    money.Amount // part of Price
	Cost   money.Amount // to the carrier
	Access AccessCharge
}

// PriceCall gives the charge of a call of so many answered seconds by the caller's row and the carrier's (economics.md
// 5.2, 5.3).
func PriceCall(retail, carrier tariff.Row, vat tariff.Percent, answered int) (Charge, error) {
	price, err := retail.Price(answered)
	if err != nil {
		return Charge{}, fmt.Errorf("price: %w", err)
	}
	tax, err := tariff.VAT(price, vat)
	if err != nil {
		return Charge{}, fmt.Errorf("VAT: %w", err)
	}
	cost, err := carrier.Price(answered)
	if err != nil {
		return Charge{}, fmt.Errorf("carrier cost: %w", err)
	}
	return Charge{Billed: retail.Billed(answered), Price: price, VAT: tax, Cost: cost}, nil
}

// access adds what the access number causes to a charge by the row of a quote.
func (c *Charge) access(quote tariff.Quote, vat tariff.Percent, answered int) error {
	price, err := quote.AccessPrice(answered)
	if err != nil {
		return fmt.Errorf("price of access: %w", err)
	}
	tax, err := tariff.VAT(price, vat)
	if err != nil {
		return fmt.Errorf("VAT: %w", err)
	}
	c.Access.Price, c.Access.VAT = price, tax
	if c.Price, err = c.Price.Add(price); err != nil {
		return fmt.Errorf("price: %w", err)
	}
	c.VAT += tax // both are parts of a price that fits
	return nil
}

// The journal templates of economics.md 7.1; those of bookings by hand on an account are in booking.go. All lines are in
// the enterprise's book.

// CreditAccount names the ledger account that holds the prepaid credit of an account.
func CreditAccount(account string) string { return sub("2100", account) }

// TopUpLines is T-01: money comes in.
func TopUpLines(book, account string, amount money.Amount) []ledger.Line {
	return Booking{Kind: PaidIn, Account: account, Amount: amount}.Lines(book)
}

// VoucherIssueLines is T-02, first half: credit goes into a voucher.
func VoucherIssueLines(book, account string, amount money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, CreditAccount(account), amount), ledger.Credit(book, "2450", amount)}
}

// VoucherRedeemLines is T-02, second half: a voucher becomes credit, also again of the account that it came from.
func VoucherRedeemLines(book, account string, amount money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, "2450", amount), ledger.Credit(book, CreditAccount(account), amount)}
}

// VoucherExpiryLines is breakage: the right to redeem vouchers has lapsed.
func VoucherExpiryLines(book string, amount money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, "2450", amount), ledger.Credit(book, "4100", amount)}
}

// InvoiceLines is the adjustment when a carrier's invoice comes: what it asks for beyond what the calls accrued, or less.
func InvoiceLines(book, carrier string, difference money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, "5000", difference), ledger.Credit(book, sub("2200", carrier), difference)}
}

// InvoicePaymentLines is T-04: a carrier's invoice is paid.
func InvoicePaymentLines(book, carrier string, amount money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, sub("2200", carrier), amount), ledger.Credit(book, bank, amount)}
}

// VATPaymentLines passes VAT on to the tax office.
func VATPaymentLines(book string, amount money.Amount) []ledger.Line {
	return []ledger.Line{ledger.Debit(book, "2500", amount), ledger.Credit(book, bank, amount)}
}

// CallLines is T-03, the lines of a call, and what its access number brings and costs. Zero lines are left out; a call
// that moves no money has none.
func CallLines(book, account, trunk, carrier string, c Charge) []ledger.Line {
	access := c.Access.Price - c.Access.VAT
	var lines []ledger.Line
	for _, l := range []ledger.Line{
		ledger.Debit(book, CreditAccount(account), c.Price),
		ledger.Credit(book, sub("4000", trunk), c.Price-c.VAT-access),
		ledger.Credit(book, c.Access.account("4000"), access),
		ledger.Credit(book, "2500", c.VAT),
		ledger.Debit(book, sub("5000", trunk), c.Cost),
		ledger.Credit(book, sub("2200", carrier), c.Cost),
		ledger.Debit(book, c.Access.account("5000"), c.Access.Cost),
		ledger.Credit(book, sub("2200", c.Access.Provider), c.Access.Cost),
	} {
		if l.Amount != 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// sub gives the sub-account of an account, or the account itself for what has no name.
func sub(account, name string) string {
	if name == "" {
		return account
	}
	return account + ":" + name
}

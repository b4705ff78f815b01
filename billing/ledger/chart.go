package ledger

import "strings"

// Type is the kind of an account in the accountant's sense. The first digit of its code says it (economics.md section
// 6).
type Type string

// The types of accounts, named as beancount names them.
const (
	Assets      Type = "Assets"
	Liabilities Type = "Liabilities"
	Equity      Type = "Equity"
	Income      Type = "Income"
	Expenses    Type = "Expenses"
)

// TypeOf gives the type of an account, such as 2100:anna.
func TypeOf(account string) Type {
	switch account[:1] {
	case "1":
		return Assets
	case "2":
		return Liabilities
	case "4":
		return Income
	case "5":
		return Expenses
	}
	return Equity
}

// NameOf gives the name of an account in words, or "" for one that the chart does not have. The same code means one
// thing in the commune's book, COM, and another in an enterprise's.
func NameOf(book, account string) string {
	if book == "COM" {
		return communeChart[code(account)]
	}
	return enterpriseChart[code(account)]
}

// code is an account without its sub-account.
func code(account string) string {
	code, _, _ := strings.Cut(account, ":")
	return code
}

var communeChart = map[string]string{
	"1000": "Bank",
	"1050": "Escrow bank",
	"1100": "Rent receivable",
	"1150": "Due from enterprise",
	"1300": "Shares in enterprises",
	"1500": "Assets at cost",
	"1590": "Accumulated depreciation",
	"2000": "Dividends payable",
	"2050": "Due to enterprise",
	"2100": "Bonds payable",
	"2110": "Bond interest payable",
	"2200": "Subscriptions held",
	"2300": "Lessee deposits",
	"2900": "Redeemable member shares",
	"3000": "Members' shares",
	"3100": "Commons fund",
	"3200": "Rent surplus",
	"4000": "Rent income",
	"4100": "Gain on liquidation",
	"4200": "Gain on extinguishment",
	"4300": "Distribution from enterprise",
	"5000": "Bond interest",
	"5100": "Depreciation",
	"5200": "Loss on liquidation",
	"5300": "Rent written off",
	"5400": "Mutual expenses",
}

var enterpriseChart = map[string]string{
	"1000": "Bank",
	"1350": "Rent deposits paid",
	"1400": "Due from commune",
	"1450": "Payment processor",
	"2100": "Prepaid call credit",
	"2150": "Due to commune",
	"2200": "Carrier payable",
	"2300": "Rent payable",
	"2400": "Remuneration payable",
	"2450": "Vouchers outstanding",
	"2500": "VAT payable",
	"3000": "Share capital",
	"3900": "Retained result",
	"4000": "Call revenue",
	"4100": "Expired credit",
	"5000": "Carrier cost",
	"5100": "Rent to commune",
	"5200": "Remuneration",
	"5300": "Refunds, fraud, fees",
}

package billing

import (
	"errors"
	"fmt"
)

var (
	// ErrUnknownCaller is returned by ByPhone when no account has the number, by ByPIN and Login when no PIN matches.
	ErrUnknownCaller = errors.New("no such caller")
	// ErrTooManyPINs is returned by ByPIN and Login without a look-up after too many wrong ones (design.md 9.6).
	ErrTooManyPINs = errors.New("too many wrong PINs, try again in an hour")
	// ErrNoContact is returned by Contact when the access number stands for nobody on this account.
	ErrNoContact = errors.New("no contact on this access number")
	// ErrInsufficientCredit is returned by Authorise when the free credit does not buy one second, by IssueVouchers and
	// Book when the amount is not there, by SetAccount when the new limit is below what is owed.
	ErrInsufficientCredit = errors.New("insufficient_credit")
	// ErrNotOwn is returned by Book for more than the account's own credit that is not held. It is an ErrInsufficientCredit.
	ErrNotOwn = fmt.Errorf("its limit is not its credit: %w", ErrInsufficientCredit)
	// ErrTooManyCalls is returned by Authorise when as many calls run as Limits.MaxCalls allows at once.
	ErrTooManyCalls = errors.New("as many calls are running as the account may make at once")
	// ErrTooDear is returned by Authorise when a minute may cost more than Limits.MaxRate.
	ErrTooDear = errors.New("a minute costs more than the account may pay")
	// ErrSpendLimit is returned by Authorise when Limits.MaxPerHour or MaxPerDay don't leave the price of one second.
	ErrSpendLimit = errors.New("the account has spent what it may for now")
	// ErrCountryBarred is returned by Authorise for a number outside Limits.Countries.
	ErrCountryBarred = errors.New("the account may not call this country")
	// ErrBlocked is returned by Authorise, IssueVouchers and, for a transfer, Book when the account is blocked. Authorise finds
	// all accounts of an enterprise blocked that does not work (economics.md 4).
	ErrBlocked = errors.New("the account is blocked")
	// ErrNotFound is returned by whatever is given the code or id of something that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned by whatever creates a thing with a code, number or address that is taken.
	ErrExists = errors.New("exists already")
	// ErrConflict is returned by every write whose key was used before with another content.
	ErrConflict = errors.New("idempotency_conflict")
	// ErrVoucherSpent is returned by RedeemVoucher for a voucher that somebody else redeemed.
	ErrVoucherSpent = errors.New("the voucher was redeemed before")
	// ErrVoucherNumber is returned by RedeemVoucher for digits that are no voucher's: mistyped, by the check digit.
	ErrVoucherNumber = errors.New("not a voucher number: want 15 digits, check what was typed")
	// ErrNoVoucher is returned by RedeemVoucher and TypeVoucher for a number that no voucher has; it is an ErrNotFound.
	ErrNoVoucher = fmt.Errorf("voucher: %w", ErrNotFound)
	// ErrVoucherExpired is returned by RedeemVoucher after the last day on which the voucher was good, by IssueVouchers for
	// a last day that is over.
	ErrVoucherExpired = errors.New("the voucher has expired")
	// ErrVoucherVoid is returned by RedeemVoucher for a voucher that was made void.
	ErrVoucherVoid = errors.New("the voucher was made void")
	// ErrVoucherCount is returned by IssueVouchers.
	ErrVoucherCount = fmt.Errorf("a batch has 1 to %d vouchers", MaxBatch)
	// ErrTooManyVouchers is returned by TypeVoucher without a look-up after too many wrong numbers.
	ErrTooManyVouchers = errors.New("too many wrong voucher numbers, try again in an hour")
	// ErrReason is returned by Book and VoidVouchers for what needs a reason and has none.
	ErrReason = errors.New("it needs a reason")
	// ErrNotOwed is returned by Book for a write-off of more than the account owes.
	ErrNotOwed = errors.New("more than the account owes")
	// ErrSameAccount is returned by Book for a transfer from an account to itself.
	ErrSameAccount = errors.New("a transfer goes to another account")
	// ErrOtherEnterprise is returned by Book for a transfer to an account of another enterprise.
	ErrOtherEnterprise = errors.New("the accounts belong to different enterprises")
	// ErrFunds is returned by whatever pays out of a bank account that does not have so much (economics.md D-38).
	ErrFunds = errors.New("insufficient_funds")
	// ErrInvoice is returned by AddInvoice for what can't be an invoice's number.
	ErrInvoice = errors.New("not the number of an invoice: want 1 to 64 printable characters")
	// ErrDays is returned by ParseDays.
	ErrDays = errors.New("not a period: want a month such as 2027-06, or the first and last day such as 2027-06-01/2027-06-15")
	// ErrInvoiced is returned by AddInvoice when another invoice is for some of the same days.
	ErrInvoiced = errors.New("another invoice of the carrier is for some of these days")
	// ErrVATDue is returned by PayVAT for more than is due.
	ErrVATDue = errors.New("more VAT than is due")
	// ErrAmount is returned by Book for what is not a positive amount, or not of whole cents where it moves real money, as
	// AddInvoice and PayVAT do; by IssueVouchers for one that is not positive, by AddAccount and SetAccount for a negative
	// limit.
	ErrAmount = errors.New("amount_precision")
	// ErrCode is returned by AddAccount for a code that can't be one.
	ErrCode = errors.New("not a code: want 1 to 32 letters, digits, - or _")
	// ErrCallLimit is returned by AddAccount, SetAccount and Authorise for a call limit below one second.
	ErrCallLimit = errors.New("the call limit is at least one second")
	// ErrLimit is returned by AddAccount and SetAccount for a limit below zero.
	ErrLimit = errors.New("a limit is above 0; to have none, take it away")
	// ErrCountry is returned by ParseCountries for what is no country, by AddAccount and SetAccount for what it did not make.
	ErrCountry = errors.New("not a country: want the two letters of ISO 3166, such as DE")
	// ErrZone is returned by SetZone for a zone that is not in the IANA database.
	ErrZone = errors.New("not a time zone: want a name such as Europe/Berlin")
	// ErrCurrency is returned by ParseCurrency and SetCurrency for what is no ISO 4217 code.
	ErrCurrency = errors.New("not a currency: want three capital letters such as EUR")
	// ErrCurrencyUsed is returned by SetCurrency when there are amounts in another one.
	ErrCurrencyUsed = errors.New("the currency can't change any more: there are entries, rate decks, or accounts with credit or a limit")
	// ErrNodeTaken is returned by Claim while another program runs as this node.
	ErrNodeTaken = errors.New("the node's name is taken")
	// ErrFenced is returned by Run, and by whatever writes about calls with holds, when a newer run of the node has begun.
	// Nothing is written then.
	ErrFenced = errors.New("another serve has begun to run as this node: this one's calls are written down no more")
	// ErrSettled is returned by Adopt for a call that is over.
	ErrSettled = errors.New("the call is settled already")
	// ErrKey is returned by OpenKey when the key of the database is not there, and by whatever needs a key when
	// Options.Key is missing.
	ErrKey = errors.New("no secret key for PINs and vouchers")
	// ErrWrongKey is returned by OpenKey for a key that is not the database's.
	ErrWrongKey = errors.New("the secret key is not the one that the PINs and vouchers of this database were made with")
)

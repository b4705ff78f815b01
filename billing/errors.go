package billing

import "errors"

var (
	// ErrUnknownCaller is returned by ByPhone when no account has the number, by ByPIN and Login when no PIN matches.
	ErrUnknownCaller = errors.New("no such caller")
	// ErrTooManyPINs is returned by ByPIN and Login without a look-up after too many wrong ones (design.md 9.6).
	ErrTooManyPINs = errors.New("too many wrong PINs, try again in an hour")
	// ErrNoContact is returned by Contact when the access number stands for nobody on this account.
	ErrNoContact = errors.New("no contact on this access number")
	// ErrInsufficientCredit is returned by Authorise when the free credit does not buy one second, by IssueVoucher when
	// the amount is not there, by SetAccount when the new limit is below what is owed.
	ErrInsufficientCredit = errors.New("insufficient_credit")
	// ErrTooManyCalls is returned by Authorise when as many calls run as Limits.MaxCalls allows at once.
	ErrTooManyCalls = errors.New("as many calls are running as the account may make at once")
	// ErrTooDear is returned by Authorise when a minute may cost more than Limits.MaxRate.
	ErrTooDear = errors.New("a minute costs more than the account may pay")
	// ErrSpendLimit is returned by Authorise when Limits.MaxPerHour or MaxPerDay don't leave the price of one second.
	ErrSpendLimit = errors.New("the account has spent what it may for now")
	// ErrCountryBarred is returned by Authorise for a number outside Limits.Countries.
	ErrCountryBarred = errors.New("the account may not call this country")
	// ErrBlocked is returned by Authorise and IssueVoucher for a blocked account.
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
	// ErrAmount is returned by TopUp for what is not a positive amount of whole cents, by IssueVoucher for one that is
	// not positive, by AddAccount and SetAccount for a negative limit.
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
	// ErrKey is returned by OpenKey when the key of the database is not there, and by whatever needs a key when
	// Options.Key is missing.
	ErrKey = errors.New("no secret key for PINs and vouchers")
	// ErrWrongKey is returned by OpenKey for a key that is not the database's.
	ErrWrongKey = errors.New("the secret key is not the one that the PINs and vouchers of this database were made with")
)

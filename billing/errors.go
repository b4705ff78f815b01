package billing

import "errors"

var (
	// ErrUnknownCaller is returned by ByPhone when no account has the number, by ByPIN when no PIN matches.
	ErrUnknownCaller = errors.New("no such caller")
	// ErrTooManyPINs is returned by ByPIN without a look-up after too many wrong ones (design.md 9.6).
	ErrTooManyPINs = errors.New("too many wrong PINs, try again in an hour")
	// ErrNoContact is returned by Contact when the access number stands for nobody on this account.
	ErrNoContact = errors.New("no contact on this access number")
	// ErrInsufficientCredit is returned by Authorise when the free credit does not buy one second, by RedeemVoucher and
	// IssueVoucher when the amount is not there.
	ErrInsufficientCredit = errors.New("insufficient_credit")
	// ErrBlocked is returned by Authorise for a blocked account.
	ErrBlocked = errors.New("the account is blocked")
	// ErrNotFound is returned by whatever is given the code or id of something that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned by whatever creates a thing with a code, number or address that is taken.
	ErrExists = errors.New("exists already")
	// ErrConflict is returned by every write whose key was used before with another content.
	ErrConflict = errors.New("idempotency_conflict")
	// ErrVoucherSpent is returned by RedeemVoucher for a voucher that somebody redeemed.
	ErrVoucherSpent = errors.New("the voucher was redeemed before")
)

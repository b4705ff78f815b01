package pbx

import (
	"context"

	"telecommune/billing"
	"telecommune/internal/e164"
)

// Callers tells who calls. It is billing.Service.
type Callers interface {
	// ByPhone finds the account that a calling number opens, or billing.ErrUnknownCaller.
	ByPhone(ctx context.Context, phone e164.Number) (billing.Caller, error)
	// ByPIN finds the account of a PIN, or billing.ErrUnknownCaller, or billing.ErrTooManyPINs.
	ByPIN(ctx context.Context, pin string, from billing.PINSource) (billing.Caller, error)
	// Contact gives the number that access stands for on this account, or billing.ErrNoContact.
	Contact(ctx context.Context, account string, access e164.Number) (e164.Number, error)
}

// Credit holds and charges money. It is billing.Service.
type Credit interface {
	// Authorise opens the call and sets money aside: billing.ErrInsufficientCredit, billing.ErrBlocked, and the four of
	// billing.Limits.
	Authorise(ctx context.Context, r billing.Request) (billing.Hold, error)
	// Extend adds to the hold what new credit and the limits allow, up to the call limit, and returns the hold as it is then.
	Extend(ctx context.Context, call billing.CallID) (billing.Hold, error)
	// Settle closes a call that has a hold. It does not fail for want of a database: it retries, then spools.
	Settle(ctx context.Context, s billing.Settlement) error
	// Close records a call that came to nothing before it was paid for. An Authorise that failed without a verdict (a
	// time-out) may have been stored all the same: then Close settles that call as not answered and releases its hold.
	Close(ctx context.Context, c billing.Closing) error
}

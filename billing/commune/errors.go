package commune

import "errors"

// The reasons for which the commune refuses something. Their texts are the codes of scenarios/format.md 9, so that a
// scenario and a command say the same; what exactly is wrong is wrapped around them.
var (
	// ErrUnknown is returned by whatever is given the code of a member, an enterprise, an asset, an agreement or a series
	// that there is not.
	ErrUnknown = errors.New("unknown_reference")
	// ErrState is returned by whatever is not possible now: an asset in another state, nothing open or payable, more than
	// is open, a code that is used.
	ErrState = errors.New("wrong_state")
	// ErrPeriodOpen is returned by operations dated in a later month than the open one, and by PayRent for such a month.
	ErrPeriodOpen = errors.New("period_open")
	// ErrFunds is returned when a bank or the escrow would be left negative, or the escrow does not cover the price (D-38).
	ErrFunds = errors.New("insufficient_funds")
	// ErrNotLet is returned by Use for an asset that is not let on that day, or not to this enterprise (I-13).
	ErrNotLet = errors.New("no_active_agreement")
	// ErrLet is returned by LetByAuction for a day on which the asset is let.
	ErrLet = errors.New("agreement_active")
	// ErrCoverage is returned by AuctionBonds when the offered rent does not carry the bonds, or they run longer than the
	// asset lives (P-09).
	ErrCoverage = errors.New("coverage_test_failed")
	// ErrAboveCap is returned by AuctionBonds for a bid above the cap (D-25).
	ErrAboveCap = errors.New("bid_above_cap")
	// ErrSecondBid is returned by AuctionBonds and LetByAuction when somebody bids twice.
	ErrSecondBid = errors.New("duplicate_bid")
	// ErrSecondShare is returned by Join for somebody who has a share already (R6).
	ErrSecondShare = errors.New("second_share")
	// ErrNoContribution is returned by Join without work, or without another active member who attests it (R8).
	ErrNoContribution = errors.New("no_contribution")
	// ErrNotMember is returned by RequestAsset and LetByAuction for somebody who is not an active member on that day.
	ErrNotMember = errors.New("not_a_member")
	// ErrAmount is returned for an amount that is not positive where it must be, or no multiple of the unit asked for.
	ErrAmount = errors.New("amount_precision")
	// ErrEarly is returned by what has its day: a step against rent that does not come, a lapse, a limitation (P-12, P-14).
	ErrEarly = errors.New("too_early")
	// ErrUnbalanced is returned by Open for a book that does not sum to zero, or that says otherwise than another, or than the
	// assets.
	ErrUnbalanced = errors.New("unbalanced_opening")
	// ErrUnknownAccount is returned by Open for credit on a prepaid account that there is not.
	ErrUnknownAccount = errors.New("unknown_account")
	// ErrConflict is returned by every operation whose key was used before for something else.
	ErrConflict = errors.New("idempotency_conflict")
	// ErrUnlet is returned by the close of a month in which an asset was used that nobody had rented (design.md 9.5).
	ErrUnlet = errors.New("unlet_usage")
)

package pbx

import (
	"context"
	"errors"
	"fmt"

	"telecommune/billing"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

var (
	// ErrNoCall is returned by Hangup for a call that is not in progress here.
	ErrNoCall = errors.New("no such call in progress")

	// The reasons why an access call, or a call in it, ends.
	errHungUp     = errors.New("hung up by the operator")
	errShutdown   = errors.New("the exchange is shutting down")
	errFull       = errors.New("too many calls at once")
	errFlood      = fmt.Errorf("%w to record", errFull)
	errNoService  = errors.New("the access number is not in service")
	errServed     = errors.New("served")
	errNoPIN      = errors.New("no valid PIN")
	errNoNumber   = errors.New("no valid number dialled")
	errNoRate     = errors.New("the number has no rate")
	errLoop       = errors.New("the number is one of ours")
	errNoWay      = errors.New("no trunk could carry the call")
	errBusy       = errors.New("the far party is busy")
	errNoAnswer   = errors.New("the far party does not answer")
	errNoSuch     = errors.New("the far network knows no such number")
	errCreditUsed = errors.New("the paid time is used up")
	errSpent      = errors.New("the paid time is used up, and the account may spend no more for now")
	errLongest    = errors.New("the longest time of a call is over")
	errPanic      = errors.New("panic")
)

// denied is that a number may not be called, for a reason of routing.
type denied routing.Denial

func (d denied) Error() string { return "the number may not be called: " + string(d) }

// verdict is what a reason means: to the caller's network, to the caller, to the records, and to the story.
type verdict struct {
	err     error
	cause   Cause           // refuses the call, or stands as Reason in the BYE, and in the record of a call not dialled
	say     []prompt.Phrase // to a caller who is still there
	outcome billing.Outcome // of a call that was not answered
	next    bool            // whether the caller may dial another number
}

// verdicts is the table: the first row whose error is in the chain of a reason holds.
var verdicts = []verdict{
	{errPanic, TemporaryFail, say(prompt.Unavailable), billing.Unavailable, false},
	{ErrEnded, Cause{487, 16}, nil, billing.GaveUp, false},
	{context.Canceled, Cause{487, 16}, nil, billing.GaveUp, false}, // the context of a leg ends with the leg
	{errHungUp, NormalClearing, nil, billing.Unavailable, false},
	{errShutdown, TemporaryFail, nil, billing.Unavailable, false},
	{errFull, NoCircuit, nil, billing.Unavailable, false},
	{errNoService, NotFound, nil, billing.NoNumber, false},
	{errServed, NormalClearing, nil, billing.Served, false},

	{errNoPIN, Rejected, say(prompt.WrongPIN, prompt.NoMoreTries), billing.Unidentified, false},
	{billing.ErrTooManyPINs, Rejected, say(prompt.TooManyPINs), billing.Unidentified, false},
	{billing.ErrBlocked, Rejected, say(prompt.Blocked), billing.Refused, false},
	{billing.ErrNoContact, NotFound, say(prompt.NoContact), billing.NoNumber, false},
	{errNoNumber, NotFound, nil, billing.NoNumber, false},

	{denied(routing.Emergency), Rejected, say(prompt.Emergency), billing.Emergency, false}, // the phone must be free at once
	{denied(routing.Short), NotFound, say(prompt.ShortNumber), billing.ShortNumber, true},
	{denied(routing.Unallocated), NotFound, say(prompt.NotInUse), billing.NotInUse, true},
	{denied(routing.Premium), Rejected, say(prompt.SpecialNumber), billing.SpecialNumber, true},
	{denied(routing.SharedCost), Rejected, say(prompt.SpecialNumber), billing.SpecialNumber, true},
	{denied(routing.Satellite), Rejected, say(prompt.SpecialNumber), billing.SpecialNumber, true},
	{denied(routing.Personal), Rejected, say(prompt.SpecialNumber), billing.SpecialNumber, true},
	{denied(routing.Foreign), Rejected, say(prompt.CountryNotCalled), billing.CountryNotCalled, true},
	{denied(routing.OwnRule), Rejected, say(prompt.CannotBeCalled), billing.NumberBlocked, true},
	{denied(routing.TooDear), Rejected, say(prompt.PriceNotCalled), billing.PriceNotCalled, true},

	{errNoRate, NotFound, say(prompt.CannotBeCalled), billing.Refused, true},
	{errLoop, NotFound, say(prompt.CannotBeCalled), billing.Refused, true},
	{billing.ErrInsufficientCredit, Rejected, say(prompt.NoCredit), billing.Refused, true},
	// What the account's own limits refuse is rejected (Q.850 cause 21, which RFC 3398 makes 403): any other way would be
	// refused as well, and 5xx would say that something is wrong here.
	{billing.ErrTooManyCalls, Rejected, say(prompt.TooManyCalls), billing.TooManyCalls, true},
	{billing.ErrTooDear, Rejected, say(prompt.TooDear), billing.TooDear, true},
	{billing.ErrSpendLimit, Rejected, say(prompt.SpendLimit), billing.SpendLimit, true},
	{billing.ErrCountryBarred, Rejected, say(prompt.CountryBarred), billing.Barred, true},
	{errNoWay, NoCircuit, say(prompt.NoWay), billing.Failed, true},
	{ErrCodec, Incompatible, say(prompt.NoWay), billing.Failed, true},
	{errNoSuch, NotFound, say(prompt.UnknownNumber), billing.Failed, true},
	{errBusy, UserBusy, say(prompt.Busy), billing.Busy, true},
	{errNoAnswer, NoAnswer, say(prompt.NoAnswer), billing.NotAnswered, true},
	{errLongest, NormalClearing, say(prompt.LongestCall), billing.Answered, true},
	{errCreditUsed, NormalClearing, say(prompt.CreditUsedUp), billing.Answered, false},
	{errSpent, NormalClearing, say(prompt.SpendLimitReached), billing.Answered, false},

	{nil, NormalClearing, nil, billing.Answered, true}, // the far side hung up, or the caller dialled ##
}

// unforeseen is the verdict on what is not in the table: a database that is away, a fault of ours.
var unforeseen = verdict{nil, TemporaryFail, say(prompt.Unavailable), billing.Unavailable, false}

func say(phrases ...prompt.Phrase) []prompt.Phrase { return phrases }

// verdictOn finds the row of a reason.
func verdictOn(reason error) verdict {
	for _, v := range verdicts {
		if errors.Is(reason, v.err) {
			return v
		}
	}
	return unforeseen
}

// farReason tells why a far party was not reached, as far as the caller is concerned (ITU-T Q.850, RFC 3398 section 8).
func farReason(failure error) error {
	var d *DialError
	if !errors.As(failure, &d) {
		return failure
	}
	late := errors.Is(failure, ErrRingTimeout) || errors.Is(failure, context.DeadlineExceeded)
	why := errNoWay
	switch {
	case errors.Is(failure, ErrEnded):
		return failure
	case errors.Is(failure, ErrCodec):
		why = ErrCodec
	case d.Q850 == 17, d.Q850 == 21 && d.SIP >= 600, d.SIP == 486, d.SIP == 600, d.SIP == 603:
		why = errBusy
	case late, d.Q850 == 19, d.Rang && (d.SIP == 408 || d.SIP == 480 || d.SIP == 487):
		why = errNoAnswer
	case d.Q850 == 1, d.Q850 == 22, d.Q850 == 28, d.SIP == 404, d.SIP == 410, d.SIP == 484, d.SIP == 604:
		why = errNoSuch
	}
	return fmt.Errorf("%w: %v", why, failure)
}

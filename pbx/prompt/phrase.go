package prompt

// Phrase is something that is said in the same words each time: the name of one clip in every language.
type Phrase string

// All that the call script says besides prices and times.
const (
	Welcome     Phrase = "welcome"
	Goodbye     Phrase = "goodbye"
	Unavailable Phrase = "unavailable"
	Echo        Phrase = "echo"

	AskPIN      Phrase = "ask-pin"
	WrongPIN    Phrase = "wrong-pin"
	NoMoreTries Phrase = "no-more-tries"
	TooManyPINs Phrase = "too-many-pins"
	Blocked     Phrase = "blocked"

	AskNumber      Phrase = "ask-number"
	AskNextNumber  Phrase = "ask-next-number"
	WrongNumber    Phrase = "wrong-number"
	CannotBeCalled Phrase = "cannot-be-called"
	NoContact      Phrase = "no-contact"

	Emergency        Phrase = "emergency"
	ShortNumber      Phrase = "short-number"
	NotInUse         Phrase = "not-in-use"
	SpecialNumber    Phrase = "special-number"
	CountryNotCalled Phrase = "country-not-called"
	PriceNotCalled   Phrase = "price-not-called"

	NoCredit      Phrase = "no-credit"
	TooManyCalls  Phrase = "too-many-calls"
	TooDear       Phrase = "too-dear"
	SpendLimit    Phrase = "spend-limit"
	CountryBarred Phrase = "country-barred"

	Busy          Phrase = "busy"
	NoAnswer      Phrase = "no-answer"
	UnknownNumber Phrase = "unknown-number"
	NoWay         Phrase = "no-way"

	OneMinuteLeft     Phrase = "one-minute-left"
	TenSecondsLeft    Phrase = "ten-seconds-left"
	CreditUsedUp      Phrase = "credit-used-up"
	SpendLimitReached Phrase = "spend-limit-reached"
	LongestCall       Phrase = "longest-call"
)

var phrases = []Phrase{
	Welcome, Goodbye, Unavailable, Echo, AskPIN, WrongPIN, NoMoreTries, TooManyPINs, Blocked, AskNumber, AskNextNumber,
	WrongNumber, CannotBeCalled, NoContact, Emergency, ShortNumber, NotInUse, SpecialNumber, CountryNotCalled,
	PriceNotCalled, NoCredit, TooManyCalls, TooDear, SpendLimit, CountryBarred, Busy, NoAnswer, UnknownNumber, NoWay,
	OneMinuteLeft, TenSecondsLeft, CreditUsedUp, SpendLimitReached, LongestCall,
}

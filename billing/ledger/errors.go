package ledger

import "errors"

var (
	// ErrUnbalanced is returned by Post for an entry whose lines don't sum to zero in each book.
	ErrUnbalanced = errors.New("the entry does not balance in each of its books")
	// ErrEntry is returned by Post for an entry without key or kind, with fewer than two lines or with a zero line.
	ErrEntry = errors.New("not an entry")
	// ErrAccount is returned by Post for a line in a book that does not exist or an account that can't be, and by the
	// functions on balance rows for an account that keeps none.
	ErrAccount = errors.New("no such account in the books")
	// ErrConflict is returned by Post when its key was used before with another content.
	ErrConflict = errors.New("the key was used before for another entry")
	// ErrOverdrawn is returned by Post, Hold and SetLimit when an account would owe more than its limit allows.
	ErrOverdrawn = errors.New("more than the account has free")
	// ErrHeld is returned by Hold when more is released than is held.
	ErrHeld = errors.New("more than is held")
	// ErrExists is returned by OpenBalance for an account that has a balance row.
	ErrExists = errors.New("the account keeps a balance already")
	// ErrBookClosed is returned by Post for a line in the book of an enterprise that was wound up.
	ErrBookClosed = errors.New("the book is closed for good")
	// ErrPeriodClosed is returned by Post and Reverse for an entry of a closed period.
	ErrPeriodClosed = errors.New("period_closed")
	// ErrPeriodOpen is returned by Close for a period that is not the next.
	ErrPeriodOpen = errors.New("period_open")
	// ErrPeriodRuns is returned by Close for a month that is not over.
	ErrPeriodRuns = errors.New("the month is not over")
	// ErrPeriod is returned by ParsePeriod.
	ErrPeriod = errors.New("not a month: want year and month, such as 2027-06")
	// ErrSeal is returned by ParseSeal.
	ErrSeal = errors.New("not a seal: want the 64 hexadecimal digits that a closed period shows")
	// ErrNoEntry is returned by Reverse for an id that no entry has.
	ErrNoEntry = errors.New("no such entry")
	// ErrReversed is returned by Reverse for an entry that was reversed for another reason.
	ErrReversed = errors.New("the entry was reversed before")
	// ErrReason is returned by Reverse when no reason is given.
	ErrReason = errors.New("a reversal needs a reason")
	// ErrDate is returned by ParseDate.
	ErrDate = errors.New("not a date: want a day such as 2027-06-30")
	// ErrFormat is returned by Export for a format that it does not know.
	ErrFormat = errors.New("not a format: want hledger or beancount")
)

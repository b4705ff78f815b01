package tariff

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrRow is returned by Price for a row without intervals or rounding, such as the zero Row.
	ErrRow = errors.New("not a rate row")
	// ErrPercent is returned by ParsePercent.
	ErrPercent = errors.New("not a percentage: want 0 to 100 with at most 6 decimals, such as 19 or 7.7")
	// ErrUnknownTrunk is returned by Import for the deck of a trunk that does not exist.
	ErrUnknownTrunk = errors.New("no such trunk")
	// ErrCurrency is returned by Import for a retail deck in another currency than the commune's.
	ErrCurrency = errors.New("callers pay in the commune's currency")
	// ErrExchangeRate is returned by ParseExchangeRate.
	ErrExchangeRate = errors.New("not an exchange rate: want a decimal over 0 with at most 6 decimals, such as 1.0856")
	// ErrOwnCurrency is returned by SetExchangeRate for the commune's own currency.
	ErrOwnCurrency = errors.New("the commune's own currency needs no exchange rate")
	// ErrNoExchangeRate is returned by CostPlus for a trunk whose currency has no exchange rate yet.
	ErrNoExchangeRate = errors.New("no exchange rate")
	// ErrNoChanges is returned by ImportRows for changes of a deck that has no version in force, or one in another currency.
	ErrNoChanges = errors.New("no version in force that these could be changes of")
	// ErrActivated is returned by Activate for a version that is or was in force.
	ErrActivated = errors.New("only a draft or a version to come can be activated")
	// ErrPast is returned by Activate for an instant that is over.
	ErrPast = errors.New("a version can't come into force in the past")
	// ErrNotInForce is returned by Rollback for a version that is neither in force nor to come.
	ErrNotInForce = errors.New("only a version in force or to come can be rolled back")
	// ErrNoneBefore is returned by Rollback for the first version: there would be no prices at all.
	ErrNoneBefore = errors.New("there is no version before it")
	// ErrFormatExists is returned by AddFormat for a name that is taken.
	ErrFormatExists = errors.New("exists already")
	// ErrNoFormat is returned by Format and RemoveFormat for a name that is not known.
	ErrNoFormat = errors.New("no such deck format")
	// ErrNotFound is returned by Store.Deck for a deck or a version that does not exist.
	ErrNotFound = errors.New("no such deck")
)

// maxBadLines is how many bad lines of a deck are told; more would not help whoever mends it.
const maxBadLines = 20

// BadDeck is returned by ParseDeck and ParseHolidays: all that is wrong with a deck, line by line.
type BadDeck struct {
	Lines []BadLine // the first 20, in order
	More  int       // bad lines beyond those
}

// BadLine is one line of a deck that was refused, counted from 1.
type BadLine struct {
	Line    int
	Problem string
}

// add notes a bad line, or only counts it when there are many.
func (e *BadDeck) add(line int, problem string) {
	if len(e.Lines) == maxBadLines {
		e.More++
		return
	}
	e.Lines = append(e.Lines, BadLine{line, problem})
}

func (e *BadDeck) Error() string {
	parts := make([]string, 0, len(e.Lines)+1)
	for _, l := range e.Lines {
		parts = append(parts, fmt.Sprintf("line %d: %s", l.Line, l.Problem))
	}
	if e.More > 0 {
		parts = append(parts, fmt.Sprintf("and %d more bad lines", e.More))
	}
	return "refused: " + strings.Join(parts, "; ")
}

// clip keeps an error line short when the input is hostile; %q at the caller escapes it.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// TooDear is returned by ImportRows and Activate when nobody accepted that prices go up by more than 30 %.
type TooDear struct {
	Count int
	Worst []Difference // at least one
}

func (e *TooDear) Error() string {
	parts := make([]string, 0, len(e.Worst))
	for _, d := range e.Worst[:min(len(e.Worst), 3)] {
		parts = append(parts, d.String())
	}
	if e.Count == 1 {
		return "a price would go up by more than 30 %: " + parts[0]
	}
	return fmt.Sprintf("%d prices would go up by more than 30 %%: %s", e.Count, strings.Join(parts, "; "))
}

package routing

import (
	"cmp"
	"errors"
	"fmt"
)

var (
	// ErrNotFound is returned by Trunk, SetTrunk and RemoveTrunk for a code that no trunk has.
	ErrNotFound = errors.New("no such trunk")
	// ErrExists is returned by AddTrunk for a code that is taken.
	ErrExists = errors.New("there is a trunk with this code already")
	// ErrNoPolicy is returned by RemovePolicy for a prefix that has none.
	ErrNoPolicy = errors.New("no such policy")
	// ErrNoRule is returned by RemoveRule for a prefix without a rule.
	ErrNoRule = errors.New("no such rule")
	// ErrNote is returned by SetRule for a text that is too long.
	ErrNote = errors.New("want a text of at most 200 characters")
	// ErrPrefix is returned by ParsePrefix.
	ErrPrefix = errors.New("not a prefix: want 1 to 15 digits that begin with a country code, such as 4918")
	// ErrCountries is returned by ParseCountries.
	ErrCountries = errors.New("not a list of countries: want two letters of ISO 3166 each, such as DE,UA, or all")
)

// FieldError is returned by AddTrunk and SetTrunk for a trunk that can't be, and by SetPolicy for a policy: the field, and
// what it should be.
type FieldError struct {
	Of    string // what has the field; empty: a trunk
	Field string // as in the JSON
	Want  string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s %s: want %s", cmp.Or(e.Of, "trunk"), e.Field, e.Want)
}

package routing

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound is returned by Trunk, SetTrunk and RemoveTrunk for a code that no trunk has.
	ErrNotFound = errors.New("no such trunk")
	// ErrExists is returned by AddTrunk for a code that is taken.
	ErrExists = errors.New("there is a trunk with this code already")
)

// FieldError is returned by AddTrunk and SetTrunk for a trunk that can't be: the field, and what it should be.
type FieldError struct {
	Field string // as in the trunk's JSON
	Want  string
}

func (e *FieldError) Error() string { return fmt.Sprintf("trunk %s: want %s", e.Field, e.Want) }

package main

import (
	"context"
	"time"
)

// clockKey is where a context bears the clock of its commands. Only tests put one there.
type clockKey struct{}

// clockOf is the clock that everything goes by that is written down: the machine's, unless the context bears another.
// What is only waited for goes by real time, and rows are stamped, and found to be out of date, by the database's.
func clockOf(ctx context.Context) func() time.Time {
	if clock, has := ctx.Value(clockKey{}).(func() time.Time); has {
		return clock
	}
	return time.Now
}

// now is the time by that clock.
func now(ctx context.Context) time.Time { return clockOf(ctx)() }

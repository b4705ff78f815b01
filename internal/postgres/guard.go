package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// maxLeft is how much work a Guard lets be left behind; the rest of the pool is for those who try whether the database
// answers again.
const maxLeft = poolSize - 4

// ErrHangs is returned by Await at once when too much work waits for the database already. Nothing was sent then.
var ErrHangs = errors.New("the database does not answer")

// Guard counts the work with a database whose caller did not wait for its end. The zero value is ready.
type Guard struct{ left atomic.Int32 }

// Await does work with the database in a goroutine of its own and gives its result, or ctx.Err() as soon as the context
// ends. lib/pq goes on waiting then: it asks the server to cancel, which one that hangs does not do. What the caller
// left behind ends when the server answers or its connection is given up; its result goes to late, if that is not nil.
// Since do may outlive the call, what it finds out belongs into its result and not into variables outside. A panic in it
// becomes an error.
func Await[T any](ctx context.Context, g *Guard, do func(context.Context) (T, error), late func(T, error)) (T, error) {
	var zero T
	if g.left.Load() >= maxLeft {
		return zero, ErrHangs
	}
	type result struct {
		value T
		err   error
	}
	answer, gone := make(chan result), make(chan struct{})
	go func() {
		var r result
		r.value, r.err = calmly(ctx, do)
		select { // whoever takes part in the first case, there is nobody to close gone
		case answer <- r:
		case <-gone:
			g.left.Add(-1)
			if late != nil {
				late(r.value, r.err)
			}
		}
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
		g.left.Add(1)
		close(gone)
		return zero, ctx.Err()
	}
}

func calmly[T any](ctx context.Context, do func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do(ctx)
}

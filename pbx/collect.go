package pbx

import (
	"context"
	"time"
)

// Read collects digits from where an engine puts those of a leg, once the prompt has been played: it is the better half of
// Leg.Collect. The digit that stopped the prompt, if one was pressed, comes first. ErrNoDigits, ErrEnded, ctx's error.
func (c Collect) Read(ctx context.Context, leg Leg, digits <-chan byte, digit byte, pressed bool) (string, error) {
	var typed []byte
	timeout := time.NewTimer(c.First)
	defer timeout.Stop()
	for {
		if !pressed {
			select {
			case digit = <-digits:
			case <-timeout.C:
				if len(typed) == 0 {
					return "", ErrNoDigits
				}
				return string(typed), nil
			case <-leg.Done():
				return "", ErrEnded
			case <-ctx.Done():
				if _, ended := endOf(leg); ended { // which ends the contexts of its calls
					return "", ErrEnded
				}
				return "", ctx.Err()
			}
		}
		pressed = false
		if c.Terminator != 0 && digit == c.Terminator {
			return string(typed), nil
		}
		if typed = append(typed, digit); len(typed) >= c.Max {
			return string(typed), nil
		}
		timeout.Reset(c.Next)
	}
}

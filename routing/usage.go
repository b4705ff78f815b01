package routing

import (
	"time"

	"github.com/google/uuid"

	"telecommune/internal/money"
)

// Usage is what calls took of a trunk: answered seconds, and what they cost in the commune's currency.
type Usage struct {
	Seconds int64
	Cost    money.Amount
}

func (u Usage) plus(v Usage) Usage  { return Usage{u.Seconds + v.Seconds, u.Cost + v.Cost} }
func (u Usage) minus(v Usage) Usage { return Usage{u.Seconds - v.Seconds, u.Cost - v.Cost} }

// minutes are whole ones, begun ones with them.
func (u Usage) minutes() int64 { return (u.Seconds + 59) / 60 }

// Spent is what calls in the database took of a trunk. A call counts on the day on which it ended, in the commune's zone.
type Spent struct {
	Day, Month         Usage
	DayEnds, MonthEnds time.Time
	Prepaid            money.Amount // since the instant of the prepaid balance
}

func (s Spent) day(now time.Time) Usage {
	if now.Before(s.DayEnds) {
		return s.Day
	}
	return Usage{} // another day has begun since it was read
}

func (s Spent) month(now time.Time) Usage {
	if now.Before(s.MonthEnds) {
		return s.Month
	}
	return Usage{}
}

// limited tells whether what is used of the trunk counts for anything.
func (t Trunk) limited() bool {
	return t.MinutesDay > 0 || t.MinutesMonth > 0 || t.SpendDay > 0 || t.SpendMonth > 0 || t.PrepaidAt != nil
}

// used is SpendLimit when the call could take the trunk over its minutes or money, with all calls that run.
func (u *use) used(t Trunk, most Usage, now time.Time) Reason {
	if !t.limited() {
		return ""
	}
	day, month := u.spent.day(now).plus(u.open), u.spent.month(now).plus(u.open)
	switch over := most == (Usage{}); {
	case exceeds(day.Seconds+most.Seconds, int64(t.MinutesDay)*60, over),
		exceeds(month.Seconds+most.Seconds, int64(t.MinutesMonth)*60, over),
		exceeds(int64(day.Cost+most.Cost), int64(t.SpendDay), over),
		exceeds(int64(month.Cost+most.Cost), int64(t.SpendMonth), over):
		return SpendLimit
	}
	return ""
}

// exceeds tells whether n is over a limit, or with full no longer under it; 0 is none.
func exceeds(n, limit int64, full bool) bool {
	return limit > 0 && (n > limit || full && n == limit)
}

// unpaid is NoBalance when the call could take what is left with the carrier below the floor.
func (u *use) unpaid(t Trunk, most Usage) Reason {
	if t.PrepaidAt == nil {
		return ""
	}
	left := t.Prepaid - u.spent.Prepaid - u.open.Cost - most.Cost
	if left < t.PrepaidFloor || most == (Usage{}) && left == t.PrepaidFloor {
		return NoBalance
	}
	return ""
}

// Unsettled gives the calls that the gate counts by itself, since they were not known to be in the database.
func (g *Gate) Unsettled() []uuid.UUID {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := make([]uuid.UUID, 0, len(g.calls))
	for call := range g.calls {
		calls = append(calls, call)
	}
	return calls
}

// Settled takes what calls in the database took of each trunk, and which calls of Unsettled are among them: those are not
// counted twice. A call that came between the two counts twice until the next time, so that no limit is ever passed.
func (g *Gate) Settled(spent map[string]Spent, among []uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for trunk, s := range spent {
		g.at(trunk, time.Now()).spent = s
	}
	for _, call := range among {
		if t := g.calls[call]; t != nil && !t.runs {
			g.set(t.trunk, call, Usage{})
		}
	}
}

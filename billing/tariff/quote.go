package tariff

import (
	"time"

	"telecommune/internal/money"
)

// Quote is what a call may come to cost, told before it is dialled: by the row in force then, or by one that comes into
// force before the call is answered. The moment of the answer decides.
type Quote struct {
	Row
	Later  []Later // by time
	Access Row     // what the access number adds where the tariff passes its cost on; else the zero row
}

// Later is a row that comes into force after a quote was made.
type Later struct {
	From time.Time `json:"from"`
	Row  Row       `json:"row"`
}

// At gives the row that prices a call answered at an instant. A call that is answered before the quote was made, by a
// clock that was set back, has the first.
func (q Quote) At(answered time.Time) Row {
	row := q.Row
	for _, l := range q.Later {
		if !answered.Before(l.From) {
			row = l.Row
		}
	}
	return row
}

// Answered is the quote of a call whose answer is known: one row is left.
func (q Quote) Answered(at time.Time) Quote { return Quote{Row: q.At(at), Access: q.Access} }

// Price is Row.Price by the dearest row, with what the access number adds: the call costs no more, whenever it is
// answered.
func (q Quote) Price(answered int) (money.Amount, error) {
	most, err := q.Row.Price(answered)
	for _, l := range q.Later {
		if err != nil {
			return 0, err
		}
		var price money.Amount
		price, err = l.Row.Price(answered)
		most = max(most, price)
	}
	if err != nil {
		return 0, err
	}
	access, err := q.AccessPrice(answered)
	if err != nil {
		return 0, err
	}
	return most.Add(access)
}

// AccessPrice is the part of the price that the access number adds, rounded by itself: it has a line of its own on the
// bill.
func (q Quote) AccessPrice(answered int) (money.Amount, error) {
	if q.Access == (Row{}) {
		return 0, nil
	}
	return q.Access.Price(answered)
}

// FirstPaidSecond is the shortest answered time that costs by every row.
func (q Quote) FirstPaidSecond() int {
	first := q.Row.FirstPaidSecond()
	for _, l := range q.Later {
		first = max(first, l.Row.FirstPaidSecond())
	}
	return first
}

// Affordable gives the most answered seconds, up to limit, whose price is at most amount by every row.
func (q Quote) Affordable(amount money.Amount, limit int) int {
	return affordable(amount, limit, q.Price)
}

// Told gives the rate a minute and the connection fee to announce: of each the highest, with what the access number
// adds, so that nobody pays more than was said.
func (q Quote) Told() (perMinute, fee money.Amount) {
	perMinute, fee = q.RatePerMinute, q.ConnectFee
	for _, l := range q.Later {
		perMinute, fee = max(perMinute, l.Row.RatePerMinute), max(fee, l.Row.ConnectFee)
	}
	return perMinute + q.Access.RatePerMinute, fee + q.Access.ConnectFee
}

package commune

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"telecommune/internal/money"
)

// MaxBids is the most that a file of bids may have.
const MaxBids = 200_000

// ErrBids is returned by ReadBids and ReadRentalBids for a file that is none.
var ErrBids = errors.New("not a file of bids")

// ReadBids reads sealed bids for bonds in their order: CSV with the columns bidder, rate_bps and amount. ErrBids names the
// line.
func ReadBids(r io.Reader) ([]Bid, error) {
	return readBids(r, []string{"bidder", "rate_bps", "amount"}, func(fields []string) (b Bid, err error) {
		rate, err := strconv.ParseInt(fields[1], 10, 32)
		if err != nil || rate < 0 {
			return b, fmt.Errorf("rate_bps %.40q is not a whole number of basis points", fields[1])
		}
		b = Bid{Bidder: fields[0], RateBPS: int(rate)}
		b.Amount, err = money.Parse(fields[2])
		return b, err
	})
}

// ReadRentalBids reads bids for a rent in their order: CSV with the columns bidder, enterprise and amount. ErrBids names the
// line.
func ReadRentalBids(r io.Reader) ([]RentalBid, error) {
	return readBids(r, []string{"bidder", "enterprise", "amount"}, func(fields []string) (b RentalBid, err error) {
		b = RentalBid{Bidder: fields[0], Enterprise: fields[1]}
		b.Amount, err = money.Parse(fields[2])
		return b, err
	})
}

func readBids[T any](r io.Reader, header []string, parse func([]string) (T, error)) ([]T, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(header)
	in.ReuseRecord = true
	var bids []T
	for line := 1; ; line++ {
		fields, err := in.Read()
		switch {
		case errors.Is(err, io.EOF) && line > 1:
			return bids, nil
		case errors.Is(err, io.EOF) || err == nil && line == 1 && !slices.Equal(fields, header):
			return nil, fmt.Errorf("%w: the first line must be %q", ErrBids, header)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrBids, err)
		case line == 1:
			continue
		case len(bids) == MaxBids:
			return nil, fmt.Errorf("%w: more than %d", ErrBids, MaxBids)
		}
		bid, err := parse(fields)
		if err == nil && (fields[0] == "" || len(fields[0]) > 32) {
			err = errors.New("the bidder's code has 1 to 32 letters, digits, - or _")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrBids, line, err)
		}
		bids = append(bids, bid)
	}
}

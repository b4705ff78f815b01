package replay

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Options of a run.
type Options struct {
	Until string // id of an event: stop before it, and compare what there should be by then
	// Inspect, when set, looks at the books before they go; names are those of the scenario by the code of the book.
	Inspect func(ctx context.Context, tx *sqlx.Tx, names map[string]string) error
}

// Run replays a scenario. The result is the books as they stand at the end or before the first refused event;
// differences tell how it is unlike what the scenario expects, none when it is right (an expected refusal is right). An
// error means that the run itself broke off, for want of the database.
func Run(ctx context.Context, db *sqlx.DB, scenario []byte, o Options) (Result, []string, error) {
	s, err := parse(scenario)
	if err != nil {
		result := empty()
		result.Error = asRefusal(err)
		return result, s.compare(result, nil), nil
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return empty(), nil, fmt.Errorf("replay: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing is ever committed; an error of the run has been told already
	r := newRun(tx, s.world)
	broken := r.all(ctx, s.events, o.Until)
	refusal := asRefusal(broken)
	if broken != nil && refusal == nil {
		return empty(), nil, fmt.Errorf("replay: %w", broken)
	}
	result, err := r.result(ctx)
	if err == nil && o.Inspect != nil && (refusal == nil || refusal.Event >= 0) { // without an opening there are no books
		err = o.Inspect(ctx, tx, r.books.ids)
	}
	if err != nil {
		return empty(), nil, fmt.Errorf("replay: %w", err)
	}
	result.Error = refusal
	if o.Until == "" {
		return result, s.compare(result, nil), nil
	}
	return result, s.compare(result, r.ran), nil
}

package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
)

// Writer posts entries of many callers at once, in as few transactions as that takes. All methods may be called from
// several goroutines, and several programs may write into one database.
type Writer struct {
	group *postgres.Group[Entry, uuid.UUID]
}

// NewWriter makes a writer. Patience is how long one of its transactions may take.
func NewWriter(db *sqlx.DB, guard *postgres.Guard, patience time.Duration) *Writer {
	return &Writer{postgres.NewGroup(db, guard, patience, PostAll)}
}

// Post is the function of that name in a transaction that the entry shares with those that came meanwhile. Only an error
// that Post names says that the entry was not posted; after another, or when ctx ended, post it again under its key.
func (w *Writer) Post(ctx context.Context, e Entry) (uuid.UUID, error) {
	return w.group.Do(ctx, e)
}

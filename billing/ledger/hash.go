package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// row is an entry as it stands in its table.
type row struct {
	ID        uuid.UUID     `db:"id"`
	Key       string        `db:"key"`
	Content   []byte        `db:"content_hash"`
	Kind      string        `db:"kind"`
	At        time.Time     `db:"at"`
	Date      Date          `db:"business_date"`
	Zone      string        `db:"zone"`
	Text      string        `db:"text"`
	Actor     string        `db:"actor"`
	Reverses  uuid.NullUUID `db:"reverses"`
	PostedAt  time.Time     `db:"posted_at"`
	LineCount int           `db:"line_count"`
	Hash      []byte        `db:"hash"` // over all of the above and the lines
}

// hash is the SHA-256 over what a row and its lines in order say: each field as a netstring, so that no two entries have
// one form. The schema's function entry_hash does the same in SQL.
func (r *row) hash(lines []Line) []byte {
	f := make(form, 0, 512)
	f.entry(r)
	for i, l := range lines {
		f.line(i+1, r.LineCount, l)
	}
	return f.sum()
}

// form is what a hash is taken of.
type form []byte

func (f *form) text(s string) {
	*f = strconv.AppendInt(*f, int64(len(s)), 10)
	*f = append(*f, ':')
	*f = append(*f, s...)
	*f = append(*f, ',')
}

func (f *form) number(n int64) { f.text(strconv.FormatInt(n, 10)) }

// entry begins a form with all of a row but its hash.
func (f *form) entry(r *row) {
	*f = (*f)[:0]
	f.text("entry 1")
	f.text(r.ID.String())
	f.text(r.Key)
	f.text(hex.EncodeToString(r.Content))
	f.text(r.Kind)
	f.number(r.At.UnixMicro())
	f.text(string(r.Date))
	f.text(r.Zone)
	f.text(r.Text)
	f.text(r.Actor)
	if r.Reverses.Valid {
		f.text(r.Reverses.UUID.String())
	} else {
		f.text("")
	}
	f.number(r.PostedAt.UnixMicro())
	f.number(int64(r.LineCount))
}

// line adds line n, which says that its entry has count lines.
func (f *form) line(n, count int, l Line) {
	f.number(int64(n))
	f.number(int64(count))
	f.text(l.Book)
	f.text(l.Account)
	f.number(int64(l.Amount))
}

func (f *form) sum() []byte {
	sum := sha256.Sum256(*f)
	return sum[:]
}

// mark is the part of a hash that table tally counts up by exclusive or.
func mark(hash []byte) int64 { return int64(binary.BigEndian.Uint64(hash)) }

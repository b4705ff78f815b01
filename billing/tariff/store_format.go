package tariff

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"telecommune/internal/postgres"
)

// StoredFormat is a format under its name, as the file that it was added from.
type StoredFormat struct {
	Name    string    `json:"name" db:"name"`
	Text    string    `json:"text" db:"text"`
	AddedAt time.Time `json:"added_at" db:"added_at"`
}

// maxFormat is the longest file of a format, in bytes.
const maxFormat = 64 << 10

// AddFormat keeps a format under a name, as its text: ErrFormatExists, or what ParseFormat says.
func (s *Store) AddFormat(ctx context.Context, name, text string) (StoredFormat, error) {
	added := StoredFormat{Name: name}
	err := s.addFormat(ctx, &added, text)
	if err != nil {
		return StoredFormat{}, fmt.Errorf("deck format %.40q: %w", name, err)
	}
	return added, nil
}

func (s *Store) addFormat(ctx context.Context, to *StoredFormat, text string) error {
	if !nameSyntax.MatchString(to.Name) {
		return errors.New("want a name of 1 to 32 letters, digits, - or _")
	}
	if len(text) > maxFormat {
		return fmt.Errorf("longer than %d kB", maxFormat>>10)
	}
	if _, err := ParseFormat(text); err != nil {
		return err
	}
	err := s.db.GetContext(ctx, to, `
		INSERT INTO deck_format (name, text) VALUES ($1, $2) RETURNING name, text, added_at`, to.Name, text)
	if postgres.Constraint(err) == "deck_format_pkey" {
		return ErrFormatExists
	}
	to.AddedAt = to.AddedAt.UTC()
	return err
}

// Formats lists the formats by name.
func (s *Store) Formats(ctx context.Context) ([]StoredFormat, error) {
	all := []StoredFormat{}
	err := s.db.SelectContext(ctx, &all, `SELECT name, text, added_at FROM deck_format ORDER BY name COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list deck formats: %w", err)
	}
	for i := range all {
		all[i].AddedAt = all[i].AddedAt.UTC()
	}
	return all, nil
}

// Format gives one format, or ErrNoFormat.
func (s *Store) Format(ctx context.Context, name string) (StoredFormat, error) {
	var f StoredFormat
	err := s.db.GetContext(ctx, &f, `SELECT name, text, added_at FROM deck_format WHERE name = $1`, name)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoFormat
	}
	if err != nil {
		return StoredFormat{}, fmt.Errorf("deck format %.40q: %w", name, err)
	}
	f.AddedAt = f.AddedAt.UTC()
	return f, nil
}

// RemoveFormat takes a format away, or returns ErrNoFormat. Decks that were imported by it stay.
func (s *Store) RemoveFormat(ctx context.Context, name string) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM deck_format WHERE name = $1`, name)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && n == 0 {
			err = ErrNoFormat
		}
	}
	if err != nil {
		return fmt.Errorf("deck format %.40q: %w", name, err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"telecommune/billing"
	"telecommune/internal/postgres"
)

// What doctor looks for in the state folder beside the database.

// errUnused ends a look at the key of a database that has none yet.
var errUnused = errors.New("no key was used yet")

// checkKey tells whether the key in the state folder is that of the database, without making one or binding any.
func checkKey(ctx context.Context, c Config, db *postgres.DB) finding {
	name := filepath.Join(c.State, keyFile)
	f := finding{Check: "secret key", Status: good, Detail: name}
	info, missing := os.Stat(name)
	_, err := billing.OpenKey(ctx, db.DB, func(fresh bool) ([]byte, error) {
		key, err := readKey(name)
		if fresh && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			return nil, errUnused
		}
		return key, err
	})
	lost := "put back a copy of it; without one: telecommune commune forget-key --force"
	switch {
	case errors.Is(err, errUnused) && missing != nil:
		f.Detail = "will be made with the first PIN"
	case errors.Is(err, billing.ErrKey):
		f.Status, f.Detail, f.Fix = warn, name+" is missing: PINs and vouchers can't be used, serve doesn't start", lost
	case err != nil && !errors.Is(err, errUnused):
		f.Status, f.Detail, f.Fix = fail, oneLine(err.Error()), lost
	case info.Mode().Perm()&0o077 != 0:
		f.Status, f.Detail, f.Fix = fail, name+" can be read by others", "chmod 600 "+name
	}
	return f
}

// checkSpool finds calls that are not in the books: money that nobody has been charged.
func checkSpool(c Config) finding {
	folder := spoolFolder(c.State)
	f := finding{"spool", good, "each call that ended is in the books", ""}
	lies, err := billing.ReadSpool(folder)
	switch {
	case err != nil:
		f.Status, f.Detail, f.Fix = warn, oneLine(err.Error()), "ls -l "+folder
	case lies.Unreadable > 0:
		f.Status, f.Detail = warn, fmt.Sprintf("%d calls can't be settled, %d wait for the database", lies.Unreadable, lies.Waiting)
		f.Fix = "look at " + filepath.Join(folder, "unreadable.jsonl") + " and report it"
	case lies.Waiting > 0:
		f.Status, f.Detail = warn, fmt.Sprintf("%d calls wait for the database", lies.Waiting)
		f.Fix = "telecommune serve settles them as soon as it reaches the database"
	}
	return f
}

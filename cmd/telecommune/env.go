package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"telecommune/billing"
	"telecommune/billing/commune"
	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/routing"
)

// quiet is the log of commands: what matters of their work is their output or their one line of error.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// warnings is the log of a command's database: why it takes long, when it does.
func warnings(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func databaseOptions(c Config) postgres.Options {
	return postgres.Options{State: c.State, DSN: c.DB, Log: quiet()}
}

// openDB opens the database of the configuration. The owner is serve or demo.
func openDB(ctx context.Context, c Config, owner bool, log *slog.Logger) (*postgres.DB, error) {
	o := databaseOptions(c)
	o.Owner, o.Log = owner, log
	return postgres.Open(ctx, o)
}

// services are the stores of the domain on one database.
type services struct {
	db      *postgres.DB
	billing *billing.Service
	trunks  *routing.Store
	decks   *tariff.Store
	access  *pbx.Store // providers and access numbers
	commune *commune.Store
}

// with opens the database for the length of do, without the secret key: lists work where that is missing.
func with(cmd *cobra.Command, do func(ctx context.Context, s services) error) error {
	return open(cmd, func(context.Context, *postgres.DB, string) ([]byte, error) { return nil, nil }, do)
}

// withKey is with for whatever makes or takes PINs and vouchers.
func withKey(cmd *cobra.Command, do func(ctx context.Context, s services) error) error {
	return open(cmd, openKey, do)
}

func open(cmd *cobra.Command, openKey func(context.Context, *postgres.DB, string) ([]byte, error),
	do func(ctx context.Context, s services) error,
) (err error) {
	c, err := config(cmd)
	if err != nil {
		return err
	}
	db, err := openDB(cmd.Context(), c, false, warnings(cmd))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := services{
		db: db, trunks: routing.NewStore(db.DB), decks: tariff.NewStore(db.DB), access: pbx.NewStore(db.DB),
		commune: commune.NewStore(db.DB),
	}
	key, err := openKey(cmd.Context(), db, c.State)
	if err != nil {
		return err
	}
	if s.billing, err = newBilling(cmd.Context(), db, key, c, nil, quiet()); err != nil {
		return err
	}
	return do(cmd.Context(), s)
}

// newBilling makes the billing service of this node, for one run of the program.
func newBilling(ctx context.Context, db *postgres.DB, key []byte, c Config, recovering <-chan struct{}, log *slog.Logger) (*billing.Service, error) {
	boot, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("number of this run: %w", err)
	}
	return billing.New(db.DB, billing.Options{
		Key: key, Node: c.Node, Boot: boot, Spool: spoolFolder(c.State), Recovering: recovering, Now: clockOf(ctx), Log: log,
	}), nil
}

const (
	keyFile  = "secret.key" // in the state folder; PINs and vouchers are worth nothing without it
	keyBytes = 32
)

// spoolFolder is where the ends of calls wait for the database.
func spoolFolder(state string) string { return filepath.Join(state, "spool") }

// openKey reads the secret of the state folder if it is that of the database. It makes one for a database without.
func openKey(ctx context.Context, db *postgres.DB, state string) ([]byte, error) {
	return billing.OpenKey(ctx, db.DB, func(fresh bool) ([]byte, error) {
		if fresh {
			return loadKey(state)
		}
		return readKey(filepath.Join(state, keyFile))
	})
}

// loadKey reads the secret of the state folder, and makes it when there is none. Two programs that start at once end
// up with the same: the file appears whole, under its name, once.
func loadKey(state string) ([]byte, error) {
	name := filepath.Join(state, keyFile)
	key, err := readKey(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := makeKey(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the secret key: %w", err)
	}
	return readKey(name)
}

func readKey(name string) ([]byte, error) {
	key, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("secret key %s has %d bytes instead of %d: put back the right file", name, len(key), keyBytes)
	}
	return key, nil
}

func makeKey(name string) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+keyFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), name) // unlike a rename it never replaces another's key
}

// readSecret reads a password from the first line of a file, or of the input when the file is named `-`. It never is an
// argument: those can be seen by everybody on the machine.
func readSecret(cmd *cobra.Command, file string) (string, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	line := firstLine(string(text))
	if line == "" {
		return "", fmt.Errorf("password: %s is empty", file)
	}
	return line, nil
}

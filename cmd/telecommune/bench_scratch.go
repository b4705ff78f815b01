package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"

	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
)

// scratch is a database that lives as long as a measurement, on a server as durable as serve's.
type scratch struct {
	app   *sqlx.DB // as the program works
	owner *sqlx.DB // who may do everything
}

// withScratch starts a server in a folder of its own, and takes both away after do.
func withScratch(ctx context.Context, do func(scratch) error) (err error) {
	dir, err := demoState()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	folder := filepath.Join(dir, "pg")
	server, err := cluster.New(cluster.Config{Folder: folder, Log: quiet()})
	if err != nil {
		return err
	}
	if err := server.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	at := cluster.Connection(folder, cluster.Database)
	if err := postgres.Migrate(ctx, at, quiet()); err != nil {
		return err
	}
	var db scratch
	if db.app, err = postgres.AsApp(at); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.app.Close()) }()
	if db.owner, err = postgres.AsLogin(at); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.owner.Close()) }()
	return do(db)
}

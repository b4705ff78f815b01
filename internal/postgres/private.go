package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"telecommune/internal/postgres/cluster"
)

// openPrivate becomes the owner of the state folder's cluster, or joins the one that is; when that ends meanwhile, it
// tries again. What is held on failure, the caller lets go of by Close.
func (d *DB) openPrivate(ctx context.Context, o Options) error {
	if err := d.enterState(o); err != nil {
		return err
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var told time.Time
	for deadline := time.Now().Add(joinWait); ; {
		owner, err := tryLock(d.path("owner.lock"), exclusive)
		if err == nil {
			d.locks = append(d.locks, owner)
			return d.own(ctx)
		}
		if !errors.Is(err, errTaken) {
			return err
		}
		if o.Owner {
			if time.Since(told) > noticeInterval {
				d.log.Info("waiting for another program to end its work with the database", "by", lockHolder(d.path("owner.lock")))
				told = time.Now()
			}
		} else if err = d.join(ctx); err == nil || errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrNewer) {
			return err
		} else if time.Now().After(deadline) {
			return fmt.Errorf("the program that runs the database in %s (%s) does not have it ready: %w",
				d.folder, lockHolder(d.path("owner.lock")), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("open the database in %s: %w", d.folder, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (d *DB) path(name string) string { return filepath.Join(d.folder, name) }

func (d *DB) clusterFolder() string { return d.path("postgres") }

// makeState makes the state folder. As root it must let user postgres pass through; what others keep in it is closed
// by its own mode.
func makeState(state string) (string, error) {
	state, err := filepath.Abs(state)
	if err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	var open os.FileMode
	if os.Geteuid() == 0 {
		open = 0o011
	}
	if err := os.MkdirAll(state, 0o700|open); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	info, err := os.Stat(state)
	if err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	if info.Mode().Perm()&open != open {
		if err := os.Chmod(state, info.Mode().Perm()|open); err != nil {
			return "", fmt.Errorf("state folder: %w", err)
		}
	}
	return state, nil
}

// enterState makes the state folder and, for serve, claims it.
func (d *DB) enterState(o Options) error {
	state := o.State
	if state == "" {
		state = DefaultState()
	}
	var err error
	if d.folder, err = makeState(state); err != nil || !o.Owner {
		return err
	}
	path := d.path("serve.lock")
	lock, err := tryLock(path, exclusive)
	if errors.Is(err, errTaken) {
		return fmt.Errorf("state folder %s is %w by another serve or demo (%s); give this one its own with --state",
			d.folder, ErrInUse, lockHolder(path))
	}
	if err != nil {
		return err
	}
	d.locks = append(d.locks, lock)
	return nil
}

// own starts the cluster's server.
func (d *DB) own(ctx context.Context) error {
	cl, err := cluster.New(cluster.Config{Folder: d.clusterFolder(), Log: d.log})
	if err != nil {
		return err
	}
	if err := cl.Start(ctx); err != nil {
		return err
	}
	d.cluster = cl
	d.config = cluster.Connection(d.clusterFolder(), cluster.Database)
	return d.connect(ctx)
}

// join connects to the owner's server, once. Any error may mean no more than that the owner is just coming or going.
func (d *DB) join(ctx context.Context) error {
	users, err := tryLock(d.path("users.lock"), shared)
	if err != nil {
		return err
	}
	d.config = cluster.Connection(d.clusterFolder(), cluster.Database)
	if err := d.connect(ctx); err != nil {
		return errors.Join(err, users.release())
	}
	d.locks = append(d.locks, users)
	return nil
}

// awaitUsers waits until no other program is connected, but not longer than anybody cares for: who stays then loses its
// database.
func (d *DB) awaitUsers() error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	enough := d.ended
	if d.asked {
		deadline := make(chan struct{})
		defer time.AfterFunc(d.usersWait, func() { close(deadline) }).Stop()
		enough = deadline
	}
	told := time.Now().Add(noticeWait - noticeInterval)
	for {
		users, err := tryLock(d.path("users.lock"), exclusive)
		if err == nil {
			d.locks = append(d.locks, users)
			return nil
		}
		if !errors.Is(err, errTaken) {
			return err
		}
		if time.Since(told) > noticeInterval {
			d.log.Warn("other programs still use the database that this one runs; waiting for them to end")
			told = time.Now()
		}
		select {
		case <-enough:
			d.log.Warn("stopping the database though other programs still use it")
			return nil
		case <-tick.C:
		}
	}
}

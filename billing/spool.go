package billing

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
)

// spool keeps settlements in a folder while the database is away, one JSON object a line. A settlement is on disk before
// put returns. drain moves the file aside and deletes it only when every line of it is settled; since settling is
// repeatable, a crash anywhere between loses nothing and charges nothing twice.
type spool struct {
	folder string
	log    *slog.Logger

	mu       sync.Mutex // of the open file
	draining sync.Mutex // one drain at a time
}

const (
	openSpool   = "settlements.jsonl" // what put appends to
	drainSuffix = ".drain"            // what drain has moved aside
	badSpool    = "unreadable.jsonl"  // lines that can't be settled, for a person to look at
)

var errNoSpool = errors.New("no folder for settlements while the database is away")

// put appends a settlement and returns when it is on disk.
func (s *spool) put(st Settlement) error {
	line, err := json.Marshal(st)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The line break in front ends what a crash may have left unfinished; empty lines are skipped.
	return s.write(openSpool, append(append([]byte("\n"), line...), '\n'))
}

// write appends to a file of the folder and brings both to disk.
func (s *spool) write(name string, content []byte) error {
	if s.folder == "" {
		return errNoSpool
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.folder, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(s.folder))
}

// drain settles everything in the spool. An error that settle calls passing ends it and keeps the file for the next
// time; lines that can't be read or are refused for good are set aside and logged.
func (s *spool) drain(ctx context.Context, settle func(context.Context, Settlement) error, passing func(error) bool) error {
	s.draining.Lock()
	defer s.draining.Unlock()
	if s.folder == "" {
		return nil
	}
	if err := s.moveAside(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(s.folder, "*"+drainSuffix))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	for _, file := range files {
		bad, err := s.settleFile(ctx, file, settle, passing)
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if len(bad) > 0 {
			if err := s.write(badSpool, bad); err != nil {
				return fmt.Errorf("spool: %w", err)
			}
		}
		if err := errors.Join(os.Remove(file), syncFolder(s.folder)); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}

// moveAside gives the open file, if there is one, a name of its own.
func (s *spool) moveAside() error {
	id, err := uuid.NewV7() // sorts by time
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = os.Rename(filepath.Join(s.folder, openSpool), filepath.Join(s.folder, id.String()+drainSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settleFile settles each line of a file and returns those that can't be.
func (s *spool) settleFile(ctx context.Context, file string, settle func(context.Context, Settlement) error,
	passing func(error) bool,
) (bad []byte, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, len(content)+1)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var st Settlement
		err := json.Unmarshal(line, &st)
		if err == nil {
			if err = settle(ctx, st); err == nil {
				continue
			}
			if passing(err) {
				return nil, err
			}
		}
		s.log.Error("spooled settlement set aside", "file", filepath.Join(s.folder, badSpool), "line", string(line), "err", err)
		bad = append(append(bad, line...), '\n')
	}
	return bad, lines.Err()
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

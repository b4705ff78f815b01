package billing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// spool keeps the ends of calls in a folder while the database is away, one JSON object a line. An end is on disk before
// put returns. drain moves the file aside and deletes it only when every line of it is stored; since storing is
// repeatable, a crash anywhere between loses nothing and charges nothing twice.
type spool struct {
	folder string
	log    *slog.Logger

	mu       sync.Mutex // of the open file
	draining sync.Mutex // one drain at a time
}

const (
	openSpool   = "ended.jsonl"      // what put appends to
	drainSuffix = ".drain"           // what drain has moved aside
	badSpool    = "unreadable.jsonl" // lines that can't be stored, for a person to look at
)

var errNoSpool = errors.New("no folder for the ends of calls while the database is away")

// SpoolState counts what lies in a spool folder.
type SpoolState struct {
	Waiting    int // for the database
	Unreadable int // can't be stored ever; a person has to look at it
}

// ReadSpool looks into the spool folder of Options.Spool, which may be missing. A serve may be at work on it.
func ReadSpool(folder string) (SpoolState, error) {
	s := spool{folder: folder}
	waiting, err := s.lines()
	if err != nil {
		return SpoolState{}, err
	}
	bad, err := os.ReadFile(filepath.Join(folder, badSpool))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SpoolState{}, fmt.Errorf("spool: %w", err)
	}
	return SpoolState{len(waiting), len(split(bad))}, nil
}

// put appends the end of a call and returns when it is on disk.
func (s *spool) put(e ending) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The line break in front ends what a crash may have left unfinished; empty lines are skipped.
	return s.write(openSpool, append(append([]byte("\n"), line...), '\n'))
}

// write appends to a file of the folder and brings both to disk, or leaves the file as it was.
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
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync()); err != nil {
		return errors.Join(err, f.Truncate(info.Size()), f.Close())
	}
	return errors.Join(f.Close(), syncFolder(s.folder))
}

// drain stores everything in the spool. An error that passes ends it and keeps the file for the next time, as does
// ErrFenced for the next run; lines that can't be read or are refused for good are set aside and logged. A file that can't
// be read or set aside does not keep the others.
func (s *spool) drain(ctx context.Context, store func(context.Context, ending) error) error {
	s.draining.Lock()
	defer s.draining.Unlock()
	if s.folder == "" {
		return nil
	}
	var errs []error
	if err := s.moveAside(); err != nil {
		errs = append(errs, fmt.Errorf("spool: %w", err))
	}
	files, err := s.files(drainSuffix)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("spool: %w", err))
			continue
		}
		bad, err := s.storeLines(ctx, content, store)
		if err != nil {
			errs = append(errs, fmt.Errorf("spool: %w", err))
			break // the database is away, or takes nothing from us any more
		}
		if len(bad) > 0 {
			err = s.write(badSpool, bad)
		}
		if err == nil {
			err = errors.Join(os.Remove(file), syncFolder(s.folder))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("spool: %w", err))
		}
	}
	return errors.Join(errs...)
}

// calls tells whose ends wait in the spool. Lines that can't be read name no call.
func (s *spool) calls() (map[CallID]bool, error) {
	s.draining.Lock()
	defer s.draining.Unlock()
	lines, err := s.lines()
	if err != nil {
		return nil, err
	}
	calls := map[CallID]bool{}
	for _, line := range lines {
		if e, err := readEnding(line); err == nil {
			calls[e.call()] = true
		}
	}
	return calls, nil
}

// lines reads all that waits.
func (s *spool) lines() (lines [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, suffix := range []string{drainSuffix, openSpool} {
		files, err := s.files(suffix)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue // drained by a serve meanwhile
			}
			if err != nil {
				return nil, fmt.Errorf("spool: %w", err)
			}
			lines = append(lines, split(content)...)
		}
	}
	return lines, nil
}

// files lists the files of the folder whose names end so, oldest first.
func (s *spool) files(suffix string) ([]string, error) {
	if s.folder == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(s.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			files = append(files, filepath.Join(s.folder, e.Name()))
		}
	}
	return files, nil
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

// storeLines stores each line of a file and returns those that can't be.
func (s *spool) storeLines(ctx context.Context, content []byte, store func(context.Context, ending) error) (bad []byte, err error) {
	for _, line := range split(content) {
		e, err := readEnding(line)
		if err == nil {
			err = store(ctx, e)
		}
		if waits(err) {
			return nil, err
		}
		if err != nil {
			s.log.Error("spooled end of a call set aside", "file", filepath.Join(s.folder, badSpool), "line", string(line), "err", err)
			bad = append(append(bad, line...), '\n')
		}
	}
	return bad, nil
}

func readEnding(line []byte) (e ending, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("%w: %w", errContent, err)
	}
	if (e.Settlement == nil) == (e.Closing == nil) {
		return e, errContent
	}
	return e, nil
}

// split gives the lines that are not empty.
func split(content []byte) (lines [][]byte) {
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

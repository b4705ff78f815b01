package asterisk

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Asterisk writes down what happens to each channel (CEL), a line of JSON for each event, to the microsecond, also while
// nobody leads the calls. That is read when they are taken over. It opens the file for each line, so that a file which has
// grown is moved aside without telling it. Who answered before that is known from the signs of life.
const (
	historyFile = "log/cel-custom/cel.jsonl"
	oldHistory  = historyFile + ".old"
	historySize = 8 << 20  // bytes after which a new file is begun
	mostHistory = 64 << 20 // bytes that are read of one, and that there can be at most; it grows while nobody leads
	longestLine = 64 << 10
)

// trace is what Asterisk has written down of a channel. Times are zero for what was not.
type trace struct {
	started, answered, ended time.Time
	parted                   []time.Time // it left a bridge
	name                     string      // of the channel, such as PJSIP/trunk~alpha-00000001
	first                    string      // the channel on whose behalf it was made; its own id for a caller's
}

// history gives the traces of all channels that are not too long ago. What can't be read is missing.
func (p *private) history(log *slog.Logger) map[string]trace {
	traces := map[string]trace{}
	for _, name := range []string{oldHistory, historyFile} {
		bad, err := readHistory(filepath.Join(p.dir, name), traces)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("what Asterisk wrote down of its channels can't be read", "file", name, "err", err)
		}
		if bad > 0 {
			log.Warn("lines that Asterisk wrote down of its channels make no sense", "file", name, "lines", bad)
		}
	}
	return traces
}

// readHistory adds what is in a file, and counts the lines that make no sense.
func readHistory(name string, traces map[string]trace) (bad int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	lines, torn := bufio.NewReaderSize(f, longestLine), false
	if skip := info.Size() - mostHistory; skip > 0 {
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			return 0, err
		}
		torn = true
	}
	for {
		line, more, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return bad, nil
		}
		if err != nil {
			return bad, err
		}
		if !torn && (more || !note(traces, line)) {
			bad++
		}
		torn = more // what follows is the rest of that line
	}
}

// note adds what a line tells; false when it makes no sense.
func note(traces map[string]trace, line []byte) bool {
	var ev struct{ EventType, EventTime, UniqueID, LinkedID, ChanName string }
	if json.Unmarshal(line, &ev) != nil || ev.UniqueID == "" {
		return false
	}
	at, ok := moment(ev.EventTime)
	if !ok {
		return false
	}
	t := traces[ev.UniqueID]
	switch ev.EventType {
	case "CHAN_START":
		t = trace{started: at, name: ev.ChanName, first: ev.LinkedID}
	case "ANSWER":
		t.answered = earliest(t.answered, at)
	case "BRIDGE_EXIT":
		t.parted = append(t.parted, at)
	case "HANGUP", "CHAN_END":
		t.ended = earliest(t.ended, at)
	}
	traces[ev.UniqueID] = t
	return true
}

// moment reads seconds and microseconds since 1970.
func moment(text string) (time.Time, bool) {
	whole, fraction, ok := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	usec, err2 := strconv.ParseUint(fraction, 10, 32)
	return time.Unix(sec, int64(usec)*1000), ok && err == nil && err2 == nil && sec > 0 && len(fraction) == 6
}

// earliest is the earlier of two moments, of which zero ones are none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// over is when a side of a talk was over that began at an answer: it leaves the bridge a moment before it ends.
func (t trace) over(answered time.Time) time.Time {
	for _, at := range t.parted {
		if at.After(answered) {
			return earliest(t.ended, at)
		}
	}
	return t.ended
}

// turnHistory begins a new file when there is much in the one that is written.
func (p *private) turnHistory() error {
	if p == nil {
		return nil
	}
	name := filepath.Join(p.dir, historyFile)
	info, err := os.Stat(name)
	if err != nil || info.Size() < historySize {
		return nil //nolint:nilerr // there is none yet
	}
	return os.Rename(name, filepath.Join(p.dir, oldHistory))
}

package asterisk

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const written = `{"eventtype":"CHAN_START","eventtime":"1795835272.309631","uniqueid":"1.0","linkedid":"1.0","channame":"PJSIP/from~a-00000000"}
{"eventtype":"ANSWER","eventtime":"1795835272.311249","uniqueid":"1.0","linkedid":"1.0","channame":"PJSIP/from~a-00000000"}
{"eventtype":"CHAN_START","eventtime":"1795835272.312885","uniqueid":"c-1","linkedid":"1.0","channame":"PJSIP/trunk~t-x-00000001"}
{"eventtype":"ANSWER","eventtime":"1795835272.322608","uniqueid":"c-1","linkedid":"1.0","channame":"PJSIP/trunk~t-x-00000001"}
{"eventtype":"BRIDGE_EXIT","eventtime":"1795835273.317907","uniqueid":"c-1","linkedid":"1.0","channame":"PJSIP/trunk~t-x-00000001"}
{"eventtype":"HANGUP","eventtime":"1795835273.319173","uniqueid":"c-1","linkedid":"1.0","channame":"PJSIP/trunk~t-x-00000001"}
{"eventtype":"CHAN_END","eventtime":"1795835273.319200","uniqueid":"c-1","linkedid":"1.0","channame":"PJSIP/trunk~t-x-00000001"}
`

// TestHistory: what Asterisk wrote is read from both files, and what makes no sense in it is passed over and counted.
func TestHistory(t *testing.T) {
	p := &private{dir: t.TempDir()}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := &bytes.Buffer{}
	if got := p.history(slog.New(slog.NewTextHandler(log, nil))); len(got) > 0 || log.Len() > 0 {
		t.Errorf("%v of nothing; %s", got, log)
	}
	lines := strings.SplitAfter(written, "\n")
	nonsense := strings.Join([]string{
		`{"eventtype":"ANSWER","eventtime":"1795835272.31","uniqueid":"1.0"}`, `{"eventtype":"ANSWER","eventtime":"yesterday","uniqueid":"1.0"}`,
		`{"eventtype":"HANGUP","eventtime":"-1.000000","uniqueid":"1.0"}`, `{"eventtype":"HANGUP","eventtime":"1.+00001","uniqueid":"1.0"}`,
		`{"eventtype":"HANGUP","eventtime":"1795835272.311249"}`, `{"eventtype":5}`, `not JSON`, `{"eventtype":"HAN`, ``,
		`{"x":"` + strings.Repeat("x", 3*longestLine) + `"}`,
	}, "\n") + "\n"
	write(oldHistory, lines[0]+lines[1]+lines[2])
	write(historyFile, lines[3]+nonsense+lines[4]+lines[5]+lines[6]+`{"eventtype":"HANGUP","uniqueid":"1.0"`)
	got := p.history(slog.New(slog.NewTextHandler(log, nil)))
	at := func(usec int64) time.Time { return time.UnixMicro(1795835272_000000 + usec) }
	want := map[string]trace{
		"1.0": {started: at(309631), answered: at(311249), name: "PJSIP/from~a-00000000", first: "1.0"},
		"c-1": {started: at(312885), answered: at(322608), ended: at(1319173), parted: []time.Time{at(1317907)}, name: "PJSIP/trunk~t-x-00000001", first: "1.0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if c := got["c-1"]; !c.over(c.answered).Equal(at(1317907)) || !c.over(at(1318000)).Equal(c.ended) {
		t.Errorf("over at %s", c.over(c.answered))
	}
	if !strings.Contains(log.String(), "lines=11") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log says %s", log)
	}
	if trunk := trunkOf(got["c-1"].name); trunk != "t-x" || trunkOf(got["1.0"].name) != "" || trunkOf("PJSIP/trunk~") != "" {
		t.Errorf("trunk %q", trunk)
	}
}

// TestOver: the first answer counts, and a side is over when it leaves the bridge after that, or ends.
func TestOver(t *testing.T) {
	at := func(sec int64) time.Time { return time.Unix(1795835270+sec, 0) }
	traces := map[string]trace{}
	for _, line := range []string{
		`{"eventtype":"ANSWER","eventtime":"1795835272.000000","uniqueid":"1.0"}`, `{"eventtype":"ANSWER","eventtime":"1795835275.000000","uniqueid":"1.0"}`,
	} {
		if !note(traces, []byte(line)) {
			t.Errorf("%s makes no sense", line)
		}
	}
	if got := traces["1.0"].answered; !got.Equal(at(2)) {
		t.Errorf("answered at %s", got)
	}
	if !note(traces, []byte(`{"eventtype":"CHAN_END","eventtime":"1795835276.000000","uniqueid":"1.0"}`)) || !traces["1.0"].ended.Equal(at(6)) {
		t.Errorf("without a hang-up it ended at %s", traces["1.0"].ended)
	}
	for what, tt := range map[string]struct {
		trace trace
		want  time.Time
	}{
		"it left at the answer": {trace{ended: at(9), parted: []time.Time{at(1), at(2)}}, at(9)},
		"it left later":         {trace{ended: at(9), parted: []time.Time{at(1), at(4), at(5)}}, at(4)},
		"it left and is there":  {trace{parted: []time.Time{at(4)}}, at(4)},
		"it ended before":       {trace{ended: at(3), parted: []time.Time{at(4)}}, at(3)},
	} {
		if got := tt.trace.over(at(2)); !got.Equal(tt.want) {
			t.Errorf("%s: over at %s, want %s", what, got, tt.want)
		}
	}
}

// TestHistoryIsTurned: a file that has grown is moved aside, and of a huge one the end is read.
func TestHistoryIsTurned(t *testing.T) {
	p := &private{dir: t.TempDir()}
	name := filepath.Join(p.dir, historyFile)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.turnHistory(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(written), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, oldHistory)); err == nil {
		t.Error("a short file is moved aside")
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(mostHistory); err != nil { // a hole, which takes no room
		t.Fatal(err)
	}
	if _, err := f.WriteString("\n" + strings.Replace(written, "1.0", "2.0", 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.turnHistory(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("a long file goes on")
	}
	log := &bytes.Buffer{}
	got := p.history(slog.New(slog.NewTextHandler(log, nil)))
	if log.Len() > 0 {
		t.Errorf("of where it is torn the log says %s", log)
	}
	if got["2.0"].started.IsZero() || !got["1.0"].started.IsZero() {
		t.Errorf("%+v", got)
	}
}

func FuzzHistory(f *testing.F) {
	for line := range strings.Lines(written) {
		f.Add(strings.TrimSpace(line))
	}
	f.Fuzz(func(t *testing.T, line string) {
		traces := map[string]trace{}
		if !note(traces, []byte(line)) && len(traces) > 0 {
			t.Errorf("%q makes no sense, and tells %+v", line, traces)
		}
	})
}

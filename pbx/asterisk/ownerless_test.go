package asterisk

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"telecommune/pbx"
	"telecommune/pbx/asterisk/asterisktest"
	"telecommune/pbx/simcarrier"
	"telecommune/routing"
)

// TestOwnerless: an Asterisk that nobody leads refuses calls so that another way is tried, and what it writes down of them
// is bounded; what was written before that is kept.
func TestOwnerless(t *testing.T) {
	provider := pbx.Provider{Code: "loopback", Address: netip.MustParsePrefix("127.0.0.1/32")}
	p, err := newPrivate(Config{
		Folder: asterisktest.Folder(t), State: asterisktest.State(t), Listen: "127.0.0.1:0", RTPPorts: "10000-20000",
		Admission: func() *pbx.Admission { return &pbx.Admission{Providers: []pbx.Provider{provider}} },
		Trunks:    func() []routing.Trunk { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runs.end(); err != nil {
			t.Error(err)
		}
	})
	if err := p.answers(t.Context()); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(runs.Pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil || limit.Cur != mostHistory {
		t.Errorf("its files have %d bytes at most, %v; want %d", limit.Cur, err, mostHistory)
	}
	const most = 16 << 10 // some forty calls
	if err := boundFiles(runs.Pid, most); err != nil {
		t.Fatal(err)
	}
	phone, err := simcarrier.NewPhone(t.Context(), simcarrier.PhoneConfig{Server: p.reach.SIP, Number: "+4915112345678"})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	logs := func() (files int, largest int64) {
		t.Helper()
		err := filepath.WalkDir(filepath.Join(p.dir, "log"), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				files, largest = files+1, max(largest, info.Size())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files, largest
	}
	refused := func() {
		t.Helper()
		_, err := phone.Call(t.Context(), access.Digits())
		var why *simcarrier.CallError
		if !errors.As(err, &why) || why.Status != 503 {
			t.Fatalf("a call ended by %v, want 503", err)
		}
	}
	refused()
	before, _ := logs()
	for range 100 {
		refused()
	}
	if files, largest := logs(); files != before || largest != most {
		t.Errorf("%d files in place of %d, the largest of %d bytes; want no more than %d", files, before, largest, most)
	}
	if n := len(p.history(slog.New(slog.NewTextHandler(logTo{t}, nil)))); n < 20 {
		t.Errorf("%d channels are known", n)
	}
}

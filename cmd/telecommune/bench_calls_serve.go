package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"telecommune/billing"
	"telecommune/billing/tariff"
	"telecommune/internal/e164"
	"telecommune/internal/money"
	"telecommune/internal/ports"
	"telecommune/internal/postgres"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

const (
	benchAccess   e164.Number = "+493023125002" // stands for benchFriend, for every account
	benchFriend   e164.Number = "+442079460001"
	benchAccounts             = 100
	benchReady                = time.Minute // for a way to take calls
)

// benchNumber is the i-th phone's.
func benchNumber(i int) string { return fmt.Sprintf("+4930555%05d", i) }

// program makes a process of our own program. A test has another.
var program = func(args ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	return exec.Command(exe, args...), err
}

// startServe starts a serve with a world of its own.
func (b *callsBench) startServe(ctx context.Context, engine, state string) (w *callsWay, err error) {
	if err := b.populate(ctx, state); err != nil {
		return nil, err
	}
	clips := filepath.Join(state, "prompts")
	if err := silentClips(clips); err != nil {
		return nil, err
	}
	sip, err := ports.Free(loopback, 1)
	if err != nil {
		return nil, err
	}
	cmd, err := program("serve", "--state", state, "--sip", fmt.Sprintf("127.0.0.1:%d", sip), "--http", "127.0.0.1:0",
		"--node", "bench", "--engine", engine, "--asterisk", b.asterisk, "--prompts", clips, "--rtp-ports", "33000-60000",
		"--max-calls", strconv.Itoa(mostCalls), "--max-cps", strconv.Itoa(mostCPS))
	if err != nil {
		return nil, err
	}
	said, saying, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = saying
	process, err := startChild(cmd)
	saying.Close() //nolint:errcheck // the child has it
	if err != nil {
		return nil, errors.Join(err, said.Close())
	}
	w = &callsWay{name: engine, number: benchAccess.Digits(), controller: cmd.Process.Pid}
	w.end = func() error {
		closePhones(w.phones)
		var err error
		if w.db != nil {
			err = w.db.Close()
		}
		return errors.Join(err, process.stop(), said.Close())
	}
	if err := b.join(ctx, w, process, said, state); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

var benchReadyLine = regexp.MustCompile(`msg=ready sip=(\S+)`)

// join waits until a serve takes calls, and finds its processes, its database and its phones.
func (b *callsBench) join(ctx context.Context, w *callsWay, p *child, log io.Reader, state string) error {
	ready := make(chan string, 1)
	var last string
	read := make(chan struct{})
	go func() { // to the end, lest serve wait for us
		defer close(read)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := benchReadyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
			last = lines.Text()
		}
	}()
	var sip string
	select {
	case sip = <-ready:
	case <-p.over:
		<-read
		return fmt.Errorf("serve ended: %s", last)
	case <-time.After(benchReady):
		return errors.New("serve takes no calls")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for pid, s := range children(w.controller) {
		if s.name == "postgres" {
			w.database = pid
		} else {
			w.asterisk = pid
		}
	}
	var err error
	if w.db, err = postgres.Open(ctx, postgres.Options{State: state, Log: quiet()}); err != nil {
		return err
	}
	w.phones, err = b.newPhones(ctx, sip)
	return err
}

// populate fills the database of a state folder, as its owner does by commands.
func (b *callsBench) populate(ctx context.Context, state string) (err error) {
	c := Config{State: state, Node: "bench"}
	db, err := openDB(ctx, c, true, quiet())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	bank, err := newBilling(ctx, db, nil, c, nil, quiet())
	if err != nil {
		return err
	}
	network, err := pbx.ParseAddress(exchangeIP)
	if err != nil {
		return err
	}
	access := pbx.NewStore(db.DB)
	if err := access.AddProvider(ctx, pbx.Provider{Code: "phones", Address: network, TrustCallerID: true}); err != nil {
		return err
	}
	number := pbx.AccessNumber{Number: benchAccess, Provider: "phones", Country: "DE", Language: "en", Service: pbx.Contact}
	if _, err := access.AddAccessNumber(ctx, number); err != nil {
		return err
	}
	if _, err := routing.NewStore(db.DB).AddTrunk(ctx, routing.Trunk{Code: "carrier", Address: b.carrier.Addr(), Enabled: true}); err != nil {
		return err
	}
	decks := tariff.NewStore(db.DB)
	for name, spec := range map[string]tariff.Spec{
		"0.12": {Kind: tariff.Retail, Name: "retail", Currency: "EUR"}, "0.05": {Kind: tariff.Trunk, Name: "carrier", Currency: "EUR"},
	} {
		deck, err := tariff.ParseDeck(strings.NewReader("prefix,rate_per_minute\n44,"+name+"\n"), spec)
		if err != nil {
			return err
		}
		if _, err := decks.Import(ctx, deck); err != nil {
			return err
		}
	}
	return b.openAccounts(ctx, bank)
}

// openAccounts makes the callers' accounts, each with some of the phones.
func (b *callsBench) openAccounts(ctx context.Context, bank *billing.Service) error {
	account := func(i int) string { return fmt.Sprintf("a%d", i%benchAccounts) }
	for i := range benchAccounts {
		_, err := bank.AddAccount(ctx, billing.NewAccount{Code: account(i), CallLimit: 60})
		if err == nil {
			_, err = bank.TopUp(ctx, billing.TopUp{Account: account(i), Amount: 10_000 * money.Unit, Key: "bench " + account(i)})
		}
		if err == nil {
			err = bank.SetContact(ctx, billing.ContactEntry{Account: account(i), AccessNumber: benchAccess, Number: benchFriend})
		}
		if err != nil {
			return err
		}
	}
	for i := range b.phones {
		if err := bank.AddPhone(ctx, billing.Phone{Number: e164.Number(benchNumber(i)), Account: account(i)}); err != nil {
			return err
		}
	}
	return nil
}

// silentClips makes every clip of every language, one packet of silence long.
func silentClips(folder string) error {
	const data = 2 * 160
	wav := []byte("RIFF\x64\x01\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x40\x01\x00\x00")
	wav = append(wav, make([]byte, data)...)
	for _, language := range prompt.Languages() {
		dir := filepath.Join(folder, language)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name := range prompt.Texts(language) {
			if err := os.WriteFile(filepath.Join(dir, name+".wav"), wav, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// child is a process that ends with us, also when we are killed.
type child struct {
	cmd  *exec.Cmd
	over chan struct{}
}

// startChild starts a process on a thread that stays as long as it does: the kernel ends it with that thread.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, over: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended tells nothing that its log does not
			close(c.over)
		}
	}()
	return c, <-started
}

// stop asks the process to end, and kills it if it does not.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended, which over tells
	select {
	case <-c.over:
		return nil
	case <-time.After(benchReady):
	}
	return c.cmd.Process.Kill()
}

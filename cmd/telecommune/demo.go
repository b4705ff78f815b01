package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"telecommune/billing"
	"telecommune/billing/ledger"
	"telecommune/billing/statement"
	"telecommune/internal/money"
)

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a whole service on this machine, without any configuration.",
		Long: `Show a whole service on this machine, without any configuration.

A private database, accounts, two simulated carriers with their rate decks, and phones that make real SIP calls over
loopback; then a bill, the month of the commune that owns the trunks with each member's part of it, the books, and what
you need to dial in with a softphone of your own. It stays up until Ctrl-C, and leaves nothing behind.`,
		Example: "  telecommune demo\n  telecommune demo --once",
		Args:    takes(0),
	}
	once := cmd.Flags().Bool("once", false, "end after the calls, with exit code 1 when a figure is off")
	sip := cmd.Flags().String("sip", "127.0.0.1:0", "`HOST:PORT` for SIP, UDP and TCP; port 0 takes a free one")
	pages := cmd.Flags().String("http", "127.0.0.1:0", "`HOST:PORT` for the pages; port 0 takes a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config(cmd)
		if err != nil {
			return err
		}
		if cmd.Flag("db").Changed || cmd.Flag("state").Changed {
			return usagef("demo keeps to a database of its own: leave --db and --state out")
		}
		c.DB, c.Node, c.SIP, c.HTTP, c.RTPPorts = "", "demo", *sip, *pages, ""
		return runDemo(cmd, c, *once)
	}
	return cmd
}

// errFigures is returned by `demo --once` when what the calls left behind is not what they should have.
var errFigures = errors.New("the demo's figures are off")

func runDemo(cmd *cobra.Command, c Config, once bool) (err error) {
	started := time.Now()
	if c.State, err = demoState(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.State)) }()
	logFile, err := os.Create(filepath.Join(c.State, "demo.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelDebug}))

	a, err := openApp(cmd.Context(), c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	d := &demo{cmd: cmd, app: a, out: cmd.OutOrStdout()}
	ctx, stop := context.WithCancel(cmd.Context())
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return a.Run(ctx) })
	parts.Go(func() error {
		defer stop()
		return d.play(ctx, started, once)
	})
	err = parts.Wait()
	if err != nil && !errors.Is(err, errFigures) {
		tail(cmd.ErrOrStderr(), logFile.Name())
	}
	return err
}

// demo is what the demonstration works with. All that it does, somebody could do with the commands and a telephone.
type demo struct {
	cmd   *cobra.Command
	app   *app
	world world
	out   io.Writer
	mu    sync.Mutex // one line at a time
}

func (d *demo) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, format+"\n", args...)
}

// play is the demonstration from top to bottom.
func (d *demo) play(ctx context.Context, started time.Time, once bool) error {
	defer d.app.exchange.HangupAll()
	if err := d.build(ctx); err != nil {
		return err
	}
	defer d.world.close()
	d.say("Ready after %.1f s: SIP at %s (UDP and TCP), pages at %s,\nPostgreSQL of its own in %s.\n",
		time.Since(started).Seconds(), d.app.engine.Addr(), d.pages(), filepath.Dir(d.app.control.Addr().String()))
	d.say("Five people call over two simulated carriers, with real SIP and RTP, and hear every prompt to its\nend: half a minute.\n")

	var phones errgroup.Group
	for _, s := range scenes {
		phones.Go(func() error { return d.act(ctx, s) })
	}
	if err := phones.Wait(); err != nil {
		return err
	}
	calls, err := d.settled(ctx)
	if err != nil {
		return err
	}
	wrong, err := d.check(ctx, calls)
	if err != nil {
		return err
	}
	d.say("\nThe calls\n")
	if err := list(d.cmd, calls, "account", "number", "trunk", "answered_seconds", "price", "outcome", "sip"); err != nil {
		return err
	}
	if err := d.bills(ctx); err != nil {
		return err
	}
	off, err := d.closeMonth(ctx)
	if err != nil {
		return err
	}
	if err := d.trial(ctx); err != nil {
		return err
	}
	for _, w := range append(wrong, off...) {
		fmt.Fprintln(d.cmd.ErrOrStderr(), "telecommune: off:", w)
	}
	if once {
		if len(wrong)+len(off) > 0 {
			return errFigures
		}
		d.say("\nAll figures are as they should be.")
		return nil
	}
	d.invite()
	<-ctx.Done()
	return nil
}

// bills prints those of two callers.
func (d *demo) bills(ctx context.Context) error {
	house, err := d.app.bank.Commune(ctx)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(house.Zone)
	if err != nil {
		return err
	}
	now := now(ctx).In(zone)
	for _, account := range []string{"anna", "carl"} {
		bill, err := statement.Make(ctx, d.app.db.DB, account, statement.PeriodOf(now), now)
		if err != nil {
			return err
		}
		d.say("")
		if err := bill.WriteText(d.out); err != nil {
			return err
		}
	}
	return nil
}

// trial prints the trial balance of all books.
func (d *demo) trial(ctx context.Context) error {
	trial, err := ledger.Trial(ctx, d.app.db.DB, ledger.TrialFilter{})
	if err != nil {
		return err
	}
	d.say("\nTrial balance of CALL and of the commune, COM, after the close\n")
	return list(d.cmd, trial)
}

// check compares what stands in the database with what the scenes say, and returns what differs.
func (d *demo) check(ctx context.Context, calls []billing.Call) (wrong []string, err error) {
	off := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, s := range scenes {
		found := 0
		for _, call := range calls {
			if call.Account != s.account || call.Number != string(s.number) {
				continue
			}
			found++
			attempts, err := d.app.picture.routing.Attempts(ctx, call.ID)
			if err != nil {
				return nil, err
			}
			got := result{call.Outcome, call.AnsweredSeconds, call.Price, call.VAT, call.CarrierCost, ""}
			for i, at := range attempts {
				got.trunks += " "[:min(i, 1)] + at.Trunk
			}
			if got != s.want {
				off("%s: got %+v, want %+v", s.title, got, s.want)
			}
		}
		if found != 1 {
			off("%s: %d calls in the books instead of one", s.title, found)
		}
	}
	trial, err := ledger.Trial(ctx, d.app.db.DB, ledger.TrialFilter{})
	if err != nil {
		return nil, err
	}
	var sum money.Amount
	for _, l := range trial {
		sum += l.Balance
	}
	if sum != 0 || len(trial) == 0 {
		off("the trial balance of %d accounts sums to %s", len(trial), sum)
	}
	accounts, err := d.app.bank.Accounts(ctx)
	for _, account := range accounts {
		if account.Held != 0 {
			off("%s still has %s held", account.Code, account.Held)
		}
		if account.Code == "carl" && account.Balance != 0 {
			off("carl, who talked until the credit was used up, has %s left", account.Balance)
		}
	}
	return wrong, err
}

// settled waits until every call is closed, which is soon after the phones have hung up.
func (d *demo) settled(ctx context.Context) ([]billing.Call, error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		calls, err := d.app.bank.Calls(ctx, billing.CallFilter{})
		if err != nil {
			return nil, err
		}
		if len(d.app.exchange.Live()) == 0 || time.Now().After(deadline) {
			return calls, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// invite says how to dial in.
func (d *demo) invite() {
	d.say(`
Now you. Register any softphone:
  server    %s
  user      %s
  password  %s
Dial %s and enter the PIN %s, then any number, such as 00442079460123, and #.
(That number answers after two seconds and lets you hear yourself. +12125550186 is busy. ## asks for the next number.)
%s is an echo test.

Anna's bill and her part of the rent: %s   account anna, PIN as above. Calls of yours
stand in the month after; choose %s for those above.

Ctrl-C ends the demo and removes all of it.`,
		d.app.engine.Addr(), softphoneUser, d.world.password, gateway, d.world.pins["anna"], echoNumber, d.pages(), d.world.month.Words())
}

func (d *demo) pages() string { return fmt.Sprintf("http://%s/", d.app.pages.Addr()) }

// demoState makes a folder that lives as long as the demo. It is where user postgres can get at its part of it, also
// when we are root, and its name is short enough for a socket.
func demoState() (string, error) {
	dir, err := os.MkdirTemp("", "telecommune-demo-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// freeAddress is for simulated peers on a loopback address of their own.
func freeAddress(ip string) string { return net.JoinHostPort(ip, "0") }

// tail shows the last lines of the log when the demo fails.
func tail(w io.Writer, name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	var last []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	fmt.Fprintln(w, strings.Join(last, "\n"))
}

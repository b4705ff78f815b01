package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// callsFigure is a line of `bench calls`. Processor times are a call's, in microseconds, and the
// medians of the rounds.
type callsFigure struct {
	Way        string  `json:"way"`  // bare, sip or asterisk
	Rate       int     `json:"rate"` // calls begun a second
	Calls      int     `json:"calls"`
	Clean      int     `json:"clean"` // answered, as long as wanted, and in the books as they should be
	PerSecond  float64 `json:"clean_per_second"`
	Controller int64   `json:"controller_us"` // with sip it is the switch as well
	Switch     int64   `json:"switch_us"`     // Asterisk
	Database   int64   `json:"database_us"`
	Added      float64 `json:"controller_to_switch"`
	Bare       float64 `json:"all_to_bare"` // of all three to Asterisk's of the bare way
	Peers      int64   `json:"peers_us"`    // of the phones and the carrier, which counts for nothing
	SetUp50    int64   `json:"setup_p50_us"`
	SetUp99    int64   `json:"setup_p99_us"`
	Memory     int64   `json:"controller_mb"` // at the end
	SwitchMem  int64   `json:"switch_mb"`
	Highest    int     `json:"highest_clean_rate"` // 0: not looked for
}

// callsBench is what `bench calls` is to do.
type callsBench struct {
	engines  []string
	rate     int
	seconds  int
	rounds   int
	talk     int
	media    bool
	highest  bool
	folder   string
	asterisk string

	state   string // all of it is in here
	phones  int
	carrier *benchCarrier
	tell    func(format string, args ...any)
}

const (
	mostBenchCalls = 20_000 // in a round
	mostPhones     = 2_000
	climb          = 12 // steps up at most, each by a quarter, in search of the highest rate
)

func benchCalls() *cobra.Command {
	var b callsBench
	c := &cobra.Command{
		Use:   "calls",
		Short: "Measure whole calls, from the phone to the books, beside a bare Dial() of the same Asterisk.",
		Long: `Measure whole calls, from the phone to the books, beside a bare Dial() of the same Asterisk.

The phones and the carrier are in this process and speak SIP over loopback. Each engine is a serve in a process of its own,
with a database as durable as any; "bare" is the same Asterisk with a dialplan that is Dial() to the same carrier and
nothing else. The ways take turns in each round. A call is clean when it was answered, lasted as long as it should, and was
settled for that long; afterwards the books have to balance. Processor times are read from the system: of the controller,
of Asterisk, and of all of PostgreSQL's processes. No voice is sent without --media, and what callers are told is a
moment of silence.`,
		Example: "  telecommune bench calls --rate 40 --seconds 20 --folder /var/tmp",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			b.asterisk = c.Asterisk
			if err := b.check(); err != nil {
				return err
			}
			b.tell = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
			figures, err := b.run(cmd.Context())
			if err != nil {
				return err
			}
			return list(cmd, figures)
		},
	}
	b.rate, b.seconds, b.rounds, b.talk = 20, 10, 3, 2
	c.Flags().StringSliceVar(&b.engines, "engine", []string{engineSIP, engineAsterisk}, "`ENGINES` to measure; bare comes first in any case")
	parsedFlag(c.Flags(), &b.rate, "rate", parsePositive, "`NUMBER` of calls begun a second")
	parsedFlag(c.Flags(), &b.seconds, "seconds", parsePositive, "`NUMBER` of seconds in which calls are begun, a round")
	parsedFlag(c.Flags(), &b.rounds, "rounds", parsePositive, "`NUMBER` of rounds")
	parsedFlag(c.Flags(), &b.talk, "talk", parsePositive, "`SECONDS` from the answer to the hang-up")
	c.Flags().BoolVar(&b.media, "media", false, "send voice both ways")
	c.Flags().BoolVar(&b.highest, "highest", false, "look for the highest clean rate afterwards, from --rate up")
	c.Flags().StringVar(&b.folder, "folder", os.TempDir(), "`FOLDER` on the disk to measure; databases are made in it and removed")
	addConfigFlags(c.Flags(), "asterisk")
	return c
}

func (b *callsBench) check() error {
	for _, e := range b.engines {
		if e != engineSIP && e != engineAsterisk {
			return usagef("engine %q: want sip or asterisk", e)
		}
	}
	if b.rate*b.seconds > mostBenchCalls {
		return usagef("want at most %d calls in a round", mostBenchCalls)
	}
	b.phones = min(b.rate*(b.talk+2)+10, mostPhones)
	if b.highest {
		b.phones = mostPhones
	}
	return nil
}

// run starts all ways, measures them in turns, and ends them.
func (b *callsBench) run(ctx context.Context) (figures []callsFigure, err error) {
	if b.state, err = os.MkdirTemp(b.folder, "telecommune-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.state)) }()
	if err := os.Chmod(b.state, 0o711); err != nil { // the server may run as another user
		return nil, err
	}
	if b.carrier, err = newBenchCarrier(ctx, b.media); err != nil {
		return nil, err
	}
	defer b.carrier.close()
	var ways []*callsWay
	defer func() {
		for _, w := range ways {
			err = errors.Join(err, w.end())
		}
	}()
	for _, name := range append([]string{bareWay}, b.engines...) {
		b.tell("starting %s", name)
		w, err := b.start(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ways = append(ways, w)
	}
	if err := b.takeTurns(ctx, ways); err != nil {
		return nil, err
	}
	for _, w := range ways {
		f, err := b.figure(w, ways[0])
		if err != nil {
			return nil, err
		}
		if b.highest {
			if f.Highest, err = b.highestRate(ctx, w); err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
		}
		figures = append(figures, f)
	}
	return figures, nil
}

const bareWay = "bare"

// start starts one way.
func (b *callsBench) start(ctx context.Context, name string) (*callsWay, error) {
	state := filepath.Join(b.state, name)
	if err := os.Mkdir(state, 0o711); err != nil {
		return nil, err
	}
	if name == bareWay {
		return b.startBare(ctx, state)
	}
	return b.startServe(ctx, name, state)
}

// takeTurns measures each way once a round, after a few calls that make all of it warm.
func (b *callsBench) takeTurns(ctx context.Context, ways []*callsWay) error {
	for _, w := range ways {
		if _, err := w.load(ctx, b, min(b.rate, 10), 1); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for n := range b.rounds {
		for _, w := range ways {
			r, err := w.load(ctx, b, b.rate, b.seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			b.tell("round %d of %d: %s, %d of %d calls clean", n+1, b.rounds, w.name, r.clean, r.calls)
			w.rounds = append(w.rounds, r)
		}
	}
	return nil
}

// highestRate steps up until a step is not clean, and gives the last rate that was.
func (b *callsBench) highestRate(ctx context.Context, w *callsWay) (highest int, err error) {
	rate := b.rate
	for range climb {
		if rate*b.seconds > mostBenchCalls {
			break
		}
		r, err := w.load(ctx, b, rate, b.seconds)
		if err != nil {
			return 0, err
		}
		b.tell("%s at %d calls/s: %d of %d calls clean", w.name, rate, r.clean, r.calls)
		if r.clean < r.calls {
			break
		}
		highest, rate = rate, rate+max(rate/4, 1)
	}
	return highest, nil
}

// figure sums up the rounds of a way.
func (b *callsBench) figure(w, bare *callsWay) (f callsFigure, err error) {
	f = callsFigure{Way: w.name, Rate: b.rate}
	var took time.Duration
	var setups, controller, asterisk, database, peers []time.Duration
	var added, toBare []float64
	for i, r := range w.rounds {
		f.Calls += r.calls
		f.Clean += r.clean
		took += r.took
		setups = append(setups, r.setups...)
		n := time.Duration(max(r.calls, 1))
		controller, asterisk = append(controller, r.used.controller/n), append(asterisk, r.used.asterisk/n)
		database, peers = append(database, r.used.database/n), append(peers, r.used.peers/n)
		if w.asterisk != 0 {
			added = append(added, ratio(int64(r.used.controller), int64(r.used.asterisk)))
		}
		toBare = append(toBare, ratio(int64(r.used.controller+r.used.asterisk+r.used.database), int64(bare.rounds[i].used.asterisk)))
	}
	f.PerSecond = ratio(int64(f.Clean)*int64(time.Second), int64(took))
	f.Controller, f.Switch = median(controller).Microseconds(), median(asterisk).Microseconds()
	f.Database, f.Peers, f.Bare = median(database).Microseconds(), median(peers).Microseconds(), middle(toBare)
	if w.name != bareWay && len(added) > 0 {
		f.Added = middle(added)
	}
	if len(setups) > 0 {
		slices.Sort(setups)
		f.SetUp50, f.SetUp99 = setups[len(setups)/2].Microseconds(), setups[len(setups)*99/100].Microseconds()
	}
	f.Memory, f.SwitchMem, err = w.memory()
	return f, err
}

// middle is the median of ratios.
func middle(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

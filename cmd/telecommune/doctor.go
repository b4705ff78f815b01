package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"telecommune/billing/tariff"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/cluster"
	"telecommune/pbx"
	"telecommune/pbx/prompt"
	"telecommune/routing"
)

// A finding is what one check of doctor found.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"` // the command that mends it
}

type status string

const (
	good status = "OK"
	warn status = "WARN"
	fail status = "FAIL"
)

func doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the machine and the set-up, and name the command that mends what is wrong.",
		Long: `Check the machine and the set-up, and name the command that mends what is wrong.

OK is as it should be, WARN works with a drawback, FAIL must be mended; with any FAIL the exit code is 1.`,
		Example: "  telecommune doctor -o json",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config(cmd)
			if err != nil {
				return err
			}
			findings := examine(cmd.Context(), c)
			if err := list(cmd, findings); err != nil {
				return err
			}
			failed := 0
			for _, f := range findings {
				if f.Status == fail {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d checks failed", failed, len(findings))
			}
			return nil
		},
	}
	addConfigFlags(c.Flags(), "sip", "http", "engine", "asterisk", "ari-url", "ari-user", "ari-password-file", "prompts")
	return c
}

// examine makes all checks, in the order in which things are needed.
func examine(ctx context.Context, c Config) []finding {
	findings := []finding{checkPostgres(c), checkState(c), checkDisk(c), checkSpool(c)}
	findings = append(findings, checkDatabase(ctx, c)...)
	prompts := checkPrompts(c)
	findings = append(findings, prompts, checkSpeech(prompts.Status == good))
	_, err := askServe(c.State).live(ctx)
	if c.ARIURL != "" {
		findings = append(findings, checkJoined(ctx, c, err == nil)...)
	} else {
		findings = append(findings, checkEngine(c))
	}
	if c.Engine == engineAsterisk && c.ARIURL == "" {
		findings = append(findings, checkTLS(ctx, c))
	}
	switch {
	case err == nil:
		findings = append(findings, finding{"serve", good, "running", ""})
	case c.ARIURL == "":
		findings = append(findings, checkPort("SIP port", c.SIP, "--sip", "tcp", "udp"))
		fallthrough
	default:
		findings = append(findings, checkPort("HTTP port", c.HTTP, "--http", "tcp"))
	}
	return append(findings, checkReceiveBuffer(), checkClock())
}

func checkPostgres(c Config) finding {
	if c.DB != "" {
		return finding{"postgresql", good, "a server given by --db", ""}
	}
	in, err := cluster.Find(0)
	if err != nil {
		return finding{"postgresql", fail, err.Error(), "apt-get install postgresql"}
	}
	return finding{"postgresql", good, fmt.Sprintf("version %d in %s", in.Major, in.Bin), ""}
}

func checkState(c Config) finding {
	f := finding{Check: "state folder", Status: good, Detail: c.State}
	info, err := os.Stat(c.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail += " will be made"
	case err != nil:
		f.Status, f.Detail, f.Fix = fail, err.Error(), "choose another with --state"
	case !info.IsDir():
		f.Status, f.Detail, f.Fix = fail, c.State+" is not a folder", "choose another with --state"
	case syscall.Access(c.State, 7) != nil: // R_OK | W_OK | X_OK
		f.Status, f.Detail, f.Fix = fail, c.State+" can't be written", "chown -R "+strconv.Itoa(os.Geteuid())+" "+c.State
	case info.Mode().Perm()&0o022 != 0:
		f.Status, f.Detail, f.Fix = fail, c.State+" can be written by others", "chmod go-w "+c.State
	}
	return f
}

// Room that the database needs at least: it stops when its disk is full.
const (
	diskWarn = 2 << 30 // bytes
	diskFail = 256 << 20
)

func checkDisk(c Config) finding {
	dir := c.State
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir) // not made yet
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return finding{"disk space", warn, err.Error(), "df " + dir}
	}
	free := s.Bavail * uint64(s.Bsize)
	f := finding{Check: "disk space", Status: good, Detail: fmt.Sprintf("%d MB free for %s", free>>20, c.State)}
	switch {
	case free < diskFail:
		f.Status, f.Fix = fail, "free some: df "+dir
	case free < diskWarn:
		f.Status, f.Fix = warn, "free some: df "+dir
	}
	return f
}

// checkDatabase opens the database as every command does, but makes none, and looks for what a call needs.
func checkDatabase(ctx context.Context, c Config) []finding {
	if !postgres.Exists(databaseOptions(c)) {
		return []finding{
			{"database", good, "will be made by the first command that needs it", ""},
			{"set-up", warn, "nobody may send calls yet", "telecommune provider add CODE --address IP"},
		}
	}
	db, err := postgres.Open(ctx, databaseOptions(c))
	if err != nil {
		return []finding{{"database", fail, oneLine(err.Error()), "telecommune migrate, or what it says"}}
	}
	findings := []finding{{"database", good, "reachable, its schema is up to date", ""}, checkKey(ctx, c, db), checkSetUp(ctx, db), checkExchange(ctx, db)}
	if err := db.Close(); err != nil {
		findings = append(findings, finding{"database", warn, oneLine("closing it: " + err.Error()), "telecommune doctor"})
	}
	return findings
}

// checkSetUp names the first thing that is missing before a call can be made.
func checkSetUp(ctx context.Context, db *postgres.DB) finding {
	f := finding{Check: "set-up", Status: warn}
	admission, err := pbx.LoadAdmission(ctx, db.DB)
	if err != nil {
		return finding{f.Check, fail, oneLine(err.Error()), "telecommune migrate"}
	}
	trunks, err := routing.NewStore(db.DB).Trunks(ctx)
	if err != nil {
		return finding{f.Check, fail, oneLine(err.Error()), "telecommune migrate"}
	}
	decks, err := tariff.NewStore(db.DB).List(ctx)
	if err != nil {
		return finding{f.Check, fail, oneLine(err.Error()), "telecommune migrate"}
	}
	priced := map[string]bool{}
	retail := false
	for _, d := range decks {
		retail = retail || d.Kind == tariff.Retail && d.InForce
		if d.Kind == tariff.Trunk && d.InForce {
			priced[d.Name] = true
		}
	}
	var unpriced []string
	for _, t := range trunks {
		if t.Enabled && !priced[t.Code] {
			unpriced = append(unpriced, t.Code)
		}
	}
	switch {
	case len(admission.Providers) == 0:
		f.Detail, f.Fix = "nobody may send calls yet", "telecommune provider add CODE --address IP"
	case len(admission.Numbers) == 0:
		f.Detail, f.Fix = "there is no access number yet", "telecommune access-number add NUMBER --provider CODE --country CC"
	case len(trunks) == 0:
		f.Detail, f.Fix = "there is no trunk yet", "telecommune trunk add CODE --address HOST:PORT"
	case !retail:
		f.Detail, f.Fix = "there are no callers' prices yet", "telecommune deck import FILE --retail retail"
	case len(unpriced) > 0:
		f.Detail = "no rate deck for trunk " + strings.Join(unpriced, ", ")
		f.Fix = "telecommune deck import FILE --trunk " + unpriced[0]
	default:
		f.Status, f.Detail = good, "providers, access numbers, trunks and prices are there"
	}
	return f
}

// checkExchange finds trunks that carry no calls because nobody knows what their prices are worth.
func checkExchange(ctx context.Context, db *postgres.DB) finding {
	f := finding{"exchange rates", good, "there for each trunk's deck that needs one", ""}
	decks, err := tariff.NewStore(db.DB).Load(ctx)
	if err != nil {
		return finding{f.Check, fail, oneLine(err.Error()), "telecommune migrate"}
	}
	if trunks := decks.Unpriced(now(ctx)); len(trunks) > 0 {
		f.Status, f.Detail = fail, "none for the deck of trunk "+strings.Join(trunks, ", ")+": no calls go there"
		f.Fix = "telecommune exchange-rate set CURRENCY RATE"
	}
	return f
}

func checkPrompts(c Config) finding {
	f := finding{Check: "prompts", Status: fail, Fix: "make prompts"}
	library, err := prompt.Open(c.Prompts...)
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	dirs := strings.Join(c.Prompts, ", ")
	if missing := library.Check(); len(missing) > 0 {
		f.Detail = fmt.Sprintf("%d missing in %s, such as %s", len(missing), dirs, missing[0])
		return f
	}
	return finding{f.Check, good, "complete in " + dirs, ""}
}

// checkSpeech looks for what `make prompts` needs, which matters only while prompts are missing or change.
func checkSpeech(spoken bool) finding {
	var missing []string
	for _, tool := range []string{"espeak-ng", "sox"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	f := finding{"speech", good, "espeak-ng and sox are there", ""}
	if len(missing) > 0 {
		f.Detail, f.Fix = strings.Join(missing, " and ")+" missing, needed to make prompts", "apt-get install "+strings.Join(missing, " ")
		f.Status = warn
		if !spoken {
			f.Status = fail
		}
	}
	return f
}

// checkPort tries to listen as serve would.
func checkPort(name, address, flag string, networks ...string) finding {
	for _, network := range networks {
		var closer interface{ Close() error }
		var err error
		if network == "udp" {
			closer, err = net.ListenPacket(network, address)
		} else {
			closer, err = net.Listen(network, address)
		}
		if err == nil {
			err = closer.Close()
		}
		if err != nil {
			return finding{name, fail, oneLine(err.Error()), "ss -lnp shows who has it; another one: " + flag + " HOST:PORT"}
		}
	}
	return finding{name, good, address + " is free", ""}
}

// wantedReceiveBuffer holds the media of many calls for the time that a busy machine doesn't get to read it.
const wantedReceiveBuffer = 1 << 20 // bytes

func checkReceiveBuffer() finding {
	f := finding{Check: "receive buffer", Status: warn, Fix: "sysctl -w net.core.rmem_max=4194304"}
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		f.Detail = "its maximum can't be read: " + err.Error()
		return f
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || most < wantedReceiveBuffer {
		f.Detail = fmt.Sprintf("UDP may have %d kB; under load packets get lost", most>>10)
		return f
	}
	return finding{f.Check, good, fmt.Sprintf("UDP may have %d kB", most>>10), ""}
}

// checkClock asks the kernel whether somebody keeps its clock right: call times and periods come from it.
func checkClock() finding {
	const unsynchronised = 5 // TIME_ERROR of adjtimex(2)
	state, err := syscall.Adjtimex(&syscall.Timex{})
	if err != nil || state == unsynchronised {
		return finding{"clock", warn, "not kept right by a time server, or not known", "timedatectl set-ntp true"}
	}
	return finding{"clock", good, "kept right", ""}
}

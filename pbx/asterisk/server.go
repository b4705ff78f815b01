package asterisk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// private is an Asterisk of our own. It outlives us when we are killed, so that its calls go on, and the next run of this
// program on the same state folder takes it over.
type private struct {
	conf   Config
	dir    string // of its configuration and all that it writes
	folder string // of the program
	reach  reach

	secured    atomic.Pointer[ways] // of the trunks over TLS, for calls: they don't wait for look-ups and files
	peering    sync.Mutex           // held by who makes the rest
	written    []byte               // the newest peers.conf
	transports []tlsTransport       // in it
	lookedUp   map[string]known
	hostsFile  string // with names that are not the DNS's
	resolves   bool   // Asterisk has been asked to read such a file

	patience time.Duration // with one of an earlier run, that it answers
	same     bool          // what was left by an earlier run has this very configuration
	up       chan struct{} // closed when Asterisk was started, or taken over, for the first time
	began    sync.Once     // closes up
	ready    chan struct{} // closed when calls are taken for the first time; nil: never
	taken    bool          // Asterisk was taken over, and may have calls; read after up
	leave    atomic.Bool   // it is not ended at the end
}

// reach is how an Asterisk is reached. It is kept beside it, for a later run of this program.
type reach struct {
	HTTP     string `json:"http"` // where it takes ARI
	Password string `json:"password"`
	SIP      string `json:"sip"` // where it takes calls
}

const (
	steady   = time.Minute // an Asterisk that ran for so long is started again at once
	slowest  = 30 * time.Second
	attempts = 5                // that end soon, after which there is no sense in another if none has ever taken calls
	takeTime = 10 * time.Second // that one of an earlier run is given to answer
)

// run keeps Asterisk running until ctx ends, and then ends it. One that ends by itself is started again; one that never
// takes calls is an error. No private one is none that has to be run.
func (p *private) run(ctx context.Context, log *slog.Logger) error {
	if p == nil {
		<-ctx.Done()
		return nil
	}
	var again restart
	for {
		began := time.Now()
		err := p.runOnce(ctx, log)
		if ctx.Err() != nil {
			return err
		}
		worked := false
		select {
		case <-p.ready:
			worked = true
		default:
		}
		wait, hopeless := again.after(time.Since(began), worked)
		if hopeless {
			return fmt.Errorf("the private Asterisk ended %d times soon after its start; see %s: %w", attempts, filepath.Join(p.dir, "log"), err)
		}
		log.Error("Asterisk ended, and is started again", "err", err, "in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// restart tells how long to wait before Asterisk is started again.
type restart struct {
	short int           // runs in a row that ended soon
	next  time.Duration // after another
}

// after takes that a run has ended which lasted so long. It is hopeless when none has worked: then the configuration is
// wrong, or the port another's. One that has worked may be killed as often as somebody likes.
func (r *restart) after(lasted time.Duration, worked bool) (wait time.Duration, hopeless bool) {
	if lasted >= steady {
		*r = restart{}
	}
	r.short++
	wait, r.next = r.next, min(2*r.next+time.Second, slowest)
	return wait, r.short >= attempts && !worked
}

// runOnce runs Asterisk once, to its end or that of ctx.
func (p *private) runOnce(ctx context.Context, log *slog.Logger) error {
	asterisk, err := p.takeOver(ctx, log)
	if err == nil && asterisk == nil && ctx.Err() == nil {
		asterisk, err = p.start()
	}
	if err != nil || asterisk == nil {
		return err
	}
	p.began.Do(func() { close(p.up) })
	select {
	case <-asterisk.ended:
		return asterisk.err
	case <-ctx.Done():
		if p.leave.Load() {
			return nil
		}
		return asterisk.end()
	}
}

// takeOver gives the Asterisk that an earlier run has left, and nil when there is none. One that is not as ours would be, or
// does not answer, is ended.
func (p *private) takeOver(ctx context.Context, log *slog.Logger) (*process, error) {
	left, err := processesOf(p.arguments())
	if err != nil || len(left) == 0 {
		return nil, err
	}
	why := errors.New("the configuration is another now")
	if p.same && len(left) == 1 {
		why = p.answers(ctx)
	}
	p.same = false // that is looked at once
	if why == nil {
		log.Info("Asterisk of an earlier run is taken over", "pid", left[0].Pid)
		p.taken = true
		return left[0], nil
	}
	for _, l := range left {
		log.Warn("Asterisk of an earlier run is ended, and its calls with it", "pid", l.Pid, "why", why)
		err = errors.Join(err, l.end())
	}
	return nil, err
}

// answers tells why an Asterisk that runs can't be taken over; nil when it can.
func (p *private) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.program(), "-V").Output()
	if err != nil {
		return fmt.Errorf("version of Asterisk: %w", err)
	}
	asked := newARI("http://"+p.reach.HTTP+"/ari", p.reach.Password)
	defer asked.http.CloseIdleConnections()
	tick := time.NewTicker(lookAlive)
	defer tick.Stop()
	for {
		version, err := asked.version(ctx)
		switch {
		case errors.Is(err, errLogin):
			return err
		case err == nil && !isVersion(out, version):
			return fmt.Errorf("it is of version %s, the one in %s is another", version, p.folder)
		case err == nil:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		}
	}
}

// start starts Asterisk.
func (p *private) start() (*process, error) {
	if _, err := freeAddress(p.reach.SIP); err != nil { // Asterisk would run without it
		return nil, fmt.Errorf("listen for SIP on %s: %w", p.reach.SIP, err)
	}
	if err := p.anew(); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(filepath.Join(p.dir, "log", "console"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(p.program(), p.arguments()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, out, out
	asterisk, err := launch(cmd)
	if err != nil {
		return nil, err
	}
	if err := boundFiles(asterisk.Pid, mostHistory); err != nil {
		return nil, errors.Join(err, asterisk.end())
	}
	return asterisk, nil
}

func (p *private) program() string { return filepath.Join(p.folder, "run") }

// arguments are those that Asterisk is started with, and known by.
func (p *private) arguments() []string { return arguments(p.dir) }

func arguments(dir string) []string {
	return []string{"-C", filepath.Join(dir, "etc", "asterisk.conf"), "-f"}
}

// EndLeft ends the Asterisk that an engine with this state folder has left running, for a program that will not take it
// over.
func EndLeft(state string, log *slog.Logger) error {
	dir, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	left, err := processesOf(arguments(dir))
	for _, l := range left {
		log.Warn("Asterisk of an earlier run is ended, and its calls with it", "pid", l.Pid, "why", "it is not wanted any more")
		err = errors.Join(err, l.end())
	}
	return err
}

// address is where to take SIP: port 0 is replaced by one that both UDP and TCP have free. Another is looked at when
// Asterisk is started, for one of an earlier run may have it.
func address(listen string) (*net.UDPAddr, error) {
	addr, err := net.ResolveUDPAddr("udp", listen)
	if err != nil || addr.Port == 0 {
		return freeAddress(listen)
	}
	if addr.IP == nil {
		addr.IP = net.IPv4zero
	}
	return addr, nil
}

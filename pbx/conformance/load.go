package conformance

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/internal/postgres/pgtest"
	"telecommune/pbx/simcarrier"
)

// long tells whether the full counts are asked for.
func long() bool { return os.Getenv("TELECOMMUNE_LONG") == "1" }

// Load puts many calls through: first in parallel with voice both ways, then many a second without, then more than are
// let in. It prints figures.
func Load(t *testing.T, start Start) {
	pgtest.New(t) // starts the server, whose goroutines stay
	t.Run("parallel", func(t *testing.T) { loadParallel(t, start) })
	t.Run("rate", func(t *testing.T) { loadRate(t, start) })
	t.Run("over", func(t *testing.T) { loadOver(t, start) })
}

// loadParallel holds calls with voice for some time, all at once.
func loadParallel(t *testing.T, start Start) {
	calls, talk := 20, 2*time.Second
	if long() {
		calls, talk = 200, 30*time.Second
	}
	before := footprint(t)
	far := carrier(t, simcarrier.CarrierConfig{Default: simcarrier.Behaviour{Sound: simcarrier.Tone}})
	r := newRig(t, start, plan{trunks: trunks(far.Addr()), credit: 10_000 * money.Unit, callLimit: 60, log: slog.LevelError, patience: 3 * time.Minute})
	p := r.phone(simcarrier.PhoneConfig{Sound: simcarrier.Tone})
	m := measure()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var lost, got int
	up := make(chan struct{})
	var ready sync.WaitGroup
	ready.Add(calls)
	for i := range calls {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 10 * time.Millisecond) // 100 a second
			c, err := p.Call(r.ctx, contact.Digits())
			if err == nil {
				err = c.WaitHeard(r.ctx, func(h simcarrier.Heard) bool { return h.Tone >= 5 })
			}
			ready.Done()
			if err != nil {
				t.Error(err)
				return
			}
			<-up
			first := c.Heard().Tone
			time.Sleep(talk)
			heard := c.Heard().Tone - first
			c.Hangup()
			mu.Lock()
			defer mu.Unlock()
			got += heard
			lost += max(0, int(talk/(20*time.Millisecond))-heard)
		})
	}
	ready.Wait()
	close(up)
	talking := measure()
	time.Sleep(talk)
	cpu := talking.cpu()
	wg.Wait()
	wants := slices.Repeat([]want{{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 60}}, calls)
	r.settled(wants...)
	t.Logf("%d parallel calls with voice both ways for %s: %.0f %% of one core for phones, exchange and carrier in one process, %d MB, "+
		"%d packets heard, %d missing (%.2f %%)", calls, talk, cpu, m.memory(), got, lost, 100*float64(lost)/float64(got+lost))
	for _, c := range far.Calls() {
		if c.Heard.Tone < 5 {
			t.Errorf("the far side heard only %+v", c.Heard)
		}
	}
	p.Close()
	far.Close()
	leftovers(r, before)
}

// loadRate makes short calls without voice, so many a second, with SIPp at both ends: the figures are the exchange's own.
func loadRate(t *testing.T, start Start) {
	rate, seconds := 20, 2
	if long() {
		rate, seconds = cmp.Or(start.Traits.Pace, 100), 25
	}
	n, before := rate*seconds, footprint(t)
	far := sippCarrier(t, "carrier.xml", values{"Sound": ""}, "-m", strconv.Itoa(n))
	r := newRig(t, start, plan{
		trunks: trunks(far.addr), credit: 10_000 * money.Unit, callLimit: 60, log: slog.LevelError, mediaTimeout: time.Minute,
		patience: 3 * time.Minute,
	})
	m := measure()
	near := sippCaller(t, r.address, contact.Digits(), "caller.xml", values{"Sound": "", "Caller": mobile, "Talk": 3000},
		"-m", strconv.Itoa(n), "-r", strconv.Itoa(rate), "-l", strconv.Itoa(n), "-trace_rtt", "-rtt_freq", "1")
	near.wait() // each INVITE has its 200 and each BYE
	cpu, memory := m.cpu(), m.memory()
	far.wait()
	r.settled(slices.Repeat([]want{{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3}}, n)...)
	setups := near.setups()
	t.Logf("%d calls, %d a second: answered after %.1f ms (median), %.1f ms (99 of 100), %.1f ms (all); %.0f %% of one core, %d MB",
		n, rate, setups[len(setups)/2], setups[len(setups)*99/100], setups[len(setups)-1], cpu, memory)
	leftovers(r, before)
}

// leftovers ends everything and looks for what is left.
func leftovers(r *rig, before mark) {
	r.t.Helper()
	r.stop()
	var after mark
	for range 100 { // what was told to end may take a moment
		if after = footprint(r.t); after.goroutines <= before.goroutines && after.sockets <= before.sockets {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	r.t.Errorf("left over: %+v, before %+v\n%s", after, before, strings.ToValidUTF8(string(stacks[:runtime.Stack(stacks, true)]), ""))
}

// mark is what a process holds.
type mark struct {
	goroutines int // but for the database pool's
	sockets    int // UDP
}

func footprint(t *testing.T) mark {
	t.Helper()
	m := mark{}
	stacks := make([]byte, 8<<20)
	for _, g := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if !strings.Contains(g, "database/sql.") && !strings.Contains(g, "lib/pq") {
			m.goroutines++
		}
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	udp := udpInodes(t)
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && udp[to] {
			m.sockets++
		}
	}
	return m
}

// udpInodes are the UDP sockets of the machine, as /proc/self/fd names them.
func udpInodes(t *testing.T) map[string]bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 9 {
			all[fmt.Sprintf("socket:[%s]", fields[9])] = true
		}
	}
	return all
}

// meter measures from when it was made.
type meter struct {
	at   time.Time
	used time.Duration
}

func measure() meter { return meter{time.Now(), used()} }

func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpu is the process's time in percent of one core.
func (m meter) cpu() float64 { return 100 * float64(used()-m.used) / float64(time.Since(m.at)) }

// memory is the process's resident memory in MB.
func (m meter) memory() int {
	var pages, resident int
	statm, _ := os.ReadFile("/proc/self/statm")
	_, _ = fmt.Sscan(string(statm), &pages, &resident)
	return resident * os.Getpagesize() >> 20
}

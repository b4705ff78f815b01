package conformance

import (
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"telecommune/billing"
	"telecommune/internal/money"
)

// loadOver has three times as many callers come as are let in. Those who are let in are served whole; all others are
// refused before they would ask again, and leave nothing behind.
func loadOver(t *testing.T, start Start) {
	limit, seconds := 10, 2
	if long() {
		limit, seconds = 25, 20
	}
	rate := 3 * limit
	n, before := rate*seconds, footprint(t)
	far := sippCarrier(t, "carrier.xml", values{"Sound": ""}, "-m", strconv.Itoa(n))
	r := newRig(t, start, plan{
		trunks: trunks(far.addr), credit: 10_000 * money.Unit, callLimit: 60, log: slog.LevelError, mediaTimeout: time.Minute,
		patience: 3 * time.Minute, maxCPS: limit,
	})
	near := sippCaller(t, r.address, contact.Digits(), "caller_crowd.xml", values{"Sound": "", "Caller": mobile, "Talk": 2000},
		"-m", strconv.Itoa(n), "-r", strconv.Itoa(rate), "-l", strconv.Itoa(n), "-trace_rtt", "-rtt_freq", "1")
	near.wait() // each has its BYE, or its 503
	refused := near.setups()
	served := n - len(refused)
	if least, most := limit*seconds*8/10, limit*(seconds+2); served < least || served > most {
		t.Fatalf("%d of %d callers were let in, want %d to %d", served, n, least, most)
	}
	if usual := refused[len(refused)/2]; usual > 500 {
		t.Errorf("callers are refused after %.0f ms: they have asked again by then", usual)
	}
	r.settled(slices.Repeat([]want{{outcome: billing.Answered, sip: 200, atLeast: 1, atMost: 3}}, served)...)
	t.Logf("%d callers, %d a second: %d served, %d refused after %.1f ms (median), %.1f ms (99 of 100), %.1f ms (all)", n, rate,
		served, len(refused), refused[len(refused)/2], refused[len(refused)*99/100], refused[len(refused)-1])
	far.end()
	leftovers(r, before)
}

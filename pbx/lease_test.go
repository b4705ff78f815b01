package pbx_test

import (
	"testing"
	"time"

	"telecommune/routing"
)

// The agreement on the cheap trunk ends at midnight: the calls before it go there, those after it over the next one, while
// the picture stays the same. Who talks over midnight talks on.
func TestATrunkIsReturnedAtMidnight(t *testing.T) {
	onExchange(t, func(x *exchange) {
		now := time.Now()
		midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		x.shape = func(t *routing.Trunk) {
			if t.Code == "cheap" {
				t.Asset = "A"
			}
		}
		picture := x.routes().Let(routing.Leases{{Asset: "A", Enterprise: "CALL", From: now.Add(-time.Hour), Until: midnight}})
		x.config.Routes = func() *routing.Snapshot { return picture }
		x.parties["cheap"], x.parties["dear"] = party{talks: time.Minute}, party{talks: time.Minute}
		call := func() {
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.talks()
			p.waits()
		}
		time.Sleep(time.Until(midnight.Add(-30 * time.Second)))
		call()
		call()
		var trunks []string
		for _, s := range x.bank.settled {
			trunks = append(trunks, s.Trunk)
		}
		if len(trunks) != 2 || trunks[0] != "cheap" || trunks[1] != "dear" {
			t.Errorf("the calls went over %v", trunks)
		}
		if s := x.bank.settled[0]; !s.AnsweredAt.Before(midnight) || s.AnsweredAt.Add(s.Answered).Before(midnight) {
			t.Errorf("the first call, answered at %v for %v, was none over midnight", s.AnsweredAt, s.Answered)
		}
	})
}

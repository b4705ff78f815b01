package pbx_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

func TestWarningsAndTheCut(t *testing.T) {
	for _, tc := range []struct {
		held  int
		heard []string
	}{
		{150, []string{"one-minute-left at 1m30s", "ten-seconds-left at 2m20s"}},
		{60, []string{"ten-seconds-left at 50s"}},
		{30, []string{"ten-seconds-left at 20s"}},
		{13, []string{"ten-seconds-left at 3s"}},
		{12, nil},
		{1, nil},
	} {
		onExchange(t, func(x *exchange) {
			x.bank.seconds = tc.held
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.talks()
			p.mu.Lock()
			p.events = nil
			p.mu.Unlock()
			p.hears(prompt.CreditUsedUp, prompt.Goodbye)
			p.waits()
			if got := p.events[:len(p.events)-2]; !slices.Equal(got, tc.heard) {
				t.Errorf("held %d s: heard %v, want %v", tc.held, got, tc.heard)
			}
			x.expect("authorise +380441234567 for anna",
				"settle answered "+(time.Duration(tc.held)*time.Second).String()+" on cheap, 200/16")
			if longest := p.limits[len(p.limits)-1]; longest < time.Duration(tc.held)*time.Second+time.Minute {
				t.Errorf("the caller's leg may last %v", longest)
			}
		})
	}
}

func TestTheCallLimitIsNotTheCredit(t *testing.T) {
	onExchange(t, func(x *exchange) {
		c := caller("anna")
		c.CallLimit = 300
		x.bank.phones[anna] = c
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears(prompt.OneMinuteLeft, prompt.TenSecondsLeft, prompt.LongestCall, prompt.AskNextNumber)
		p.hangsUp()
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 5m0s on cheap, 200/16")
		if x.bank.extends > 0 {
			t.Error("more was asked for than a call may last")
		}
	})
}

// The caller is told what the paid time was too short for: the spend limit, or the credit once the limit is gone.
func TestTheSpendLimitIsNotTheCredit(t *testing.T) {
	for _, lifted := range []bool{false, true} {
		onExchange(t, func(x *exchange) {
			x.bank.seconds, x.bank.limited = 30, true
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.talks()
			lasted, says := "30s", prompt.SpendLimitReached
			if lifted {
				x.bank.set(func() { x.bank.seconds, x.bank.limited = 40, false })
				lasted, says = "40s", prompt.CreditUsedUp
			}
			p.hears(prompt.TenSecondsLeft, says, prompt.Goodbye)
			p.waits()
			x.expect("authorise +380441234567 for anna", "settle answered "+lasted+" on cheap, 200/16")
		})
	}
}

func TestTopUpDuringTheCall(t *testing.T) {
	for _, tc := range []struct {
		why   string
		at    time.Duration // of the top-up, after the answer
		heard []string
	}{
		{"before any warning", 10 * time.Second, []string{"one-minute-left at 4m0s", "ten-seconds-left at 4m50s"}},
		{
			"after the first warning", 50 * time.Second,
			[]string{"one-minute-left at 30s", "one-minute-left at 4m0s", "ten-seconds-left at 4m50s"},
		},
		{
			"at the last moment", 83 * time.Second,
			[]string{"one-minute-left at 30s", "ten-seconds-left at 1m20s", "one-minute-left at 4m0s", "ten-seconds-left at 4m50s"},
		},
		{"too late", 86 * time.Second, []string{"one-minute-left at 30s", "ten-seconds-left at 1m20s"}},
	} {
		t.Run(tc.why, func(t *testing.T) {
			onExchange(t, func(x *exchange) {
				x.bank.seconds = 90
				p := x.call(gateway, anna)
				p.types(kyiv + "#")
				p.talks()
				p.mu.Lock()
				p.events = nil
				p.mu.Unlock()
				time.Sleep(tc.at)
				x.bank.set(func() { x.bank.seconds = 300 })
				p.hears(prompt.CreditUsedUp)
				p.waits()
				if got := p.events[:len(p.events)-2]; !slices.Equal(got, tc.heard) {
					t.Errorf("heard %v, want %v", got, tc.heard)
				}
				lasted := "5m0s"
				if tc.at > 85*time.Second {
					lasted = "1m30s"
				}
				x.expect("authorise +380441234567 for anna", "settle answered "+lasted+" on cheap, 200/16")
			})
		})
	}
}

func TestHashHashMakesTheNextCall(t *testing.T) {
	onExchange(t, func(x *exchange) {
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.talks()
		time.Sleep(5 * time.Second)
		p.types("12#34") // a menu at the far end
		p.types("#")
		time.Sleep(1001 * time.Millisecond) // too slow
		p.types("#")
		time.Sleep(time.Second)
		p.types("#")
		p.hears(prompt.AskNextNumber)
		if p.ended() {
			t.Error("the caller was dropped")
		}
		p.types("030123456#")
		p.talks()
		time.Sleep(2 * time.Second)
		p.hangsUp()
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle answered 7.001s on cheap, 200/16",
			"authorise +4930123456 for anna", "settle answered 2s on third, 200/16")
		if a, b := x.bank.asked[0], x.bank.asked[1]; a.AccessCall != b.AccessCall || a.Call == b.Call {
			t.Errorf("calls %v %v of access calls %v %v", a.Call, b.Call, a.AccessCall, b.AccessCall)
		}
	})
}

// Paid is the time up to the hang-up of whoever came first, not up to when the script heard of it.
func TestDeliveredTimeEndsWithTheFirstHangup(t *testing.T) {
	for _, far := range []bool{true, false} {
		onExchange(t, func(x *exchange) {
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.talks()
			time.Sleep(5 * time.Second)
			hangsUp := p.line
			if far {
				hangsUp = x.far[0]
			}
			hangsUp.finishAt(time.Now().Add(-700*time.Millisecond), pbx.ByPeer, 31)
			pause(p)
			p.hangsUp()
			p.waits()
			x.expect("authorise +380441234567 for anna", "settle answered 4.3s on cheap, 200/31")
		})
	}
}

// A far side that hangs up before the two are joined has answered: no other trunk is tried, and the caller stays.
func TestFarSideHangsUpBeforeTheTalk(t *testing.T) {
	for _, lasted := range []time.Duration{0, 300 * time.Millisecond} {
		onExchange(t, func(x *exchange) {
			x.bridging = func() error {
				time.Sleep(lasted)
				x.far[0].finish(pbx.ByPeer, 31)
				return fmt.Errorf("bridge: %w", pbx.ErrEnded)
			}
			p := x.call(gateway, anna)
			p.types(kyiv + "#")
			p.hears(prompt.AskNextNumber)
			p.hangsUp()
			p.waits()
			x.expect("authorise +380441234567 for anna", fmt.Sprintf("settle answered %v on cheap, 200/31", lasted))
		})
	}
}

// A caller who hangs up after the answer and before the two are known to be joined has been connected: the carrier asks for
// it, and so do we. One who hung up before the answer has given up.
func TestCallerHangsUpBeforeTheTalk(t *testing.T) {
	for lasted, want := range map[time.Duration]string{
		300 * time.Millisecond:  "settle answered 300ms on cheap, 200/16",
		-300 * time.Millisecond: "settle gave_up 0s on cheap, 200/16",
	} {
		onExchange(t, func(x *exchange) {
			var p *phone
			x.parties["cheap"] = party{after: time.Second}
			x.bridging = func() error {
				p.finishAt(x.far[0].AnsweredAt().Add(lasted), pbx.ByPeer, 16)
				time.Sleep(time.Second)
				return fmt.Errorf("bridge: %w", pbx.ErrEnded)
			}
			p = x.call(gateway, anna)
			p.types(kyiv + "#")
			p.waits()
			x.expect("authorise +380441234567 for anna", want)
		})
	}
}

// What fails after the far side's answer is not tried over another trunk.
func TestAnsweredWithAnotherCodec(t *testing.T) {
	onExchange(t, func(x *exchange) {
		x.parties["cheap"] = party{fails: &pbx.DialError{SIP: 200, Q850: 88, Err: pbx.ErrCodec}}
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears(prompt.NoWay, prompt.AskNextNumber)
		p.hangsUp()
		p.waits()
		x.expect("authorise +380441234567 for anna", "settle failed 0s on cheap, 200/88")
	})
}

// A database that does not answer when more time is asked for is worth a line in the log.
func TestExtendInVain(t *testing.T) {
	onExchange(t, func(x *exchange) {
		var log bytes.Buffer
		x.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		x.bank.seconds = 30
		x.bank.away["Extend"] = true
		p := x.call(gateway, anna)
		p.types(kyiv + "#")
		p.hears(prompt.TenSecondsLeft, prompt.CreditUsedUp)
		p.waits()
		if !strings.Contains(log.String(), "extend hold") {
			t.Errorf("logged:\n%s", log.String())
		}
	})
}

package simcarrier

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a carrier and a phone that calls it directly.
func pair(t *testing.T, c CarrierConfig, p PhoneConfig) (*Carrier, *Phone, context.Context) {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	carrier, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	p.Server = carrier.Addr()
	phone, err := NewPhone(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phone.Close)
	return carrier, phone, ctx
}

func call(ctx context.Context, t *testing.T, p *Phone, number string) *Call {
	t.Helper()
	c, err := p.Call(ctx, number)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func over(ctx context.Context, t *testing.T, c *Carrier) Record {
	t.Helper()
	r, err := c.Await(ctx, Record.Done)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConversation(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Ring: 50 * time.Millisecond, Sound: Tone}},
				PhoneConfig{Number: "+4930123456", Sound: Tone, Transport: transport})
			c := call(ctx, t, phone, "441632960001")
			if err := c.WaitHeard(ctx, func(h Heard) bool { return h.Tone >= 10 }); err != nil {
				t.Fatal(err)
			}
			if _, err := carrier.Await(ctx, func(r Record) bool { return r.Heard.Tone >= 10 }); err != nil {
				t.Fatal(err)
			}
			c.Hangup()
			r := over(ctx, t, carrier)
			if r.How != ByCaller || r.Number != "441632960001" || r.Caller != "+4930123456" || r.Transport != transport || r.Status != 200 {
				t.Errorf("%+v", r)
			}
			if byPeer, _ := c.EndedByPeer(); byPeer {
				t.Error("the phone hung up and says the carrier did")
			}
		})
	}
}

func TestDigits(t *testing.T) {
	for name, p := range map[string]PhoneConfig{
		"payload type 101": {}, "payload type 96": {Event: 96}, "G.711 µ-law": {Codecs: []Codec{PCMU}}, "SIP INFO": {INFO: true},
	} {
		t.Run(name, func(t *testing.T) {
			carrier, phone, ctx := pair(t, CarrierConfig{}, p)
			c := call(ctx, t, phone, "1")
			if err := c.Dial(ctx, "0159*#55##"); err != nil {
				t.Fatal(err)
			}
			c.Hangup()
			if r := over(ctx, t, carrier); r.Heard.Digits != "0159*#55##" {
				t.Errorf("digits %q", r.Heard.Digits)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Numbers: map[string]Behaviour{
		"486": {Status: 486, Ring: 20 * time.Millisecond, Reason: "Q.850;cause=17"},
		"503": {Status: 503},
	}}, PhoneConfig{})
	for number, want := range map[string]CallError{
		"486": {486, "Busy Here", "Q.850;cause=17"}, "503": {503, "Service Unavailable", ""},
	} {
		_, err := phone.Call(ctx, number)
		var got *CallError
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s: %v", number, err)
		}
		r, err := carrier.Await(ctx, func(r Record) bool { return r.Number == number && r.Done() })
		if err != nil || r.How != Refused || r.Status != want.Status || !r.Answered.IsZero() {
			t.Errorf("%+v %v", r, err)
		}
	}
}

func TestGivingUp(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Forever: true}}, PhoneConfig{})
	short, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		if _, err := carrier.Await(ctx, func(Record) bool { return true }); err != nil {
			t.Error(err)
		}
	}()
	if _, err := phone.Call(short, "1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r := over(ctx, t, carrier); r.How != Cancelled || r.Status != 487 {
		t.Errorf("%+v", r)
	}
}

func TestDeaf(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Deaf: true}}, PhoneConfig{})
	short, cancel := context.WithTimeout(ctx, 700*time.Millisecond) // the INVITE is repeated after 500 ms
	defer cancel()
	done := make(chan error, 1)
	go func() { _, err := phone.Call(short, "1"); done <- err }()
	<-short.Done()
	phone.Close()
	if err := <-done; err == nil {
		t.Error("answered")
	}
	if all := carrier.Calls(); len(all) != 1 || all[0].How != Vanished {
		t.Errorf("%+v", all)
	}
}

func TestEarlyMedia(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Early: true, Ring: 300 * time.Millisecond, Sound: Tone}}, PhoneConfig{})
	c := call(ctx, t, phone, "1")
	if h := c.Early(); h.Sound < 5 || h.Tone > 1 || !h.First.Before(c.AnsweredAt()) {
		t.Errorf("before the answer: %+v", h)
	}
	if err := c.WaitHeard(ctx, func(h Heard) bool { return h.Tone > 0 }); err != nil {
		t.Error(err)
	}
	if n := len(carrier.Calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestManyRingings(t *testing.T) {
	_, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Rings: 30, Ring: 300 * time.Millisecond}}, PhoneConfig{})
	call(ctx, t, phone, "1").Hangup()
}

func TestDigest(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{User: "trunk", Password: "secret"}, PhoneConfig{User: "trunk", Password: "secret"})
	call(ctx, t, phone, "1").Hangup()
	if n := len(carrier.Calls()); n != 1 {
		t.Errorf("%d calls, the one without credentials counts for none", n)
	}
	if err := phone.Register(ctx, time.Minute); err != nil || carrier.Registrations() != 1 {
		t.Error(err)
	}
	wrong, err := NewPhone(ctx, PhoneConfig{Server: carrier.Addr(), User: "trunk", Password: "guess"})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	var refused *CallError
	if _, err := wrong.Call(ctx, "1"); !errors.As(err, &refused) || refused.Status != 403 {
		t.Error(err)
	}
	if err := wrong.Register(ctx, time.Minute); !errors.As(err, &refused) || refused.Status != 403 {
		t.Error(err)
	}
}

func TestCarrierHangsUp(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{HangUp: 100 * time.Millisecond, Reason: "Q.850;cause=38"}}, PhoneConfig{})
	c := call(ctx, t, phone, "1")
	<-c.Done()
	if byPeer, reason := c.EndedByPeer(); !byPeer || reason != "Q.850;cause=38" {
		t.Error(byPeer, reason)
	}
	if r := over(ctx, t, carrier); r.How != ByCarrier {
		t.Errorf("%+v", r)
	}
}

func TestHoldUpdateAndSession(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{
		Hold: 50 * time.Millisecond, HoldFor: 50 * time.Millisecond, Update: 150 * time.Millisecond,
		Session: 2 * time.Second, Refreshes: true, HangUp: 1300 * time.Millisecond,
	}}, PhoneConfig{})
	c := call(ctx, t, phone, "1")
	if direction, err := c.Hold(ctx, true); err != nil || direction != "recvonly" {
		t.Error(direction, err)
	}
	if status, err := c.Update(ctx); err != nil || status != 200 {
		t.Error(status, err)
	}
	<-c.Done()
	r := over(ctx, t, carrier)
	if r.HoldAnswer != "recvonly" || r.UpdateReply != 200 || r.Refreshed != 1 || c.Refreshes() != 1 {
		t.Errorf("%+v", r)
	}
}

func TestSessionExpires(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Session: time.Second}}, PhoneConfig{})
	<-call(ctx, t, phone, "1").Done() // the phone knows no timers
	if r := over(ctx, t, carrier); r.How != Expired {
		t.Errorf("%+v", r)
	}
}

func TestLinesGoDead(t *testing.T) {
	t.Run("media alone", func(t *testing.T) {
		_, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Sound: Tone, MediaFor: 500 * time.Millisecond}}, PhoneConfig{})
		c := call(ctx, t, phone, "1")
		if err := c.WaitQuiet(ctx); err != nil {
			t.Error(err)
		}
		c.Hangup()
	})
	t.Run("carrier", func(t *testing.T) {
		carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Disappears: 50 * time.Millisecond}}, PhoneConfig{})
		c := call(ctx, t, phone, "1")
		if r := over(ctx, t, carrier); r.How != Vanished {
			t.Errorf("%+v", r)
		}
		if _, err := c.Update(within(ctx, t, 300*time.Millisecond)); err == nil {
			t.Error("a carrier that is gone answers")
		}
	})
	t.Run("phone", func(t *testing.T) {
		carrier, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Sound: Echo}}, PhoneConfig{Sound: Tone})
		c := call(ctx, t, phone, "1")
		if err := c.WaitHeard(ctx, func(h Heard) bool { return h.Tone > 3 }); err != nil {
			t.Error(err)
		}
		c.Vanish()
		if r := carrier.Calls()[0]; r.Done() {
			t.Errorf("%+v", r)
		}
	})
}

func within(ctx context.Context, t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return ctx
}

func TestCodecs(t *testing.T) {
	g729, pcmu := G729, PCMU
	for name, row := range map[string]struct {
		offer  []Codec
		answer *Codec
		status int
	}{
		"the first one offered":       {[]Codec{PCMU, PCMA}, nil, 200},
		"none that the carrier knows": {[]Codec{G729}, nil, 488},
		"answered with another":       {[]Codec{PCMA}, &pcmu, 200},
		"answered with an unknown":    {[]Codec{PCMA, PCMU}, &g729, 200},
	} {
		t.Run(name, func(t *testing.T) {
			_, phone, ctx := pair(t, CarrierConfig{Default: Behaviour{Sound: Tone, Codec: row.answer}}, PhoneConfig{Codecs: row.offer})
			c, err := phone.Call(ctx, "1")
			if row.status == 200 && row.answer == nil {
				if err != nil {
					t.Fatal(err)
				}
				if err := c.WaitHeard(ctx, func(h Heard) bool { return h.Tone > 0 }); err != nil {
					t.Error(err)
				}
				return
			}
			var refused *CallError
			if !errors.As(err, &refused) || refused.Status != row.status {
				t.Error(err)
			}
		})
	}
}

func TestCloseEndsAll(t *testing.T) {
	carrier, phone, ctx := pair(t, CarrierConfig{Numbers: map[string]Behaviour{"2": {Forever: true}}}, PhoneConfig{})
	c := call(ctx, t, phone, "1")
	ringing := make(chan error, 1)
	go func() { _, err := phone.Call(ctx, "2"); ringing <- err }()
	if _, err := carrier.Await(ctx, func(r Record) bool { return r.Number == "2" }); err != nil {
		t.Fatal(err)
	}
	carrier.Close()
	<-c.Done()
	if err := <-ringing; err == nil {
		t.Error("a closed carrier answered")
	}
	for _, r := range carrier.Calls() {
		if !r.Done() {
			t.Errorf("%+v", r)
		}
	}
	// Both ports are free again.
	again, err := Start(ctx, CarrierConfig{Listen: carrier.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	again.Close()
}

func TestParseSDP(t *testing.T) {
	const good = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\na=inactive\r\nm=video 5000 RTP/AVP 34\r\n"
	s, err := parseSDP([]byte(good))
	if err != nil || s.addr.String() != "127.0.0.1:4000" || len(s.codecs) != 2 || s.event != 97 || s.direction != "inactive" {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{"", "m=video 5000 RTP/AVP 34\r\n", strings.ReplaceAll(good, "127.0.0.1", "there"), strings.ReplaceAll(good, "4000", "70000")} {
		if s, err := parseSDP([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

package routing_test

import (
	"testing"

	"telecommune/routing"
)

func TestParseFailover(t *testing.T) {
	for _, c := range []struct {
		text string
		want routing.Failover // empty: refused
	}{
		{"503=next,count", "503=next,count"},
		{" 503 = NEXT , count ; Q34=stop;timeout=stop ; ", ""}, // an empty row
		{" 503 = NEXT , count ; Q34=stop;timeout=stop;", "503=next,count; q34=stop; timeout=stop"},
		{"4xx=next,no-count; network=next", "4xx=next,no-count; network=next"},
		{"200=next", ""}, // after an answer nobody else is tried
		{"2xx=next", ""},
		{"183=stop", ""},
		{"700=stop", ""},
		{"0503=stop", ""},
		{"q0=stop", ""},
		{"q128=stop", ""},
		{"q=stop", ""},
		{"503", ""},
		{"503=retry", ""},
		{"503=next,twice", ""},
		{"503=next; 503=stop", ""},
		{"busy=stop", ""},
	} {
		got, err := routing.ParseFailover(c.text)
		if got != c.want || (c.want == "") != (err != nil) {
			t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
		}
		if again, err := routing.ParseFailover(string(got)); again != got || err != nil {
			t.Errorf("%q is not canonical: %q, %v", got, again, err)
		}
	}
}

func TestJudge(t *testing.T) {
	type f = routing.Failure
	for _, c := range []struct {
		proves string
		rules  routing.Failover
		f      f
		want   routing.Judgement
	}{
		{"usual: a broken carrier", "", f{SIP: 503, Q850: 41}, routing.Judgement{"next", true}},
		{"usual: nothing there", "", f{Network: true}, routing.Judgement{"next", true}},
		{"usual: nothing there any more after ringing", "", f{Network: true, Rang: true}, routing.Judgement{"next", true}},
		{"usual: our credentials", "", f{SIP: 407, Q850: 21}, routing.Judgement{"next", true}},
		{"usual: a destination that is forbidden there", "", f{SIP: 403, Q850: 21}, routing.Judgement{"next", false}},
		{"usual: it hung", "", f{SIP: 487, Timeout: true}, routing.Judgement{"next", true}},
		{"usual: nobody took the call", "", f{SIP: 487, Timeout: true, Rang: true}, routing.Judgement{"stop", false}},
		{"usual: busy", "", f{SIP: 486, Q850: 17}, routing.Judgement{"stop", false}},
		{"usual: busy, as a gateway tells it", "", f{SIP: 503, Q850: 17}, routing.Judgement{"stop", false}},
		{"usual: no such number", "", f{SIP: 404, Q850: 1}, routing.Judgement{"next", false}},
		{"usual: a codec", "", f{SIP: 488, Q850: 88}, routing.Judgement{"next", false}},
		{"a row of its own", "503=stop", f{SIP: 503, Q850: 41}, routing.Judgement{"stop", true}},
		{"that does not count", "503=next,no-count", f{SIP: 503, Q850: 41}, routing.Judgement{"next", false}},
		{"or does", "404=next,count", f{SIP: 404, Q850: 1}, routing.Judgement{"next", true}},
		{"a cause before a status", "503=next; q34=stop", f{SIP: 503, Q850: 34}, routing.Judgement{"stop", true}},
		{"a status before its class", "5xx=stop; 503=next", f{SIP: 503, Q850: 41}, routing.Judgement{"next", true}},
		{"a class", "5xx=stop", f{SIP: 500, Q850: 41}, routing.Judgement{"stop", true}},
		{"other failures as usual", "500=stop", f{SIP: 503, Q850: 41}, routing.Judgement{"next", true}},
		{"our ring time-out", "timeout=next", f{SIP: 487, Timeout: true, Rang: true}, routing.Judgement{"next", false}},
		{"nothing there", "network=stop,no-count", f{Network: true}, routing.Judgement{"stop", false}},
		{"never after an answer", "q88=next", f{SIP: 200, Q850: 88}, routing.Judgement{"stop", false}},
	} {
		if got := (routing.Trunk{Failover: c.rules}).Judge(c.f); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.proves, got, c.want)
		}
	}
}

// FuzzParseFailover: whatever is taken is canonical and short.
func FuzzParseFailover(f *testing.F) {
	f.Add("503=next,count; q34=stop; timeout=next,no-count; 5xx=stop")
	f.Fuzz(func(t *testing.T, s string) {
		rules, err := routing.ParseFailover(s)
		if err != nil {
			return
		}
		if again, err := routing.ParseFailover(string(rules)); again != rules || err != nil {
			t.Errorf("%q: %q, then %q, %v", s, rules, again, err)
		}
	})
}

package sipua

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// Session timers, RFC 4028: a dialog whose other side vanished without BYE is noticed when it is not refreshed.
const (
	sessionExpires = 30 * time.Minute
	minExpires     = 90 * time.Second
)

// session is the timer of one dialog, guarded by its leg.
type session struct {
	interval time.Duration // 0: none agreed
	ours     bool          // we refresh
	expires  time.Time
}

// headers gives all values of a header under its name or compact form.
func headers(msg interface{ GetHeaders(string) []sip.Header }, name, compact string) (values []string) {
	for _, n := range []string{name, compact} {
		for _, h := range msg.GetHeaders(n) {
			values = append(values, h.Value())
		}
	}
	return values
}

func supportsTimer(msg interface{ GetHeaders(string) []sip.Header }) bool {
	for _, v := range headers(msg, "Supported", "k") {
		for _, option := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "timer") {
				return true
			}
		}
	}
	return false
}

// sessionInterval reads Session-Expires.
func sessionInterval(msg interface{ GetHeaders(string) []sip.Header }) (interval time.Duration, refresher string, ok bool) {
	for _, v := range headers(msg, "Session-Expires", "x") {
		number, params, _ := strings.Cut(v, ";")
		seconds, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
		if err != nil {
			continue
		}
		for _, p := range strings.Split(params, ";") {
			if key, value, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(key), "refresher") {
				refresher = strings.ToLower(strings.TrimSpace(value))
			}
		}
		return time.Duration(seconds) * time.Second, refresher, true
	}
	return 0, "", false
}

// tooSmall refuses a session interval below the least that we allow (section 9).
func (e *Engine) tooSmall(req *sip.Request, tx sip.ServerTransaction) bool {
	interval, _, ok := sessionInterval(req)
	if !ok || interval >= e.minExpires {
		return false
	}
	e.respond(req, tx, 422, e.minSE())
	return true
}

func (e *Engine) minSE() sip.Header { return sip.NewHeader("Min-SE", seconds(e.minExpires)) }

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// takeSession agrees to the timer that a request asks for, and writes that into its 2xx. The one who asked refreshes if
// he can.
func (l *leg) takeSession(req *sip.Request, res *sip.Response) {
	interval, refresher, asked := sessionInterval(req)
	able := supportsTimer(req)
	if !asked {
		interval, refresher = sessionExpires, "uac"
	}
	if !asked && !able {
		interval = 0
	} else {
		if refresher == "" {
			refresher = "uas"
			if able {
				refresher = "uac"
			}
		}
		res.AppendHeader(sip.NewHeader("Session-Expires", fmt.Sprintf("%s;refresher=%s", seconds(interval), refresher)))
		if refresher == "uac" {
			res.AppendHeader(sip.NewHeader("Require", "timer"))
		}
	}
	l.setSession(interval, refresher == "uas")
}

// gotSession takes what a 2xx to a request of ours says of the timer.
func (l *leg) gotSession(res *sip.Response) {
	interval, refresher, ok := sessionInterval(res)
	if !ok {
		interval = 0
	}
	l.setSession(interval, refresher != "uas")
}

func (l *leg) setSession(interval time.Duration, ours bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timers.session != nil {
		l.timers.session.Stop()
		l.timers.session = nil
	}
	if interval <= 0 || l.ctx.Err() != nil {
		return
	}
	l.session = session{interval, ours, time.Now().Add(interval)}
	wait := interval / 2
	if !ours {
		wait = interval - min(32*time.Second, interval/3)
	}
	l.timers.session = time.AfterFunc(wait, l.sessionDue)
}

// sessionDue refreshes the session, or ends it when its time is over.
func (l *leg) sessionDue() {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if !s.ours || time.Until(s.expires) <= min(32*time.Second, s.interval/3) {
		l.e.log.Debug("session expired", "call_id", l.dialog.id)
		l.hangup(pbx.End{By: pbx.ByFailure, SIP: 408, Q850: 102}, pbx.Cause{SIP: 408, Q850: 102})
		return
	}
	l.e.spawn(l, l.refresh)
}

// refresh sends UPDATE, or a re-INVITE to who does not take that. One that fails is tried again until the session is
// over.
func (l *leg) refresh() {
	l.dialog.mu.Lock()
	update := l.dialog.update
	l.dialog.mu.Unlock()
	var res *sip.Response
	var err error
	if update {
		res, err = l.dialog.do(l.ctx, l.refreshing(l.dialog.request(sip.UPDATE)))
	} else {
		res, err = l.reinvite()
	}
	if l.gone(res, err) || l.ctx.Err() != nil {
		return
	}
	if err == nil && res.IsSuccess() {
		l.dialog.retarget(res.Contact())
		l.gotSession(res)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	retry := l.session.interval / 10
	switch {
	case res == nil:
	case res.StatusCode == 422: // the least it allows is in Min-SE; ask for that next
		for _, v := range headers(res, "Min-SE", "") {
			least, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31)
			if err == nil && time.Duration(least)*time.Second > l.session.interval {
				l.session.interval = time.Duration(least) * time.Second
				retry = 0
			}
		}
	case update && (res.StatusCode == 405 || res.StatusCode == 501): // then by re-INVITE
		l.dialog.mu.Lock()
		retry, l.dialog.update = 0, false
		l.dialog.mu.Unlock()
	case res.StatusCode == 491: // RFC 3261 section 14.1
		retry = 2100*time.Millisecond + rand.N(1900*time.Millisecond)
	}
	if l.ctx.Err() == nil {
		l.timers.session = time.AfterFunc(retry, l.sessionDue)
	}
}

// refreshing adds to a request of ours what makes it a refresh.
func (l *leg) refreshing(req *sip.Request) *sip.Request {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	req.AppendHeader(l.contact())
	req.AppendHeader(sip.NewHeader("Supported", "timer"))
	req.AppendHeader(sip.NewHeader("Session-Expires", seconds(s.interval)+";refresher=uac"))
	req.AppendHeader(l.e.minSE())
	return req
}

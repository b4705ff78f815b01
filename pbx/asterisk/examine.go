package asterisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"telecommune/pbx"
	"telecommune/routing"
)

// Finding is what one look at an Asterisk that runs elsewhere has found.
type Finding struct {
	Check, Detail string
	Fix           string // the line that mends it; empty when all is well
}

// Examination looks over ARI whether an Asterisk that runs elsewhere is as docs/asterisk.md wants it. It makes test channels
// there that reach nobody, and takes back what else it does.
type Examination struct {
	Config
	Served bool   // a controller leads this Asterisk now
	Clip   string // the path of a prompt
}

// examiner is the application of the test channels: that of a controller would be taken from it.
const examiner = appName + "-doctor"

// Examine makes all checks, if it is let in. A connection that breaks is a finding like others.
func (x Examination) Examine(ctx context.Context) []Finding {
	a := newARIAs(strings.TrimSuffix(x.URL, "/"), x.User, x.Password)
	defer a.close()
	defer a.http.CloseIdleConnections()
	var all []Finding
	for _, check := range []struct {
		name string
		look func(context.Context, *ari) (detail, fix string)
	}{
		{"ari", x.login},
		{"asterisk version", x.version},
		{"asterisk modules", x.modules},
		{"asterisk memory", x.memory},
		{"asterisk callers", x.order},
		{"asterisk dialplan", x.dialplan},
		{"asterisk prompts", x.prompts},
		{"trunks over TLS", x.overTLS},
		{"asterisk trunks", x.trunks},
	} {
		detail, fix := check.look(ctx, a)
		all = append(all, Finding{check.name, detail, fix})
		if fix != "" && check.name == "ari" {
			break
		}
	}
	return all
}

func (x Examination) login(ctx context.Context, a *ari) (detail, fix string) {
	status, err := a.send(ctx, http.MethodGet, "/asterisk/info?only=status", nil, &struct{}{})
	switch {
	case err == nil:
		return x.URL + " takes us", ""
	case status == http.StatusUnauthorized:
		return err.Error(), "ari.conf: [" + x.User + "] with the password of --ari-password-file"
	case status == http.StatusForbidden:
		return err.Error(), "ari.conf: read_only = no"
	case status != 0:
		return err.Error(), "--ari-url ends with /ari, behind the prefix of http.conf if there is one"
	}
	return err.Error(), "http.conf: enabled = yes, bindaddr and bindport as in --ari-url; ari.conf: enabled = yes"
}

func (x Examination) version(ctx context.Context, a *ari) (detail, fix string) {
	var got struct{ System struct{ Version string } }
	if _, err := a.send(ctx, http.MethodGet, "/asterisk/info?only=system", nil, &got); err != nil {
		return err.Error(), "telecommune doctor, again"
	}
	text := pbx.Printable(got.System.Version)
	if soundVersion(text) {
		return text, ""
	}
	return text + " has known holes, or is not known", "apt-get install asterisk, in version 22.10.1 or newer, or deploy/asterisk/get.sh"
}

func (x Examination) modules(ctx context.Context, a *ari) (detail, fix string) {
	var got []struct{ Name, Status string }
	if _, err := a.send(ctx, http.MethodGet, "/asterisk/modules", nil, &got); err != nil {
		return err.Error(), "telecommune doctor, again"
	}
	var missing []string
	for _, m := range modules {
		runs := slices.ContainsFunc(got, func(g struct{ Name, Status string }) bool { return g.Name == m+".so" && g.Status == "Running" })
		if !runs && !slices.Contains(spare, m) {
			missing = append(missing, m)
		}
	}
	if len(missing) > 0 {
		return "missing: " + strings.Join(missing, ", "), "modules.conf: load = " + missing[0] + ".so"
	}
	return "all that is needed", ""
}

// spare are modules that an Asterisk of somebody else's does without: what they write nobody reads, or they are of newer
// versions alone.
var spare = []string{"res_cdrel_custom", "cel_custom", "res_websocket_client", "res_ari_model"}

// memory tells whether providers and trunks can be told, by telling of a pair that reaches nobody.
func (x Examination) memory(ctx context.Context, a *ari) (detail, fix string) {
	const id = "doctor~" + appName
	nobody := group{id, []object{
		made("auth", id, "auth_type", "userpass", "username", "x", "password", uuid.NewString()),
		made("aor", id),
		made("endpoint", id, "context", location+"-trunk"),
		made("identify", id, "endpoint", id, "match", "192.0.2.254"), // of documentation (RFC 5737)
		made("registration", id, "server_uri", "sip:127.0.0.1:9", "client_uri", "sip:x@127.0.0.1:9", "max_retries", "0"),
	}}
	r := remote{ari: a}
	err := r.put(ctx, nobody)
	if gone := r.forget(context.WithoutCancel(ctx), nobody); err == nil {
		err = gone
	}
	if err != nil {
		return err.Error(), "sorcery.conf: the lines of docs/asterisk.md, and a restart of Asterisk"
	}
	return "providers and trunks can be told", ""
}

// order tells whether a provider that logs in is found by its user.
func (x Examination) order(ctx context.Context, a *ari) (detail, fix string) {
	const line = "pjsip.conf: endpoint_identifier_order = ip,auth_username,username,anonymous in the section of type global"
	var got []field
	status, err := a.send(ctx, http.MethodGet, "/asterisk/config/dynamic/res_pjsip/global/global", nil, &got)
	if err != nil && status != http.StatusNotFound { // the section may have another name
		return err.Error(), line
	}
	for _, f := range got {
		if f.Attribute == "endpoint_identifier_order" && strings.Contains(f.Value, "auth_username") {
			return "known by address, then by the user of a login", ""
		}
	}
	if x.logins() {
		return "providers that log in are not found", line
	}
	return "known by address", ""
}

func (x Examination) logins() bool {
	return slices.ContainsFunc(x.Admission().Providers, func(p pbx.Provider) bool { return p.User != "" })
}

// overTLS tells of trunks that no transport carries.
func (x Examination) overTLS(ctx context.Context, a *ari) (detail, fix string) {
	secured, err := securedThere(ctx, a, x.Trunks())
	if err != nil {
		return err.Error(), "telecommune doctor, again"
	}
	return barredOf(secured, "pjsip.conf: the transport that docs/asterisk.md has for it, and a restart of Asterisk")
}

// BarredTLS tells which trunks over TLS a private Asterisk can't carry.
func BarredTLS(trunks []routing.Trunk) (detail, fix string) {
	secured := ways{}
	for code, a := range aliasesOf(trunks) {
		if a.err != nil {
			secured[code] = way{why: a.err.Error()}
		}
	}
	return barredOf(secured, "telecommune trunk set CODE, with a port in --address and no other --tls-name than its host, or serve --engine sip")
}

func barredOf(secured ways, mends string) (detail, fix string) {
	var barred []string
	for _, code := range slices.Sorted(maps.Keys(secured)) {
		if why := secured[code].why; why != "" {
			barred = append(barred, code+" ("+why+")")
		}
	}
	if len(barred) > 0 {
		return "not carried: " + strings.Join(barred, ", "), mends
	}
	return "can be carried", ""
}

func (x Examination) trunks(ctx context.Context, a *ari) (detail, fix string) {
	if !x.Served {
		return "are told by serve when it runs", ""
	}
	there, err := a.endpoints(ctx)
	if err != nil {
		return err.Error(), "telecommune doctor, again"
	}
	secured, err := securedThere(ctx, a, x.Trunks())
	if err != nil {
		return err.Error(), "telecommune doctor, again"
	}
	var missing []string
	n := 0
	for _, o := range peerObjects(nil, x.Trunks(), secured, time.Minute) {
		if o.class != "endpoint" {
			continue
		}
		if n++; there[o.id] == "" {
			missing = append(missing, o.id)
		}
	}
	if len(missing) > 0 {
		return "not known there: " + strings.Join(missing, ", "), "the log of serve says what Asterisk answered"
	}
	return fmt.Sprintf("%d known there", n), ""
}

const (
	testTime  = 10 * time.Second // of a test channel
	testExten = "telecommune"    // what is dialled: no access number
)

// dialplan sends a test channel into the dialplan, which has to hand it over to our application. There it is refused, by
// the controller that runs or else here, and the refusal has to come back.
func (x Examination) dialplan(ctx context.Context, a *ari) (detail, fix string) {
	const line = "extensions.conf: the lines of docs/asterisk.md, and dialplan reload"
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	apps := examiner
	led, err := a.leads(ctx)
	if err == nil && !led && !x.Served {
		apps += "," + appName
	}
	events, err := a.listen(ctx, apps)
	if err != nil {
		return err.Error(), line
	}
	defer events.CloseNow() //nolint:errcheck // it is over
	id := uuid.NewString()
	if err := a.start(ctx, id, "Local/"+testExten+"@"+location+"/n"); err != nil {
		return err.Error(), line
	}
	defer a.hangup(context.WithoutCancel(ctx), id, 16) //nolint:errcheck // as a rule it has ended
	reached := false
	for {
		ev, err := next(ctx, events)
		switch {
		case err != nil:
			return "a test channel got nowhere: " + err.Error(), line
		case ev.Type == "StasisStart" && ev.Channel.ID == id:
			err = a.dial(ctx, id, testTime)
		case ev.Type == "StasisStart" && ev.Application == appName && len(ev.Args) == 3 && ev.Args[0] == "in":
			reached = true
			err = a.hangup(ctx, ev.Channel.ID, pbx.Rejected.Q850)
		case ev.Type == "ChannelDestroyed" && ev.Channel.ID == id:
			switch {
			case ev.Cause == pbx.Rejected.Q850 || reached:
				return "leads to telecommune and back", ""
			case ev.Cause == pbx.NoCircuit.Q850:
				return "refuses calls: its limits are reached, or too low", line
			}
			return fmt.Sprintf("a test channel did not reach telecommune: cause %d", ev.Cause), line
		}
		if err != nil {
			return err.Error(), line
		}
	}
}

// prompts has a test channel play one.
func (x Examination) prompts(ctx context.Context, a *ari) (detail, fix string) {
	const line = "copy the folder of --prompts to the same path there, readable for Asterisk's user"
	if x.Clip == "" {
		return "there are none here", "make prompts"
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	events, err := a.listen(ctx, examiner)
	if err != nil {
		return err.Error(), line
	}
	defer events.CloseNow() //nolint:errcheck // it is over
	id := uuid.NewString()
	if err := a.start(ctx, id, "Local/echo@"+location+"-echo/n"); err != nil {
		return err.Error(), line
	}
	defer a.hangup(context.WithoutCancel(ctx), id, 16) //nolint:errcheck // it is there
	for {
		ev, err := next(ctx, events)
		switch {
		case err != nil:
			return "no prompt is played: " + err.Error(), line
		case ev.Type == "StasisStart" && ev.Channel.ID == id:
			err = a.dial(ctx, id, testTime)
		case ev.Type == "ChannelStateChange" && ev.Channel.State == "Up":
			err = a.play(ctx, id, uuid.NewString(), []string{"sound:" + strings.TrimSuffix(x.Clip, ".wav")})
		case ev.Type == "PlaybackFinished":
			if ev.Playback.State == "failed" {
				return "can't be played: " + x.Clip, line
			}
			return "are played", ""
		case ev.Type == "ChannelDestroyed" && ev.Channel.ID == id:
			return "the echo is not there", "extensions.conf: the lines of docs/asterisk.md, and dialplan reload"
		}
		if err != nil {
			return err.Error(), line
		}
	}
}

// leads tells whether somebody has our application.
func (a *ari) leads(ctx context.Context) (bool, error) {
	status, err := a.send(ctx, http.MethodGet, "/applications/"+appName, nil, nil)
	if status == http.StatusNotFound {
		return false, nil
	}
	return true, err
}

// start makes a channel of the examiner's, which is not dialled yet.
func (a *ari) start(ctx context.Context, id, endpoint string) error {
	_, err := a.send(ctx, http.MethodPost, "/channels/create", map[string]any{
		"endpoint": endpoint, "app": examiner, "channelId": id,
	}, nil)
	return err
}

// listen takes the events of applications.
func (a *ari) listen(ctx context.Context, apps string) (*websocket.Conn, error) {
	header := http.Header{}
	req := http.Request{Header: header}
	req.SetBasicAuth(a.user, a.password)
	conn, res, err := websocket.Dial(ctx, strings.Replace(a.url, "http", "ws", 1)+"/events?app="+url.QueryEscape(apps), &websocket.DialOptions{
		HTTPHeader: header,
	})
	if res != nil && res.Body != nil {
		res.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("events of Asterisk: %w", err)
	}
	conn.SetReadLimit(maxEvent)
	return conn, nil
}

// next gives the next event that can be understood.
func next(ctx context.Context, events *websocket.Conn) (ev event, err error) {
	for {
		_, raw, err := events.Read(ctx)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				err = errNoAnswer
			}
			return event{}, err
		}
		if json.Unmarshal(raw, &ev) == nil {
			return ev, nil
		}
	}
}

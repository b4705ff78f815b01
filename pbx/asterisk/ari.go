package asterisk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	library "github.com/CyCoreSystems/ari/v5"
	"github.com/CyCoreSystems/ari/v5/client/native"

	"telecommune/pbx"
)

// ari asks Asterisk for something over REST. Most of it is the library's; what that lacks is sent here.
type ari struct {
	client   *native.Client
	http     *http.Client
	url      string
	user     string
	password string
	over     atomic.Bool // nothing is asked any more
}

// answerTime bounds each question to Asterisk.
const answerTime = 5 * time.Second

// The library has a client of its own that nobody can reach; what it uses is a variable of the whole process. It would
// keep two connections, and wait for ever.
func init() {
	if shared, ok := http.DefaultTransport.(*http.Transport); ok {
		shared.MaxIdleConnsPerHost, shared.ResponseHeaderTimeout = 64, 2*answerTime
	}
}

func newARI(url, password string) *ari { return newARIAs(url, appName, password) }

// newARIAs asks as a user of another name than the private Asterisk's.
func newARIAs(url, user, password string) *ari {
	return &ari{
		client: native.New(&native.Options{Application: appName, URL: url, Username: user, Password: password}),
		http:   &http.Client{Timeout: answerTime}, url: url, user: user, password: password,
	}
}

func (a *ari) close() { http.DefaultTransport.(*http.Transport).CloseIdleConnections() }

var (
	errNoAnswer = errors.New("no answer from Asterisk")
	errLogin    = errors.New("another password is wanted")
	errReplaced = errors.New("another controller leads the calls of this Asterisk now")
)

// ask has the library ask, which itself would wait for ever.
func (a *ari) ask(ctx context.Context, question func() error) error {
	if a.over.Load() {
		return errReplaced
	}
	answer := make(chan error, 1)
	go func() { answer <- question() }()
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
		return errNoAnswer
	case <-ctx.Done():
		return ctx.Err()
	}
}

func channelKey(id string) *library.Key { return library.NewKey(library.ChannelKey, id) }
func bridgeKey(id string) *library.Key  { return library.NewKey(library.BridgeKey, id) }

func (a *ari) answer(ctx context.Context, channel string) error {
	return a.ask(ctx, func() error { return a.client.Channel().Answer(channelKey(channel)) })
}

func (a *ari) ring(ctx context.Context, channel string) error {
	return a.ask(ctx, func() error { return a.client.Channel().Ring(channelKey(channel)) })
}

func (a *ari) stopRing(ctx context.Context, channel string) error {
	return a.ask(ctx, func() error { return a.client.Channel().StopRing(channelKey(channel)) })
}

// create makes a channel that is not dialled yet, with variables set. It comes into the application in a moment, and can be
// used from then on.
func (a *ari) create(ctx context.Context, channel, endpoint, originator string, variables map[string]string) error {
	_, err := a.send(ctx, http.MethodPost, "/channels/create", map[string]any{
		"endpoint": endpoint, "app": appName, "appArgs": "out", "channelId": channel, "originator": originator, "variables": variables,
	}, nil)
	return err
}

// dial rings the far side of a channel that was created. No caller is named: Asterisk would tell the far side his number,
// whatever we want it to be told.
func (a *ari) dial(ctx context.Context, channel string, patience time.Duration) error {
	return a.ask(ctx, func() error { return a.client.Channel().Dial(channelKey(channel), "", patience) })
}

func (a *ari) set(ctx context.Context, channel, variable, value string) error {
	return a.ask(ctx, func() error { return a.client.Channel().SetVariable(channelKey(channel), variable, value) })
}

func (a *ari) get(ctx context.Context, channel, variable string) (string, error) {
	var value string
	if err := a.ask(ctx, func() (err error) {
		value, err = a.client.Channel().GetVariable(channelKey(channel), url.QueryEscape(variable))
		return err
	}); err != nil {
		return "", err // the question may still be under way
	}
	return value, nil
}

// mix joins channels, voice and digits, in a bridge of that name. None presents itself to those that came before, who would
// else be told its number, wanted or not.
func (a *ari) mix(ctx context.Context, bridge string, channels ...string) error {
	err := a.ask(ctx, func() error {
		_, err := a.client.Bridge().Create(bridgeKey(bridge), "mixing,dtmf_events", appName)
		return err
	})
	if err == nil {
		_, err = a.send(ctx, http.MethodPost, "/bridges/"+bridge+"/addChannel", map[string]any{
			"channel": channels, "inhibitConnectedLineUpdates": true,
		}, nil)
	}
	if err != nil {
		return errors.Join(err, a.unmix(ctx, bridge))
	}
	return nil
}

// unmix takes a bridge apart. Its channels stay up.
func (a *ari) unmix(ctx context.Context, bridge string) error {
	return a.ask(ctx, func() error { return a.client.Bridge().Delete(bridgeKey(bridge)) })
}

// state is that of a channel, such as "Up"; "" when there is none of that name.
func (a *ari) state(ctx context.Context, channel string) (string, error) {
	var got struct{ State string }
	status, err := a.send(ctx, http.MethodGet, "/channels/"+url.PathEscape(channel), nil, &got)
	switch {
	case status == http.StatusNotFound:
		return "", nil
	case err == nil && got.State == "":
		return "", errNonsense
	}
	return got.State, err
}

// channels are those that are in our application.
func (a *ari) channels(ctx context.Context) ([]string, error) {
	var got struct {
		Channels []string `json:"channel_ids"`
	}
	_, err := a.send(ctx, http.MethodGet, "/applications/"+appName, nil, &got)
	if err == nil && got.Channels == nil {
		return nil, errNonsense
	}
	return got.Channels, err
}

// emptyBridges are those of ours that nobody is in.
func (a *ari) emptyBridges(ctx context.Context) (empty []string, err error) {
	var got []struct {
		ID, Name string
		Channels []string
	}
	_, err = a.send(ctx, http.MethodGet, "/bridges", nil, &got)
	for _, b := range got {
		if b.Name == appName && b.Channels != nil && len(b.Channels) == 0 {
			empty = append(empty, b.ID)
		}
	}
	return empty, err
}

// beat has Asterisk send an event of that name, behind all that it has to tell already.
func (a *ari) beat(ctx context.Context, name string) error {
	_, err := a.send(ctx, http.MethodPost, "/events/user/"+name+"?application="+appName, nil, nil)
	return err
}

// endpoints are those of SIP, with their states, such as "online".
func (a *ari) endpoints(ctx context.Context) (map[string]string, error) {
	var got []struct{ Technology, Resource, State string }
	_, err := a.send(ctx, http.MethodGet, "/endpoints", nil, &got) // there may be none, of which one of SIP's alone is a 404
	states := make(map[string]string, len(got))
	for _, e := range got {
		if e.Technology == "PJSIP" {
			states[e.Resource] = e.State
		}
	}
	return states, err
}

// allChannels are all that there are.
func (a *ari) allChannels(ctx context.Context) (map[string]channel, error) {
	var got []channel
	_, err := a.send(ctx, http.MethodGet, "/channels", nil, &got)
	all := make(map[string]channel, len(got))
	for _, c := range got {
		all[c.ID] = c
	}
	return all, err
}

// bridges are all that there are, with the channels in them.
func (a *ari) bridges(ctx context.Context) (map[string][]string, error) {
	var got []struct {
		ID       string
		Channels []string
	}
	_, err := a.send(ctx, http.MethodGet, "/bridges", nil, &got)
	all := make(map[string][]string, len(got))
	for _, b := range got {
		all[b.ID] = b.Channels
	}
	return all, err
}

// version is Asterisk's own.
func (a *ari) version(ctx context.Context) (string, error) {
	var got struct{ System struct{ Version string } }
	status, err := a.send(ctx, http.MethodGet, "/asterisk/info?only=system", nil, &got)
	switch {
	case status == http.StatusUnauthorized:
		return "", errLogin
	case err == nil && got.System.Version == "":
		return "", errNonsense
	}
	return got.System.Version, err
}

// isVersion tells whether what Asterisk printed for -V is a version.
func isVersion(printed []byte, version string) bool {
	return strings.TrimSpace(strings.TrimPrefix(string(printed), "Asterisk ")) == version
}

// startup is when Asterisk was started, in its words.
func (a *ari) startup(ctx context.Context) (string, error) {
	var got struct {
		Status struct {
			Startup string `json:"startup_time"`
		}
	}
	_, err := a.send(ctx, http.MethodGet, "/asterisk/info?only=status", nil, &got)
	if err == nil && got.Status.Startup == "" {
		return "", errNonsense
	}
	return got.Status.Startup, err
}

// reload has Asterisk read the configuration of SIP again. Running calls go on.
func (a *ari) reload(ctx context.Context) error {
	return a.ask(ctx, func() error {
		return a.client.Asterisk().Modules().Reload(library.NewKey(library.ModuleKey, "res_pjsip.so"))
	})
}

// What the library lacks: a Q.850 cause, several clips at once, the filter of events.

func (a *ari) hangup(ctx context.Context, channel string, q850 int) error {
	_, err := a.send(ctx, http.MethodDelete, fmt.Sprintf("/channels/%s?reason_code=%d", url.PathEscape(channel), q850), nil, nil)
	return err
}

func (a *ari) play(ctx context.Context, channel, playback string, media []string) error {
	_, err := a.send(ctx, http.MethodPost, "/channels/"+url.PathEscape(channel)+"/play/"+playback, map[string]any{"media": media}, nil)
	return err
}

func (a *ari) stopPlay(ctx context.Context, playback string) error {
	_, err := a.send(ctx, http.MethodDelete, "/playbacks/"+playback, nil, nil)
	return err
}

func (a *ari) filter(ctx context.Context, types []string) error {
	type named struct {
		Type string `json:"type"`
	}
	allowed := make([]named, 0, len(types))
	for _, t := range types {
		allowed = append(allowed, named{t})
	}
	_, err := a.send(ctx, http.MethodPut, "/applications/"+appName+"/eventFilter", map[string]any{"allowed": allowed}, nil)
	return err
}

var errNonsense = errors.New("an answer of Asterisk's that makes no sense")

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 16 << 20

// send asks Asterisk and reads the answer into got, unless that is nil. The status is 0 when none came.
func (a *ari) send(ctx context.Context, method, path string, body, got any) (status int, err error) {
	if a.over.Load() {
		return 0, errReplaced
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(a.user, a.password)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return res.StatusCode, err
	}
	if res.StatusCode/100 != 2 {
		var why struct{ Message string }
		_ = json.Unmarshal(answer, &why) // a proxy in between speaks HTML
		return res.StatusCode, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, pbx.Printable(why.Message))
	}
	if got != nil {
		if err := json.Unmarshal(answer, got); err != nil {
			return res.StatusCode, fmt.Errorf("%s %s: %w: %w", method, path, errNonsense, err)
		}
	}
	return res.StatusCode, nil
}

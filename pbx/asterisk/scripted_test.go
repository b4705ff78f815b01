package asterisk

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// scripted plays the part of an Asterisk, over a network in memory: what it answers, and the events that it tells of in
// which order, are those of Asterisk 22.10.1. Whoever calls, and whoever is called, is the test's affair.
type scripted struct {
	*stream
	t    testing.TB
	wire *wire

	rings    func(p *party)                               // a channel is dialled
	typesFor func(p *party)                               // a call is answered
	storyOf  func(p *party) *story                        // what a channel that was made is for
	let      func(w http.ResponseWriter, r *request) bool // first of all: false when a request has been dealt with; nil: all are let through

	mu      sync.Mutex
	ahead   time.Duration // its clock is ahead of ours
	startup time.Time
	parties map[string]*party
	bridges map[string]bool
	plays   map[string]*playing
	calls   int
	ended   []*party // whose channels are gone
}

// party is one end of a call: a channel.
type party struct {
	id, name, state string
	out             bool
	originator      string // the channel for which it was made
	endpoint        string
	exten, caller   string
	bridge          string
	inApp           bool
	timeout         *time.Timer // TIMEOUT(absolute)
	story           *story

	created, answered, ended time.Time // by Asterisk's clock; zero before
	by                       ender
	heardAnswer, heardEnd    time.Time // when the engine was told, by ours
	seenUp                   time.Time // when the engine was answered that the channel is up, by ours
	unwanted                 time.Time // when it first wanted the channel to be hung up, by ours
	gone                     time.Time // when it ended, by ours
}

// ender is who ended a party's channel.
type ender string

const (
	itself    ender = "itself"
	asked     ender = "the controller"
	ranOut    ender = "its time"
	crash     ender = "a crash of Asterisk"
	forItself ender = "" // nobody yet
)

type playing struct {
	id, party string
	timer     *time.Timer
}

// request is what is asked of a scripted Asterisk.
type request struct {
	*http.Request
	body []byte
}

const scriptedAddr = "127.0.0.1:1" // no proxy is asked for a loopback address

// script makes an Asterisk, and takes it away at the end of the test.
func script(t testing.TB) *scripted {
	s := &scripted{
		stream: newStream(rand.New(rand.NewPCG(1, 1))), t: t, wire: newWire(scriptedAddr), startup: time.Now(),
		parties: map[string]*party{}, bridges: map[string]bool{}, plays: map[string]*playing{},
		rings: func(*party) {},
	}
	stop := serveOn(s.wire, s)
	t.Cleanup(func() {
		stop()
		s.lose(false)
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s
}

// now is by Asterisk's clock, in the milliseconds in which it tells of it.
func (s *scripted) now() time.Time { return time.Now().Add(s.ahead).Truncate(time.Millisecond) }

const timeLayout = "2006-01-02T15:04:05.000-0700"

type jsonObject = map[string]any

// event tells of a party; s.mu is held.
func (s *scripted) event(kind string, p *party, more jsonObject, heard func()) {
	ev := jsonObject{"type": kind, "timestamp": s.now().Format(timeLayout), "application": appName, "asterisk_id": "02:fc"}
	if kind == "Dial" {
		ev["peer"] = p.json()
	} else if p != nil {
		ev["channel"] = p.json()
	}
	for k, v := range more {
		ev[k] = v
	}
	raw, err := json.Marshal(ev)
	if err != nil {
		panic(err)
	}
	s.tell(string(raw), heard)
}

func (p *party) json() jsonObject {
	return jsonObject{
		"id": p.id, "name": p.name, "state": p.state, "caller": jsonObject{"name": "", "number": p.caller},
		"dialplan": jsonObject{"context": location, "exten": p.exten, "priority": 1, "app_name": "Stasis", "app_data": appName},
	}
}

// arrive brings a call to an access number.
func (s *scripted) arrive(provider, caller, exten string, st *story) *party {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	p := &party{
		id: fmt.Sprintf("%d.%d", s.startup.Unix(), s.calls), name: fmt.Sprintf("PJSIP/from~%s-%08d", provider, s.calls), state: "Ring",
		exten: exten, caller: caller, inApp: true, story: st, created: s.now(),
	}
	s.parties[p.id] = p
	if st != nil {
		st.caller = p
	}
	s.event("StasisStart", p, jsonObject{"args": []string{"in", provider, "allowed"}}, nil)
	return p
}

// answers: the party picks up, or an inbound call was taken.
func (s *scripted) answers(p *party) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.state == "Up" || !p.ended.IsZero() {
		return
	}
	p.state, p.answered = "Up", s.now()
	heard := func() { s.note(&p.heardAnswer) }
	s.event("ChannelStateChange", p, nil, heard)
	if p.out {
		s.event("Dial", p, jsonObject{"dialstatus": "ANSWER"}, heard)
	}
}

// note keeps the first time of something.
func (s *scripted) note(at *time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.IsZero() {
		*at = time.Now()
	}
}

// progress: a far party rings, or its network sends early media.
func (s *scripted) progress(p *party, early bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.state != "Down" || !p.ended.IsZero() {
		return
	}
	if early {
		s.event("Dial", p, jsonObject{"dialstatus": "PROGRESS"}, nil)
		return
	}
	p.state = "Ringing"
	s.event("ChannelStateChange", p, nil, nil)
	s.event("Dial", p, jsonObject{"dialstatus": "RINGING"}, nil)
}

// types: a digit of an answered party.
func (s *scripted) types(p *party, digit byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended.IsZero() && p.state == "Up" {
		s.event("ChannelDtmfReceived", p, jsonObject{"digit": string(digit), "duration_ms": 100}, nil)
	}
}

// leaves: the party hangs up, or refuses the call with a Q.850 cause and a SIP status.
func (s *scripted) leaves(p *party, q850, sip int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.ended.IsZero() {
		return
	}
	s.endOf(p, itself)
	more := jsonObject{}
	if sip > 0 {
		more = jsonObject{"cause": q850, "tech_cause": sip}
	}
	s.event("ChannelHangupRequest", p, more, func() { s.note(&p.heardEnd) })
	s.destroy(p, q850, sip)
}

// endOf marks the end of a party; s.mu is held.
func (s *scripted) endOf(p *party, by ender) {
	p.ended, p.by, p.gone = s.now(), by, time.Now()
	if p.timeout != nil {
		p.timeout.Stop()
	}
}

// destroy takes the channel away; s.mu is held.
func (s *scripted) destroy(p *party, q850, sip int) {
	heard := func() { s.note(&p.heardEnd) }
	s.event("StasisEnd", p, nil, heard)
	more := jsonObject{"cause": q850}
	if sip > 0 {
		more["tech_cause"] = sip
	}
	for id, play := range s.plays {
		if play.party == p.id {
			play.timer.Stop()
			delete(s.plays, id)
			s.event("PlaybackFinished", nil, jsonObject{"playback": jsonObject{"id": id, "target_uri": "channel:" + p.id, "state": "done"}}, nil)
		}
	}
	s.event("ChannelDestroyed", p, more, heard)
	delete(s.parties, p.id)
	s.ended = append(s.ended, p)
}

// crashes: nobody is told anything, and all channels are gone.
func (s *scripted) crashes(back time.Duration) {
	s.mu.Lock()
	for _, p := range s.parties {
		s.endOf(p, crash)
		s.ended = append(s.ended, p)
	}
	for _, play := range s.plays {
		play.timer.Stop()
	}
	clear(s.parties)
	clear(s.bridges)
	clear(s.plays)
	s.startup = time.Now()
	s.mu.Unlock()
	s.wire.dead.Store(true)
	s.lose(false)
	time.AfterFunc(back, func() { s.wire.dead.Store(false) })
}

// ServeHTTP is ARI.
func (s *scripted) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := &request{Request: req}
	if req.Body != nil {
		r.body, _ = io.ReadAll(req.Body)
	}
	if id, ok := strings.CutPrefix(req.URL.Path, "/ari/channels/"); ok && req.Method == http.MethodDelete {
		s.mu.Lock()
		if p := s.parties[id]; p != nil && p.unwanted.IsZero() {
			p.unwanted = time.Now()
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	let := s.let
	s.mu.Unlock()
	if let != nil && !let(w, r) {
		return
	}
	s.answer(w, r)
}

// answer is what a sound Asterisk answers.
func (s *scripted) answer(w http.ResponseWriter, r *request) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/ari/"), "/")
	verb := r.Method + " " + path[0]
	if len(path) == 3 || len(path) == 4 {
		verb += " " + path[2]
	}
	switch {
	case r.URL.Path == "/ari/events":
		s.serve(w, r.Request)
		return
	case r.URL.Path == "/ari/asterisk/info":
		s.mu.Lock()
		defer s.mu.Unlock()
		reply(w, http.StatusOK, jsonObject{"status": jsonObject{"startup_time": s.startup.Format(timeLayout)}})
		return
	case r.URL.Path == "/ari/asterisk/variable":
		reply(w, http.StatusOK, jsonObject{"value": ""})
		return
	case path[0] == "events":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.event("ChannelUserevent", nil, jsonObject{"eventname": path[2], "userevent": jsonObject{}}, nil)
	case path[0] == "applications" && r.Method == http.MethodGet:
		s.application(w)
		return
	case path[0] == "applications", path[0] == "asterisk":
	case path[0] == "bridges":
		s.bridgeAsked(w, r, path)
		return
	case path[0] == "playbacks":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finishPlay(path[1])
	case r.URL.Path == "/ari/channels/create":
		s.create(w, r)
		return
	default:
		s.channelAsked(w, r, verb, path)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

func notFound(w http.ResponseWriter, what string) {
	reply(w, http.StatusNotFound, jsonObject{"message": what + " not found"})
}

func (s *scripted) application(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []string{}
	for id := range s.parties {
		all = append(all, id)
	}
	reply(w, http.StatusOK, jsonObject{"name": appName, "channel_ids": all, "bridge_ids": []string{}})
}

func (s *scripted) create(w http.ResponseWriter, r *request) {
	var asked struct {
		Endpoint, ChannelID, Originator string
		Variables                       map[string]string
	}
	if err := json.Unmarshal(r.body, &asked); err != nil {
		s.t.Errorf("create: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	p := &party{
		id: asked.ChannelID, name: fmt.Sprintf("PJSIP/trunk-%08d", s.calls), state: "Down", out: true, exten: "s", created: s.now(),
		originator: asked.Originator, endpoint: asked.Endpoint,
	}
	if s.storyOf != nil {
		p.story = s.storyOf(p)
	}
	s.parties[p.id] = p
	s.bound(p, asked.Variables[absolute])
	// It comes into the application in a moment: before the answer to the request is read, or after.
	time.AfterFunc(time.Millisecond, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.ended.IsZero() {
			p.inApp = true
			s.event("StasisStart", p, jsonObject{"args": []string{"out"}}, nil)
		}
	})
	reply(w, http.StatusOK, p.json())
}

func (s *scripted) bridgeAsked(w http.ResponseWriter, r *request, path []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodGet:
		all := []jsonObject{}
		for id := range s.bridges {
			all = append(all, jsonObject{"id": id, "name": appName, "channels": s.inBridge(id)})
		}
		reply(w, http.StatusOK, all)
	case r.Method == http.MethodPost && len(path) == 2:
		s.bridges[path[1]] = true
		reply(w, http.StatusOK, jsonObject{"id": path[1]})
	case !s.bridges[path[1]]:
		notFound(w, "Bridge")
	case r.Method == http.MethodDelete:
		delete(s.bridges, path[1])
		for _, p := range s.parties {
			if p.bridge == path[1] {
				p.bridge = ""
			}
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		s.join(w, r, path[1])
	}
}

// join takes channels into a bridge, all or none; s.mu is held.
func (s *scripted) join(w http.ResponseWriter, r *request, bridge string) {
	var asked struct{ Channel []string }
	if err := json.Unmarshal(r.body, &asked); err != nil {
		s.t.Errorf("addChannel: %v", err)
	}
	for _, id := range asked.Channel {
		switch p := s.parties[id]; {
		case p == nil:
			reply(w, http.StatusBadRequest, jsonObject{"message": "Channel not found"})
			return
		case !p.inApp:
			reply(w, http.StatusUnprocessableEntity, jsonObject{"message": "Channel not in Stasis application"})
			return
		}
	}
	for _, id := range asked.Channel {
		s.parties[id].bridge = bridge
	}
	w.WriteHeader(http.StatusNoContent)
}

// inBridge lists channels; s.mu is held.
func (s *scripted) inBridge(id string) []string {
	in := []string{}
	for _, p := range s.parties {
		if p.bridge == id {
			in = append(in, p.id)
		}
	}
	return in
}

// channelAsked is what is asked of one channel.
func (s *scripted) channelAsked(w http.ResponseWriter, r *request, verb string, path []string) {
	s.mu.Lock()
	p := s.parties[path[1]]
	s.mu.Unlock()
	if p == nil {
		notFound(w, "Channel")
		return
	}
	if verb == "POST channels answer" {
		s.answers(p)
		if s.typesFor != nil {
			s.typesFor(p)
		}
	}
	if verb == "POST channels dial" {
		s.mu.Lock()
		s.event("Dial", p, jsonObject{"dialstatus": ""}, nil)
		s.mu.Unlock()
		s.rings(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch verb {
	case "GET channels":
		if p.state == "Up" && p.seenUp.IsZero() {
			p.seenUp = time.Now()
		}
		reply(w, http.StatusOK, p.json())
		return
	case "GET channels variable":
		reply(w, http.StatusOK, jsonObject{"value": ""})
		return
	case "DELETE channels":
		if p.ended.IsZero() {
			s.endOf(p, asked)
			s.event("ChannelHangupRequest", p, jsonObject{"cause": 32, "soft": true}, func() { s.note(&p.heardEnd) })
			s.destroy(p, 16, 0)
		}
	case "POST channels variable":
		var asked struct{ Variable, Value string }
		_ = json.Unmarshal(r.body, &asked)
		if asked.Variable == absolute {
			s.bound(p, asked.Value)
		}
	case "POST channels play":
		s.play(p, path[3], r)
		reply(w, http.StatusCreated, jsonObject{"id": path[3]})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

const absolute = "TIMEOUT(absolute)"

// bound takes how long a channel may be there from now on, in seconds; s.mu is held. Time that is over takes the channel out
// of the application, and no hang-up is asked for.
func (s *scripted) bound(p *party, value string) {
	if value == "" {
		return
	}
	if p.timeout != nil {
		p.timeout.Stop()
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		s.t.Errorf("%s is %q", absolute, value)
	}
	if seconds == 0 {
		return
	}
	p.timeout = time.AfterFunc(time.Duration(seconds*float64(time.Second)), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.ended.IsZero() {
			s.endOf(p, ranOut)
			s.destroy(p, 16, 0)
		}
	})
}

// clipTime is how long each clip takes.
const clipTime = time.Second

// play plays; s.mu is held.
func (s *scripted) play(p *party, id string, r *request) {
	var asked struct{ Media []string }
	_ = json.Unmarshal(r.body, &asked)
	s.plays[id] = &playing{id, p.id, time.AfterFunc(time.Duration(len(asked.Media))*clipTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.finishPlay(id)
	})}
}

// finishPlay ends a playback; s.mu is held.
func (s *scripted) finishPlay(id string) {
	if play := s.plays[id]; play != nil {
		play.timer.Stop()
		delete(s.plays, id)
		s.event("PlaybackFinished", nil, jsonObject{"playback": jsonObject{"id": id, "target_uri": "channel:" + play.party, "state": "done"}}, nil)
	}
}

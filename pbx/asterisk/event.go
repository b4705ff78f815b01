package asterisk

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// event is what we use of all events. They are read by hand: the library knows fewer kinds and fields than Asterisk sends,
// among them the SIP status of a failure.
type event struct {
	Type        string
	Timestamp   stamp
	Application string
	Args        []string // of StasisStart
	Channel     channel
	Peer        channel // of Dial: the one that is dialled
	DialStatus  string  `json:"dialstatus"`
	Digit       string
	Cause       int      // Q.850, or why Asterisk itself hangs up
	Soft        bool     // it does
	TechCause   int      `json:"tech_cause"` // the SIP status
	Playback    playback // of PlaybackFinished
	EventName   string   `json:"eventname"` // of ChannelUserevent

	raw []byte // as Asterisk has sent it
}

type channel struct {
	ID       string
	Name     string
	Protocol string `json:"protocol_id"` // the SIP Call-ID
	State    string
	Caller   struct{ Name, Number string }
	Dialplan struct{ Exten string }
}

type playback struct {
	ID     string
	Target string `json:"target_uri"`
	State  string
}

// wanted are the kinds of events that Asterisk is asked to send. It has one queue for all of an application, which
// others would fill.
var wanted = []string{
	"StasisStart", "StasisEnd", "ChannelStateChange", "ChannelDtmfReceived", "ChannelHangupRequest", "ChannelDestroyed",
	"Dial", "PlaybackFinished", "ChannelTalkingStarted", "ChannelUserevent", "ApplicationReplaced",
}

// about is the channel that an event tells of.
func (ev event) about() string {
	switch {
	case ev.Type == "Dial":
		return ev.Peer.ID
	case strings.HasPrefix(ev.Type, "Playback"):
		return strings.TrimPrefix(ev.Playback.Target, "channel:")
	}
	return ev.Channel.ID
}

// stamp is Asterisk's time of an event.
type stamp struct{ time.Time }

// UnmarshalJSON reads the forms in which Asterisk's versions write an instant.
func (s *stamp) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999-0700", time.RFC3339Nano} {
		if at, err := time.Parse(layout, text); err == nil {
			s.Time = at
			return nil
		}
	}
	return nil // an event without a time is one of now
}

// clock turns Asterisk's time into ours, with monotonic reading: by the event that came fastest of all. So what lies
// between two events is what Asterisk measured, however late they come. When a clock is set, an event seems to come from
// the future, or to be older than the question that brought it about.
type clock struct {
	mu     sync.Mutex
	theirs time.Time
	ours   time.Time
}

func (c *clock) local(at stamp) time.Time {
	now := time.Now()
	if at.IsZero() {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	then := c.ours.Add(at.Sub(c.theirs))
	if c.ours.IsZero() || then.After(now) {
		c.ours, c.theirs = now, at.Time
		return now
	}
	return then
}

// notBefore takes that an event is not older than the question that brought it about.
func (c *clock) notBefore(at stamp, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !at.IsZero() && c.ours.Add(at.Sub(c.theirs)).Before(asked) {
		c.ours, c.theirs = asked, at.Time
	}
}

package simcarrier

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"
)

// incoming is one call on its way through a carrier.
type incoming struct {
	carrier   *Carrier
	behaviour Behaviour
	record    *Record
	x         *exchange
	d         *dialog
	status    int // final answer given
}

// live leads the call from its INVITE to its end and tells how that came.
func (in *incoming) live() string {
	in.x.reply(100, nil)
	in.x.req.To().Params.Add("tag", uuid.NewString())
	if err := in.open(); err != nil {
		return in.refuse(488)
	}
	defer func() {
		if !in.d.isGone() {
			in.d.close(errHungUp)
		}
	}()
	if how := in.ring(); how != "" {
		return how
	}
	if status := in.behaviour.Status; status != 0 && status != 200 {
		return in.refuse(status)
	}
	if !in.answer() {
		return ByCarrier
	}
	return in.talk()
}

// open makes our end of the media fit the offer.
func (in *incoming) open() error {
	theirs, err := parseSDP(in.x.req.Body())
	if err != nil {
		return err
	}
	codec, ok := firstCommon(theirs.codecs, []Codec{PCMA, PCMU})
	if in.behaviour.Codec != nil {
		codec, ok = *in.behaviour.Codec, true
	}
	if !ok {
		return fmt.Errorf("no common codec in %v", theirs.codecs)
	}
	e := in.carrier.e
	m, err := openMedia(e.addr.Addr(), NoMedia)
	if err != nil {
		return err
	}
	m.talk(theirs, codec, theirs.event)
	d := newDialog(e, in.x.req.CallID().Value(), in.x.link.transport, m)
	d.local, d.remote = in.x.req.To().AsFrom(), in.x.req.From().AsTo()
	if c := in.x.req.Contact(); c != nil {
		d.target = c.Address
	}
	d.ours = session{addr: m.addr(), codecs: []Codec{codec}, event: theirs.event, direction: mirrored(theirs.direction)}
	d.invite, in.d = in.x, d
	in.carrier.update(func() { in.carrier.live[in.record] = m })
	return nil
}

// ring sends what comes before the final answer. It returns "" when that is due.
func (in *incoming) ring() string {
	b := in.behaviour
	if b.Ring == 0 && !b.Forever && !b.Early {
		return ""
	}
	for range max(b.Rings, 1) {
		if b.Early {
			in.d.media.setSound(RingTone)
			in.x.reply(183, in.d.ours.format(1), in.d.e.contact(in.d.transport))
		} else {
			in.x.reply(180, nil, in.d.e.contact(in.d.transport))
		}
		if how := in.pause(b.Ring / time.Duration(max(b.Rings, 1))); how != "" {
			return how
		}
	}
	if b.Forever {
		return in.pause(time.Hour)
	}
	return ""
}

// pause waits for d, or for the end of the attempt, and tells how that came.
func (in *incoming) pause(d time.Duration) string {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ""
	case <-in.x.cancelled:
		in.refuse(487)
		return Cancelled
	case <-in.carrier.e.ctx.Done():
		return in.refuse(480)
	}
}

func (in *incoming) refuse(status int) string {
	in.status = status
	in.x.final(status, in.reason()...)
	return Refused
}

func (in *incoming) reason() []sip.Header {
	if in.behaviour.Reason == "" {
		return nil
	}
	return []sip.Header{sip.NewHeader("Reason", in.behaviour.Reason)}
}

// answer sends 200. Without an ACK the call is over.
func (in *incoming) answer() bool {
	d, b := in.d, in.behaviour
	d.e.add(d)
	headers := append(in.reason(), d.e.contact(d.transport), sip.NewHeader("Supported", "timer"))
	if b.Session > 0 {
		who := "uac"
		if b.Refreshes || b.Lazy {
			who = "uas"
		}
		headers = append(headers, sip.NewHeader("Session-Expires", fmt.Sprintf("%d;refresher=%s", int(b.Session.Seconds()), who)))
	}
	in.status = 200
	in.carrier.update(func() { in.record.Answered, in.record.Status = time.Now(), 200 })
	in.x.reply(200, d.describe(d.ours.direction), headers...)
	in.carrier.tell(in.record)
	d.media.setSound(b.Sound)
	if !in.x.acknowledge(d.ctx) {
		d.hangup(time.Second, "")
		return false
	}
	return true
}

// talk is the answered call, by the clock of the behaviour.
func (in *incoming) talk() string {
	d, b := in.d, in.behaviour
	mute, hangUp, gone, update := after(b.MediaFor), after(b.HangUp), after(b.Disappears), after(b.Update)
	hold, resume, session := after(b.Hold), after(b.HoldFor+b.Hold), in.sessionTimer()
	if b.Hold == 0 {
		resume = nil
	}
	seen := 0 // refreshes
	for {
		select {
		case <-d.ctx.Done():
			if d.hungUpByPeer() {
				return ByCaller
			}
			return ByCarrier
		case <-mute:
			d.media.mute()
		case <-hangUp:
			d.hangup(5*time.Second, b.Reason)
			return ByCarrier
		case <-b.Cue:
			d.hangup(5*time.Second, b.Reason)
			return ByCarrier
		case <-gone:
			d.vanish()
			return Vanished
		case <-hold:
			in.reoffer("sendonly")
		case <-resume:
			in.reoffer("sendrecv")
		case <-update:
			in.sendUpdate()
		case <-session:
			if b.Refreshes {
				in.sendUpdate(sip.NewHeader("Session-Expires", fmt.Sprintf("%d;refresher=uac", int(b.Session.Seconds()))))
			} else if n := d.refreshes(); n == seen {
				d.hangup(5*time.Second, "")
				return Expired
			} else {
				seen = n
				in.carrier.update(func() { in.record.Refreshed = n })
			}
			session = in.sessionTimer()
		}
	}
}

// after is a channel that ticks once after d, never for zero.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// sessionTimer is due when we have to refresh the session, or when the other side ought to have done it.
func (in *incoming) sessionTimer() <-chan time.Time {
	switch {
	case in.behaviour.Lazy:
		return nil
	case in.behaviour.Refreshes:
		return after(in.behaviour.Session / 2)
	}
	return after(in.behaviour.Session)
}

func (in *incoming) reoffer(direction string) {
	ctx, cancel := context.WithTimeout(in.d.ctx, 5*time.Second)
	defer cancel()
	answer, err := in.d.reoffer(ctx, direction)
	in.carrier.update(func() {
		switch {
		case err != nil:
			in.record.HoldAnswer = err.Error()
		case direction == "sendonly":
			in.record.HoldAnswer = answer.direction
		}
	})
}

func (in *incoming) sendUpdate(headers ...sip.Header) {
	ctx, cancel := context.WithTimeout(in.d.ctx, 5*time.Second)
	defer cancel()
	res, err := in.d.do(ctx, in.d.newRequest(sip.UPDATE, nil, headers...))
	in.carrier.update(func() {
		if err != nil {
			return
		}
		in.record.UpdateReply = res.StatusCode
		if res.IsSuccess() && len(headers) > 0 {
			in.record.Refreshed++
		}
	})
}

package sipua

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

func newSessionID() uint64 { return uint64(rand.Uint32()) }

func localPort(conn *net.UDPConn) uint16 { return uint16(conn.LocalAddr().(*net.UDPAddr).Port) }

// Answer implements pbx.Leg. It waits for the ACK, so that a leg that is answered is one whose caller knows it.
func (l *leg) Answer(ctx context.Context) error {
	if err := l.alive(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	acked, first := l.acked, l.acked == nil && l.tx != nil
	if first {
		acked = make(chan struct{})
		l.acked = acked
	}
	l.mu.Unlock()
	if first {
		if err := l.accept(acked); err != nil {
			return err
		}
	}
	if acked == nil { // a dialled leg
		return nil
	}
	select {
	case <-acked:
		return l.alive(ctx)
	case <-ctx.Done():
		return l.ended(ctx)
	case <-l.done:
		return pbx.ErrEnded
	}
}

// accept sends the 200 to the INVITE, with an answer to its offer, or with our offer when it had none.
func (l *leg) accept(acked chan struct{}) error {
	if err := l.openMedia(); err != nil {
		l.hangup(pbx.End{By: pbx.ByFailure, SIP: 503, Q850: 34}, pbx.NoCircuit)
		return errors.Join(pbx.ErrEnded, err)
	}
	var body []byte
	if len(l.invite.Body()) == 0 {
		body = l.offer()
	} else {
		var err error
		if body, err = l.answerTo(l.invite.Body()); err != nil { // checked on arrival
			l.fail(488)
			return errors.Join(pbx.ErrEnded, err)
		}
	}
	res := l.success(l.invite, body)
	l.takeSession(l.invite, res)
	ack := l.expectAck(l.invite)
	l.mu.Lock()
	if l.ctx.Err() != nil {
		l.mu.Unlock()
		return pbx.ErrEnded
	}
	// The lock is held over the answer, so that a hang-up finds the leg either answered or not. Of a cancelled INVITE the
	// library would repeat this answer in the place of its 487.
	err := l.tx.Err()
	if err == nil {
		err = l.tx.Respond(res)
	}
	if err == nil {
		l.answered = l.e.conf.Now()
	}
	l.mu.Unlock()
	if err != nil { // cancelled, or the connection is gone
		if l.finish(pbx.End{By: pbx.ByPeer, SIP: 487, Q850: 16}) {
			l.e.drop(l)
		}
		return errors.Join(pbx.ErrEnded, err)
	}
	l.up(l.AnsweredAt())
	l.e.spawn(l, func() {
		defer close(acked)
		l.confirm(ack, l.tx, res, len(l.invite.Body()) == 0)
	})
	return nil
}

// success is a 200 with a description.
func (l *leg) success(req *sip.Request, body []byte) *sip.Response {
	res := l.e.response(req, 200)
	res.AppendHeader(l.contact())
	res.AppendHeader(sip.NewHeader("Allow", allowed))
	res.AppendHeader(sip.NewHeader("Supported", "timer"))
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	return res
}

// confirm repeats a 2xx to an INVITE until its ACK comes (13.3.1.4). offered means that the ACK must bear the answer to
// an offer of ours. Without an ACK the leg ends.
func (l *leg) confirm(ack <-chan *sip.Request, tx sip.ServerTransaction, res *sip.Response, offered bool) {
	defer func() {
		l.ackMu.Lock()
		delete(l.acks, res.CSeq().SeqNo)
		l.ackMu.Unlock()
		l.mu.Lock()
		l.offering = l.offering && !offered
		l.mu.Unlock()
	}()
	ended := l.done
	again := sip.T1
	repeat := time.NewTimer(again)
	defer repeat.Stop()
	patience := time.NewTimer(ackWait())
	defer patience.Stop()
	for {
		var got *sip.Request
		select {
		case got = <-ack:
		case <-ended:
			if ended = nil; l.End().By == pbx.ByPeer { // it hung up without ACK
				return
			}
			continue
		case <-l.e.stopped:
			return
		case <-repeat.C:
			_ = tx.Respond(res)
			again = min(2*again, sip.T2)
			repeat.Reset(again)
			continue
		case <-patience.C:
			l.e.log.Debug("no ACK", "call_id", l.dialog.id)
			l.hangup(pbx.End{By: pbx.ByFailure, SIP: 408, Q850: 102}, pbx.Cause{SIP: 408, Q850: 102})
			return
		}
		if offered {
			if err := l.takeAnswer(got.Body()); err != nil {
				l.e.log.Debug("answer in ACK refused", "call_id", l.dialog.id, "err", err)
				l.hangup(pbx.End{By: pbx.ByFailure, SIP: 488, Q850: 88}, pbx.Incompatible)
			}
		}
		return
	}
}

// expectAck makes the leg ready for the ACK of a 2xx, before that is sent.
func (l *leg) expectAck(req *sip.Request) <-chan *sip.Request {
	ack := make(chan *sip.Request, 1)
	l.ackMu.Lock()
	l.acks[req.CSeq().SeqNo] = ack
	l.ackMu.Unlock()
	return ack
}

// answerTo takes an offer of the other side and gives our answer (RFC 3264 section 6). The codec of a running leg stays.
func (l *leg) answerTo(body []byte) ([]byte, error) {
	offer, err := parseSDP(body)
	if err != nil {
		return nil, err
	}
	chosen := offer.formats[0]
	if now := l.media.agreed.Load(); now != nil {
		same, ok := offer.find(now.codec)
		if !ok {
			return nil, errNoAudio
		}
		chosen = same
	}
	if err := l.sameFamily(offer.remote); err != nil {
		return nil, err
	}
	l.agree(chosen, offer.event, offer)
	// What it may not send or get, because its address is 0.0.0.0, we don't ask for.
	dir := directionOf(offer.direction.receives() && offer.remote.IsValid(), offer.direction.sends())
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.write(l.media.local, []format{chosen}, offer.event, dir, &offer), nil
}

// offer gives our own offer: the codec of a running leg, or both.
func (l *leg) offer() []byte {
	formats, event := []format{{pcma, pcma.static()}, {pcmu, pcmu.static()}}, uint8(eventType)
	if now := l.media.agreed.Load(); now != nil {
		formats, event = []format{now.format}, now.ours
	}
	return l.offerOf(formats, event, sendrecv)
}

// offerAgain gives what runs already, hold and all, to refresh it.
func (l *leg) offerAgain() []byte {
	now := l.media.agreed.Load()
	return l.offerOf([]format{now.format}, now.ours, directionOf(now.send && now.remote.IsValid(), now.receive))
}

func (l *leg) offerOf(formats []format, event uint8, dir direction) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offering, l.offered = true, offered{formats, event}
	return l.said.write(l.media.local, formats, event, dir, nil)
}

// takeAnswer takes the answer to an offer of ours. Its first codec that we offered is the one.
func (l *leg) takeAnswer(body []byte) error {
	answer, err := parseSDP(body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	ours := l.offered
	l.mu.Unlock()
	i := slices.IndexFunc(answer.formats, func(f format) bool {
		return slices.ContainsFunc(ours.formats, func(o format) bool { return o.codec == f.codec })
	})
	if i < 0 {
		return pbx.ErrCodec
	}
	chosen := answer.formats[i]
	if err := l.sameFamily(answer.remote); err != nil {
		return err
	}
	l.agree(chosen, ours.event, answer)
	return nil
}

func (l *leg) agree(chosen format, ours uint8, d description) {
	l.dialog.mu.Lock()
	heard := l.dialog.heard
	l.dialog.mu.Unlock()
	l.media.agree(agreement{
		format: chosen, event: d.event, ours: ours, remote: d.remote, signalling: heard,
		send: d.direction.receives(), receive: d.direction.sends(),
	})
}

var errFamily = errors.New("the other side's RTP address is of another IP version than ours")

func (l *leg) sameFamily(remote netip.AddrPort) error {
	if remote.IsValid() && remote.Addr().Is4() != l.media.local.Addr().Is4() {
		return errFamily
	}
	return nil
}

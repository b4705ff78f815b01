package sipua

import (
	"context"
	"math"
	"sync"
	"time"

	"telecommune/pbx"
	"telecommune/pbx/prompt"
)

// player is one run of audio to a leg; its address tells the sender where a talkspurt begins.
type player struct {
	m    *media
	next time.Time // when the next frame is due
	buf  [rtpHeader + frameSamples]byte
}

// lag is how late a frame may be sent before the schedule starts afresh instead of being caught up with.
const lag = 200 * time.Millisecond

// epoch is from when frames are counted: those of all legs are due together, so that the program wakes once for all of them.
var epoch = time.Now()

// toNext is how long it is from now until the next of all the moments that are a period apart.
func toNext(period time.Duration, now time.Time) time.Duration { return period - now.Sub(epoch)%period }

// wait waits until the next frame is due, by a schedule that does not drift. It is false when stop came first.
func (p *player) wait(timer *time.Timer, stop <-chan struct{}) bool {
	now := time.Now()
	if p.next.IsZero() || now.Sub(p.next) > lag {
		p.next = now.Add(toNext(frameDuration, now))
	}
	timer.Reset(p.next.Sub(now))
	select {
	case <-timer.C:
	case <-stop:
		return false
	case <-p.m.done:
		return false
	}
	p.next = p.next.Add(frameDuration)
	return true
}

func (p *player) send(frame []byte) {
	if a, to, ok := p.m.target(); ok {
		copy(p.buf[rtpHeader:], frame)
		p.m.out.frame(p, to, a.pt, p.buf[:])
	}
}

// play plays audio, one caller at a time. The first digit taken from digits, unless that is nil, ends it.
func (l *leg) play(ctx context.Context, audio prompt.Audio, digits <-chan byte) (digit byte, pressed bool, err error) {
	m, c, err := l.voice()
	if err != nil {
		return 0, false, err
	}
	parts := make([][]byte, len(audio))
	for i, path := range audio {
		if parts[i], err = l.e.sounds.load(path, c); err != nil {
			return 0, false, err
		}
	}
	select {
	case l.stage <- struct{}{}:
		defer func() { <-l.stage }()
	case <-ctx.Done():
		return 0, false, l.ended(ctx)
	case <-l.done:
		return 0, false, pbx.ErrEnded
	}
	m.playing.Add(1)
	defer m.playing.Add(-1)
	p := &player{m: m}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for _, part := range parts {
		for ; len(part) > 0; part = part[frameSamples:] {
			select {
			case d := <-digits:
				return d, true, nil
			default:
			}
			if !p.wait(timer, ctx.Done()) {
				return 0, false, l.ended(ctx)
			}
			p.send(part[:frameSamples])
		}
	}
	return 0, false, nil
}

// Ring tone of ITU-T E.180 as most of Europe has it: 425 Hz, 1 s on, 4 s off.
const (
	toneHertz  = 425
	toneLevel  = 4000 // about -18 dBm0
	toneOn     = 1 * time.Second
	toneOff    = 4 * time.Second
	toneFrames = int((toneOn + toneOff) / frameDuration)
)

var ringTones = map[codec]func() []byte{
	pcmu: sync.OnceValue(func() []byte { return ringTone(pcmu) }),
	pcma: sync.OnceValue(func() []byte { return ringTone(pcma) }),
}

// ringTone is one period of it.
func ringTone(c codec) []byte {
	samples := make([]byte, 0, 2*toneFrames*frameSamples)
	for i := range toneFrames * frameSamples {
		v := int16(0)
		if i < int(toneOn/frameDuration)*frameSamples {
			v = int16(toneLevel * math.Sin(2*math.Pi*toneHertz*float64(i)/8000))
		}
		samples = append(samples, byte(v), byte(uint16(v)>>8))
	}
	return encode(samples, c)
}

// ring lets the leg hear a ring tone after a while, until stop or until the far side is heard itself (RFC 3960 section
// 3.2).
func (l *leg) ring(far *media, after time.Duration, stop <-chan struct{}) {
	m, c, err := l.voice()
	if err != nil {
		return
	}
	select {
	case <-time.After(after):
	case <-stop:
		return
	}
	p := &player{m: m}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for tone := ringTones[c](); far.packets.Load() == 0; {
		for frame := tone; len(frame) > 0 && far.packets.Load() == 0; frame = frame[frameSamples:] {
			if !p.wait(timer, stop) {
				return
			}
			if m.playing.Load() == 0 {
				p.send(frame[:frameSamples])
			}
		}
	}
}

package simcarrier

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/zaf/g711"
)

const (
	frame     = 160 // samples of 20 ms
	tick      = 20 * time.Millisecond
	quietFor  = 300 * time.Millisecond // of silence or no packets: whoever spoke has finished
	loud      = 200                    // mean absolute sample of a frame that is not silence
	eventKeys = "0123456789*#ABCD"     // RFC 4733 section 3.2, by event code

	// One digit: updates of the event each tick, the end three times (RFC 4733 section 2.5.1.4), then a pause.
	digitUpdates, digitEnds, digitPause = 4, 3, 3
)

// media is one end's RTP: a socket, a stream of 20 ms packets out, and an ear.
type media struct {
	conn *net.UDPConn
	stop context.CancelFunc
	done sync.WaitGroup

	mu        sync.Mutex
	remote    netip.AddrPort // none: nothing is sent
	codec     Codec
	event     uint8 // payload type of the events we send
	eventIn   uint8 // and of those we hear
	sound     Sound
	muted     bool
	heard     Heard
	lastSound time.Time
	soundMark int // heard.Sound when WaitQuiet began to count
	lastEvent uint32
	queue     string        // digits not yet sent
	idle      chan struct{} // closed when queue has been sent
	wake      chan struct{} // there may be something to send again
}

// openMedia binds a port on host and starts to send and listen. Nothing is sent before talk.
func openMedia(host netip.Addr, sound Sound) (*media, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &media{conn: conn, stop: stop, sound: sound, idle: make(chan struct{}), wake: make(chan struct{}, 1)}
	close(m.idle)
	m.done.Go(m.listen)
	m.done.Go(func() { m.send(ctx) })
	return m, nil
}

func (m *media) close() {
	m.stop()
	m.conn.Close()
	m.done.Wait()
}

func (m *media) addr() netip.AddrPort {
	a := m.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// talk sets where to send and in which codec. Each side names the payload types that it wants to get.
func (m *media) talk(theirs session, codec Codec, eventIn uint8) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remote, m.codec, m.event, m.eventIn = theirs.addr, codec, theirs.event, eventIn
}

func (m *media) setSound(s Sound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sound = s
	m.rouse()
}

// rouse ends the sleep of send.
func (m *media) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// mute stops all packets, as on a line that went dead.
func (m *media) mute() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.muted = true
}

func (m *media) stats() Heard {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard
}

func (m *media) addDigit(d byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard.Digits += string(d)
}

// quiet tells that something was heard since the mark and that it is over.
func (m *media) quiet() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard.Sound > m.soundMark && time.Since(m.lastSound) >= quietFor
}

// mark makes quiet forget what was heard so far.
func (m *media) mark() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.soundMark = m.heard.Sound
}

// dial sends digits as telephone events and returns when the last is over.
func (m *media) dial(ctx context.Context, digits string) error {
	m.mu.Lock()
	if m.event == 0 {
		m.mu.Unlock()
		return errors.New("the other side takes no telephone events")
	}
	if m.queue == "" {
		m.idle = make(chan struct{})
	}
	m.queue += digits
	idle := m.idle
	m.rouse()
	m.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send makes a packet each tick: sound, or else the event of the digit that is being dialled. Where there is to be no
// packet at all it sleeps, so that thousands of such calls cost nothing.
func (m *media) send(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	sounds := soundTable()
	seq, stamp, ssrc := uint16(rand.Uint32()), rand.Uint32(), rand.Uint32()
	var start uint32 // timestamp of the digit's first packet
	step := 0        // of the digit
	for n := 0; ; n++ {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		stamp += frame
		m.mu.Lock()
		digit := byte(0)
		if m.queue != "" {
			digit = m.queue[0]
		}
		remote, codec, event, sound := m.remote, m.codec, m.event, m.sound
		silent := !remote.IsValid() || m.muted || digit == 0 && (sound == Echo || sound == NoMedia || codec == G729)
		m.mu.Unlock()
		if silent && sound == NoMedia && digit == 0 {
			t.Stop()
			select {
			case <-m.wake:
			case <-ctx.Done():
				return
			}
			t.Reset(tick)
		}
		if silent {
			continue
		}
		payload, pt, marker := sounds.frame(sound, codec, n), uint8(codec), false
		switch {
		case digit == 0:
		case step < digitUpdates+digitEnds:
			if step == 0 {
				start = stamp
			}
			pt, marker = event, step == 0
			payload = eventPayload(digit, step)
			step++
		case step < digitUpdates+digitEnds+digitPause:
			step++
		default:
			step = 0
			m.digitSent()
		}
		packet := make([]byte, 12, 12+len(payload))
		packet[0], packet[1] = 0x80, pt
		if marker {
			packet[1] |= 0x80
		}
		binary.BigEndian.PutUint16(packet[2:], seq)
		binary.BigEndian.PutUint32(packet[4:], stamp)
		if len(payload) == 4 {
			binary.BigEndian.PutUint32(packet[4:], start)
		}
		binary.BigEndian.PutUint32(packet[8:], ssrc)
		seq++
		m.write(append(packet, payload...), remote)
	}
}

// eventPayload is the telephone event (RFC 4733 section 2.3) of a digit at a step of its life.
func eventPayload(digit byte, step int) []byte {
	e := []byte{byte(strings.IndexByte(eventKeys, digit)), 10, 0, 0}
	if step >= digitUpdates {
		e[1] |= 0x80
	}
	binary.BigEndian.PutUint16(e[2:], uint16(min(step+1, digitUpdates)*frame))
	return e
}

func (m *media) digitSent() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queue = m.queue[1:]; m.queue == "" {
		m.soundMark = m.heard.Sound
		close(m.idle)
	}
}

func (m *media) write(packet []byte, to netip.AddrPort) {
	if _, err := m.conn.WriteToUDPAddrPort(packet, to); err == nil {
		m.mu.Lock()
		m.heard.Sent++
		m.mu.Unlock()
	}
}

// listen hears until the socket is closed. An ICMP error of a peer that is gone is no reason to stop.
func (m *media) listen() {
	buf := make([]byte, 2048)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 12 || buf[0]>>6 != 2 {
			continue
		}
		if m.hear(buf[:n]) {
			m.write(buf[:n], from)
		}
	}
}

// hear takes one packet and tells whether it is to be echoed.
func (m *media) hear(packet []byte) bool {
	pt, stamp, payload := packet[1]&0x7f, binary.BigEndian.Uint32(packet[4:]), packet[12:]
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard.Got++
	if m.heard.First.IsZero() {
		m.heard.First = time.Now()
	}
	switch {
	case pt == m.eventIn && pt != 0 && len(payload) >= 4:
		if ended := payload[1]&0x80 != 0; ended && stamp != m.lastEvent && int(payload[0]) < len(eventKeys) {
			m.heard.Digits += string(eventKeys[payload[0]])
			m.lastEvent = stamp
		}
	case Codec(pt) == PCMU || Codec(pt) == PCMA:
		samples := decode(Codec(pt), payload)
		if level(samples) < loud {
			break
		}
		m.heard.Sound++
		m.lastSound = time.Now()
		if isTone(samples) {
			m.heard.Tone++
		}
	}
	return m.sound == Echo && !m.muted
}

func decode(c Codec, payload []byte) []int16 {
	samples := make([]int16, len(payload))
	for i, b := range payload {
		if c == PCMU {
			samples[i] = g711.DecodeUlawFrame(b)
		} else {
			samples[i] = g711.DecodeAlawFrame(b)
		}
	}
	return samples
}

func level(samples []int16) int {
	sum := 0
	for _, s := range samples {
		sum += max(int(s), -int(s))
	}
	return sum / max(len(samples), 1)
}

// isTone tells by the Goertzel algorithm that nearly all energy lies at the frequency of Tone.
func isTone(samples []int16) bool {
	k := 2 * math.Cos(2*math.Pi*toneHz/8000)
	var s1, s2, energy float64
	for _, s := range samples {
		x := float64(s)
		s1, s2 = x+k*s1-s2, s1
		energy += x * x
	}
	return s1*s1+s2*s2-k*s1*s2 > 0.8*energy*float64(len(samples))/2
}

const toneHz, ringHz = 1000, 425

// sounds holds one second of each sound: whole cycles, so that it can be repeated.
type sounds map[Codec]map[Sound][]byte

var soundTable = sync.OnceValue(func() sounds {
	wave := func(hz float64, encode func(int16) byte) []byte {
		b := make([]byte, 8000)
		for i := range b {
			b[i] = encode(int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/8000)))
		}
		return b
	}
	all := sounds{}
	for codec, encode := range map[Codec]func(int16) byte{PCMU: g711.EncodeUlawFrame, PCMA: g711.EncodeAlawFrame} {
		all[codec] = map[Sound][]byte{Silence: wave(0, encode), Tone: wave(toneHz, encode), RingTone: wave(ringHz, encode)}
	}
	return all
})

// frame gives the n-th packet of a sound.
func (s sounds) frame(sound Sound, c Codec, n int) []byte {
	const perSecond = 8000 / frame
	if sound == RingTone && n/perSecond%5 != 0 {
		sound = Silence
	}
	second, ok := s[c][sound]
	if !ok { // Echo or NoMedia while a digit is sent, whose pause is silence
		second = s[c][Silence]
	}
	if second == nil {
		return make([]byte, frame)
	}
	at := n % perSecond * frame
	return second[at : at+frame]
}

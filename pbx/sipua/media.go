package sipua

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
)

// media is the voice of one leg: one UDP socket, one goroutine that reads it. What comes in goes to the leg bridged to
// it, if any; digits go to the leg itself.
type media struct {
	conn  *net.UDPConn
	local netip.AddrPort // as the other side is told
	out   *sender
	done  chan struct{}
	once  sync.Once

	agreed  atomic.Pointer[agreement] // what was negotiated; nil before
	latch   atomic.Pointer[latch]     // where RTP comes from, and so where it is sent to
	peer    atomic.Pointer[media]     // what comes in is relayed to; nil: to nobody
	playing atomic.Int32              // prompts being played to this leg; what is relayed to it is left out meanwhile
	heard   atomic.Int64              // when the newest packet came, or the agreement, by clock
	packets atomic.Int64              // packets taken
	waits   atomic.Bool               // for the first voice: the leg is answered, and none has come
	voice   atomic.Pointer[time.Time] // when that came; nil: not yet
	meter   atomic.Pointer[meter]     // measures what comes in, in test calls; nil: nobody does
	strange atomic.Int64              // packets of an address that is not the other side's

	digit  func(d byte, by means, relayed bool) // called for each digit dialled
	now    func() time.Time                     // the engine's clock
	events events                               // read by the reader alone
}

// agreement is the outcome of one offer and answer. It is a value, swapped whole.
type agreement struct {
	format
	event      uint8          // payload type of telephone-event as the other side wants it; 0: none
	ours       uint8          // payload type of telephone-event as we announced it, mostly the same
	remote     netip.AddrPort // of the SDP; invalid when the other side wants nothing
	signalling netip.Addr     // where its SIP comes from
	send       bool           // we may send
	receive    bool           // it may send
}

// onHold tells that RTP may be missing without anything being wrong.
func (a *agreement) onHold() bool { return !a.send || !a.receive || !a.remote.IsValid() }

// latch is the source that RTP is taken from. sure means that it is the SDP's own address.
type latch struct {
	addr netip.AddrPort
	sure bool
}

// clock counts nanoseconds since the start of the program, monotonic.
var clockStart = time.Now()

func clock() int64 { return int64(time.Since(clockStart)) }

func newMedia(conn *net.UDPConn, local netip.AddrPort, digit func(byte, means, bool), now func() time.Time) *media {
	return &media{
		conn: conn, local: local, out: newSender(conn), done: make(chan struct{}), digit: digit, now: now,
	}
}

// agree puts a new agreement in force. A changed address means that the other side moved: it is found anew.
func (m *media) agree(a agreement) {
	if old := m.agreed.Swap(&a); old == nil || old.remote != a.remote {
		m.latch.Store(nil)
	}
	m.heard.Store(clock())
}

func (m *media) close() {
	m.once.Do(func() {
		close(m.done)
		m.conn.Close()
	})
}

// target gives where to send, or false while nothing may be sent. Behind NAT the SDP's address is of no use, so the
// address that RTP comes from takes its place (symmetric RTP, RFC 4961).
func (m *media) target() (*agreement, netip.AddrPort, bool) {
	a := m.agreed.Load()
	if a == nil || !a.send || !a.remote.IsValid() {
		return nil, netip.AddrPort{}, false
	}
	if l := m.latch.Load(); l != nil {
		return a, l.addr, true
	}
	return a, a.remote, true
}

// admit tells whether a packet is from the other side. Its SDP names the address; until RTP comes from there, the first
// source at the same IP, or at the IP of its signalling (a NAT that rewrote only that), counts as well, and is kept. All
// else is a stranger, who can neither be heard nor draw our audio to himself.
func (m *media) admit(src netip.AddrPort, a *agreement) bool {
	l := m.latch.Load()
	switch {
	case l != nil && l.addr == src:
		return true
	case src == a.remote && (l == nil || !l.sure):
		m.latch.Store(&latch{src, true})
		return true
	case l == nil && (src.Addr() == a.remote.Addr() || src.Addr() == a.signalling):
		m.latch.Store(&latch{src, false})
		return true
	}
	m.strange.Add(1)
	return false
}

// read takes packets until the socket is closed. It allocates nothing per packet and logs nothing per packet: whatever
// is not RTP of the other side is dropped.
func (m *media) read() {
	buf := make([]byte, 2048)
	var h rtp.Header
	for {
		n, src, err := m.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		a := m.agreed.Load()
		if a == nil || n < rtpHeader {
			continue
		}
		size, err := h.Unmarshal(buf[:n])
		if err != nil || h.Version != 2 {
			continue
		}
		if h.Padding {
			if n -= int(buf[n-1]); n < size {
				continue
			}
		}
		if !m.admit(netip.AddrPortFrom(src.Addr().Unmap(), src.Port()), a) {
			continue
		}
		m.heard.Store(clock())
		m.packets.Add(1)
		if meter := m.meter.Load(); meter != nil {
			meter.take(&h, a.codec, h.PayloadType == a.pt, buf[size:n], m.now())
		}
		m.take(a, &h, buf[size-rtpHeader:n])
	}
}

// take handles a packet whose payload starts at rtpHeader of buf.
func (m *media) take(a *agreement, h *rtp.Header, buf []byte) {
	peer := m.peer.Load()
	switch pt := h.PayloadType; {
	case pt == a.pt:
		if m.waits.Load() && !a.codec.quiet(buf[rtpHeader:]) {
			m.waits.Store(false)
			m.voice.Store(new(m.now()))
		}
		if peer != nil {
			peer.relay(m, h, buf, false)
		}
	case pt != 0 && (pt == a.event || pt == a.ours):
		relayed := peer != nil && peer.relay(m, h, buf, true)
		if d, ok := m.events.read(h, buf[rtpHeader:], time.Now()); ok {
			m.digit(d, byEvent, relayed)
		}
	}
}

// relay passes a packet of from on to this leg, under the payload type and in the codec that this leg agreed to. It is
// false when this leg has none for it.
func (m *media) relay(from *media, h *rtp.Header, buf []byte, event bool) bool {
	a, to, ok := m.target()
	if !ok || event && a.event == 0 {
		return false
	}
	if m.playing.Load() > 0 {
		return true
	}
	if event {
		h.PayloadType = a.event
	} else {
		h.PayloadType = a.pt
		if theirs := from.agreed.Load(); theirs != nil && theirs.codec != a.codec {
			a.codec.recode(buf[rtpHeader:])
		}
	}
	m.out.forward(from, to, h, buf)
	return true
}

func eventCode(d byte) uint8 {
	for i := range len(digits) {
		if digits[i] == d {
			return uint8(i)
		}
	}
	return 0
}

// silence is how long the other side has sent nothing, or false when nothing is expected of it.
func (m *media) silence() (time.Duration, bool) {
	a := m.agreed.Load()
	if a == nil || a.onHold() {
		return 0, false
	}
	return time.Duration(clock() - m.heard.Load()), true
}

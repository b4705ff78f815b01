package sipua

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// codec is a way to carry a voice that both sides must agree upon; the engine relays without transcoding.
type codec string

const (
	pcmu codec = "PCMU"
	pcma codec = "PCMA"
)

// static gives the payload type that RFC 3551 section 6 assigns.
func (c codec) static() uint8 {
	if c == pcma {
		return 8
	}
	return 0
}

// eventType is the payload type of telephone-event in our own offers; the answer may choose another.
const eventType = 101

// direction is what flows, seen from the side that says it.
type direction string

const (
	sendrecv direction = "sendrecv"
	sendonly direction = "sendonly"
	recvonly direction = "recvonly"
	inactive direction = "inactive"
)

func (d direction) sends() bool    { return d == sendrecv || d == sendonly }
func (d direction) receives() bool { return d == sendrecv || d == recvonly }

func directionOf(send, receive bool) direction {
	switch {
	case send && receive:
		return sendrecv
	case send:
		return sendonly
	case receive:
		return recvonly
	}
	return inactive
}

// format is one payload type of a description.
type format struct {
	codec codec
	pt    uint8
}

// description is what we read from the other side's SDP (RFC 8866): its first audio stream over plain RTP.
type description struct {
	formats   []format       // PCMU and PCMA in the other side's order of preference
	event     uint8          // payload type of telephone-event/8000 (RFC 4733); 0: none
	remote    netip.AddrPort // where the other side wants its RTP; invalid when it is 0.0.0.0 (hold of RFC 2543)
	direction direction
	streams   []stream // each m= line, for the answer, which must name and refuse the ones not taken
	audio     int      // index in streams of the one taken
}

// stream is an m= line without its port.
type stream struct{ kind, proto, formats string }

var (
	errSDPSyntax = errors.New("SDP that can't be read")
	errNoAudio   = errors.New("no audio stream over RTP/AVP with PCMU or PCMA")
)

// maxSDP bounds the lines of a description that are looked at.
const maxSDP = 500

// mediaLine is an m= section while it is read.
type mediaLine struct {
	kind, proto string
	port        int
	formats     []string
	conn        string
	rtpmap      map[string]string
	direction   direction
}

// parseSDP reads an offer or an answer. It takes only what the engine needs and skips the rest: a description is not
// refused for a stream that we would not take anyway (T.38, video), as stricter parsers do.
func parseSDP(body []byte) (description, error) {
	session := mediaLine{direction: sendrecv}
	var media []*mediaLine
	at := &session
	for i, line := range strings.Split(string(body), "\n") {
		line = strings.TrimRight(line, "\r ")
		if line == "" {
			continue
		}
		if i > maxSDP || len(line) < 2 || line[1] != '=' || i == 0 && line != "v=0" {
			return description{}, fmt.Errorf("line %d: %w", i+1, errSDPSyntax)
		}
		var err error
		switch value := line[2:]; line[0] {
		case 'm':
			at, err = newMediaLine(value, session)
			media = append(media, at)
		case 'c':
			at.conn, err = connection(value)
		case 'a':
			at.attribute(value)
		}
		if err != nil {
			return description{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return choose(media)
}

func newMediaLine(value string, session mediaLine) (*mediaLine, error) {
	field := strings.Fields(value)
	if len(field) < 4 {
		return nil, errSDPSyntax
	}
	number, _, _ := strings.Cut(field[1], "/")
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, errSDPSyntax
	}
	return &mediaLine{
		kind: field[0], port: int(port), proto: field[2], formats: field[3:],
		conn: session.conn, direction: session.direction, rtpmap: map[string]string{},
	}, nil
}

// connection reads a c= line. A time-to-live after the address (multicast) is no address that we would send to.
func connection(value string) (string, error) {
	field := strings.Fields(value)
	if len(field) != 3 || field[0] != "IN" {
		return "", errSDPSyntax
	}
	return field[2], nil
}

func (m *mediaLine) attribute(value string) {
	key, rest, _ := strings.Cut(value, ":")
	switch key {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		m.direction = direction(key)
	case "rtpmap":
		if pt, encoding, ok := strings.Cut(rest, " "); ok && m.rtpmap != nil {
			m.rtpmap[pt] = strings.ToUpper(strings.TrimSpace(encoding))
		}
	}
}

// choose takes the first stream that the engine can carry.
func choose(media []*mediaLine) (description, error) {
	var d description
	found := false
	for i, m := range media {
		d.streams = append(d.streams, stream{m.kind, m.proto, strings.Join(m.formats, " ")})
		if found || m.kind != "audio" || m.proto != "RTP/AVP" || m.port == 0 {
			continue
		}
		formats, event := m.payloads()
		if len(formats) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(m.conn)
		if err != nil || addr.IsMulticast() {
			continue
		}
		d.formats, d.event = formats, event
		d.direction, d.audio, found = m.direction, i, true
		if !addr.IsUnspecified() {
			d.remote = netip.AddrPortFrom(addr.Unmap(), uint16(m.port))
		}
	}
	if !found {
		return d, errNoAudio
	}
	return d, nil
}

// payloads reads the formats of an audio line. Payload types below 96 need no rtpmap (RFC 3551).
func (m *mediaLine) payloads() (formats []format, event uint8) {
	for _, f := range m.formats {
		pt, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			continue
		}
		encoding, ok := m.rtpmap[f]
		if !ok {
			encoding = map[uint64]string{0: "PCMU/8000", 8: "PCMA/8000"}[pt]
		}
		switch strings.TrimSuffix(encoding, "/1") {
		case "PCMU/8000":
			formats = append(formats, format{pcmu, uint8(pt)})
		case "PCMA/8000":
			formats = append(formats, format{pcma, uint8(pt)})
		case "TELEPHONE-EVENT/8000":
			if event == 0 {
				event = uint8(pt)
			}
		}
	}
	return formats, event
}

// find gives the payload type for c in d.
func (d description) find(c codec) (format, bool) {
	i := slices.IndexFunc(d.formats, func(f format) bool { return f.codec == c })
	if i < 0 {
		return format{}, false
	}
	return d.formats[i], true
}

// sessionID is the o= line of one leg: its version rises with each change of what we say (RFC 3264 section 8).
type sessionID struct {
	id, version uint64
	last        string // the description as last sent, without o=
}

// write makes our description: an answer to offer, or an offer of ours when that is nil.
func (s *sessionID) write(local netip.AddrPort, audio []format, event uint8, dir direction, offer *description) []byte {
	family := "IP4"
	if local.Addr().Is6() {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "s=-\r\nc=IN %s %s\r\nt=0 0\r\n", family, local.Addr())
	streams, index := []stream{{}}, 0
	if offer != nil {
		streams, index = offer.streams, offer.audio
	}
	for i, s := range streams {
		if i == index {
			writeAudio(&b, local.Port(), audio, event, dir)
			continue
		}
		fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", s.kind, s.proto, s.formats)
	}
	if body := b.String(); body != s.last {
		s.last = body
		s.version++
	}
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s %s\r\n%s", s.id, s.version, family, local.Addr(), s.last)
}

func writeAudio(b *strings.Builder, port uint16, audio []format, event uint8, dir direction) {
	fmt.Fprintf(b, "m=audio %d RTP/AVP", port)
	for _, f := range audio {
		fmt.Fprintf(b, " %d", f.pt)
	}
	if event != 0 {
		fmt.Fprintf(b, " %d", event)
	}
	b.WriteString("\r\n")
	for _, f := range audio {
		fmt.Fprintf(b, "a=rtpmap:%d %s/8000\r\n", f.pt, f.codec)
	}
	if event != 0 {
		fmt.Fprintf(b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", event, event)
	}
	fmt.Fprintf(b, "a=ptime:20\r\na=%s\r\n", dir)
}

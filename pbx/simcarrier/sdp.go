package simcarrier

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// session is the little of a session description (RFC 4566) that a simulated end needs.
type session struct {
	addr      netip.AddrPort // where to send RTP
	codecs    []Codec        // static payload types, in order
	event     uint8          // payload type of telephone-event, 0: none
	direction string         // sendrecv, sendonly, recvonly or inactive
}

// parseSDP reads the first audio stream. What it does not know it skips; without audio it is an error.
func parseSDP(body []byte) (session, error) {
	s := session{direction: "sendrecv"}
	var host, port string
	for line := range strings.Lines(string(body)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields := strings.Fields(value)
		switch {
		case key == "m" && port != "":
			return s.at(host, port) // a second stream: only the first is used
		case key == "m" && len(fields) > 3 && fields[0] == "audio":
			port = fields[1]
			for _, f := range fields[3:] {
				if pt, err := strconv.ParseUint(f, 10, 7); err == nil && pt < 96 {
					s.codecs = append(s.codecs, Codec(pt))
				}
			}
		case key == "c" && len(fields) == 3:
			host = fields[2]
		case key == "a" && slices.Contains([]string{"sendrecv", "sendonly", "recvonly", "inactive"}, value):
			s.direction = value
		case key == "a" && len(fields) == 2 && strings.HasPrefix(fields[1], "telephone-event/8000"):
			if pt, err := strconv.ParseUint(strings.TrimPrefix(fields[0], "rtpmap:"), 10, 7); err == nil {
				s.event = uint8(pt)
			}
		}
	}
	return s.at(host, port)
}

func (s session) at(host, port string) (session, error) {
	addr, err := netip.ParseAddrPort(host + ":" + port)
	if err != nil {
		return s, fmt.Errorf("no audio stream in the session description: %w", err)
	}
	s.addr = addr
	return s, nil
}

var codecNames = map[Codec]string{PCMU: "PCMU", PCMA: "PCMA", G729: "G729"}

// format writes the session as an offer or answer; version counts up within a dialog.
func (s session) format(version int) []byte {
	var b strings.Builder
	host := s.addr.Addr()
	fmt.Fprintf(&b, "v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP", version, host, host, s.addr.Port())
	for _, c := range s.codecs {
		fmt.Fprintf(&b, " %d", c)
	}
	if s.event != 0 {
		fmt.Fprintf(&b, " %d", s.event)
	}
	b.WriteString("\r\n")
	for _, c := range s.codecs {
		fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c, codecNames[c])
	}
	if s.event != 0 {
		fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", s.event, s.event)
	}
	fmt.Fprintf(&b, "a=ptime:20\r\na=%s\r\n", s.direction)
	return []byte(b.String())
}

// mirrored gives the direction of an answer to an offer's (RFC 3264 section 6.1).
func mirrored(direction string) string {
	switch direction {
	case "sendonly":
		return "recvonly"
	case "recvonly":
		return "sendonly"
	}
	return direction
}

// firstCommon gives the first codec of theirs that is among ours.
func firstCommon(theirs, ours []Codec) (Codec, bool) {
	for _, c := range theirs {
		if slices.Contains(ours, c) {
			return c, true
		}
	}
	return 0, false
}

package sipua

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const sdpHead = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestParseSDP(t *testing.T) {
	remote := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, tt := range []struct {
		why  string
		body string
		want description
		err  error
	}{
		{
			"payload types, order and event as offered",
			sdpHead + "m=audio 4000 RTP/AVP 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\n",
			description{formats: []format{{pcma, 8}, {pcmu, 0}}, event: 97, remote: remote, direction: sendrecv},
			nil,
		},
		{
			"dynamic payload type for a known codec, event of another rate left alone",
			sdpHead + "m=audio 4000 RTP/AVP 110 9 100\r\na=rtpmap:110 pcmu/8000/1\r\na=rtpmap:100 telephone-event/48000\r\n",
			description{formats: []format{{pcmu, 110}}, remote: remote, direction: sendrecv},
			nil,
		},
		{
			"bare line feeds, no s= and t=, hold at session level",
			"v=0\nc=IN IP4 192.0.2.1\na=sendonly\nm=audio 4000 RTP/AVP 0\n",
			description{formats: []format{{pcmu, 0}}, remote: remote, direction: sendonly},
			nil,
		},
		{
			"hold of RFC 2543",
			"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n",
			description{formats: []format{{pcmu, 0}}, direction: sendrecv},
			nil,
		},
		{
			"address of the stream goes before that of the session; fax and video are passed over",
			sdpHead + "m=image 4002 udptl t38\r\nm=video 4004 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.9\r\n",
			description{
				formats: []format{{pcma, 8}}, remote: netip.MustParseAddrPort("192.0.2.9:4000"), direction: sendrecv, audio: 2,
			},
			nil,
		},
		{"no audio", sdpHead + "m=video 4000 RTP/AVP 31\r\n", description{}, errNoAudio},
		{"unknown codecs only", sdpHead + "m=audio 4000 RTP/AVP 18 96\r\na=rtpmap:96 opus/48000/2\r\n", description{}, errNoAudio},
		{"SRTP", sdpHead + "m=audio 4000 RTP/SAVP 8\r\n", description{}, errNoAudio},
		{"DTLS", sdpHead + "m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n", description{}, errNoAudio},
		{"refused stream", sdpHead + "m=audio 0 RTP/AVP 8\r\n", description{}, errNoAudio},
		{"multicast", "v=0\r\nc=IN IP4 224.2.1.1/127\r\nm=audio 4000 RTP/AVP 8\r\n", description{}, errNoAudio},
		{"a name instead of an address", "v=0\r\nc=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 8\r\n", description{}, errNoAudio},
		{"no address", "v=0\r\nm=audio 4000 RTP/AVP 8\r\n", description{}, errNoAudio},
		{"port out of range", sdpHead + "m=audio 70000 RTP/AVP 8\r\n", description{}, errSDPSyntax},
		{"no port", sdpHead + "m=audio\r\n", description{}, errSDPSyntax},
		{"no SDP", "hello", description{}, errSDPSyntax},
		{"a line that is none", sdpHead + "?\r\n", description{}, errSDPSyntax},
		{"empty", "", description{}, errNoAudio},
		{"endless", sdpHead + strings.Repeat("a=x\r\n", 1000), description{}, errSDPSyntax},
	} {
		t.Run(tt.why, func(t *testing.T) {
			got, err := parseSDP([]byte(tt.body))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if len(got.formats) != len(tt.want.formats) || got.event != tt.want.event || got.remote != tt.want.remote ||
				got.direction != tt.want.direction || got.audio != tt.want.audio {
				t.Fatalf("got %+v, want %+v", got, tt.want)
			}
			for i, f := range got.formats {
				if f != tt.want.formats[i] {
					t.Fatalf("got %+v, want %+v", got.formats, tt.want.formats)
				}
			}
		})
	}
}

// TestAnswerNamesEveryStream: an answer has one m= line for each of the offer, in its order (RFC 3264 section 6), and its
// version rises only when it changes (section 8).
func TestAnswerNamesEveryStream(t *testing.T) {
	offer, err := parseSDP([]byte(sdpHead + "m=image 4002 udptl t38\r\nm=audio 4000 RTP/AVP 8\r\nm=video 4004 RTP/AVP 31 %d\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := sessionID{id: 7}
	local := netip.MustParseAddrPort("[2001:db8::1]:5000")
	first := string(s.write(local, offer.formats, 0, recvonly, &offer))
	want := "v=0\r\no=- 7 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=image 0 udptl t38\r\n" +
		"m=audio 5000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=recvonly\r\nm=video 0 RTP/AVP 31 %d\r\n"
	if first != want {
		t.Fatalf("got\n%s\nwant\n%s", first, want)
	}
	if again := string(s.write(local, offer.formats, 0, recvonly, &offer)); again != first {
		t.Fatalf("the same again is\n%s", again)
	}
	if changed := string(s.write(local, offer.formats, 0, sendrecv, &offer)); !strings.Contains(changed, "o=- 7 2 ") {
		t.Fatalf("changed is\n%s", changed)
	}
}

func FuzzParseSDP(f *testing.F) {
	f.Add([]byte(sdpHead + "m=audio 4000 RTP/AVP 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\n"))
	f.Add([]byte("v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP6 ::1\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseSDP(body)
		if err == nil && (len(d.formats) == 0 || d.audio >= len(d.streams)) {
			t.Fatalf("%q gives %+v", body, d)
		}
	})
}

package sipua

import "github.com/zaf/g711"

// toAlaw and toUlaw are what a byte of the other law becomes (ITU-T G.711 section 3).
var toAlaw, toUlaw = func() (a, u [256]byte) {
	for i := range 256 {
		a[i], u[i] = g711.Ulaw2AlawFrame(byte(i)), g711.Alaw2UlawFrame(byte(i))
	}
	return a, u
}()

// recode turns voice of the other law into that of c, in place.
func (c codec) recode(voice []byte) {
	table := &toUlaw
	if c == pcma {
		table = &toAlaw
	}
	for i, b := range voice {
		voice[i] = table[b]
	}
}

const (
	loud      = 0x20 // segment and interval of a sample of about -36 dB of the loudest, in either law
	loudAtAll = 8    // such samples in a packet that is more than a click
)

// quiet tells that a packet has nothing in it but silence, or noise so low that it comforts.
func (c codec) quiet(voice []byte) bool {
	flip, n := byte(0xff), 0
	if c == pcma {
		flip = 0x55
	}
	for _, b := range voice {
		if (b^flip)&0x7f >= loud {
			n++
		}
	}
	return n < loudAtAll
}

package statement

import (
	"encoding/binary"
	"sync"
	"unicode/utf16"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/text/unicode/norm"
)

// The Go fonts have Latin, Greek and Cyrillic letters.
var regularFont, boldFont = goregular.TTF, gobold.TTF

// missing stands for a character that the fonts don't have.
const missing = '□'

// glyphs are the characters of the basic plane that both fonts have.
var glyphs = sync.OnceValue(func() *[1 << 16]bool {
	both, bold := mapped(regularFont), mapped(boldFont)
	for r := range both {
		both[r] = both[r] && bold[r]
	}
	return both
})

// mapped reads from a font's table cmap which characters it has: segments of format 4 (OpenType, "cmap"), as every
// font for the basic plane has them. A font without has none, which a test would see.
func mapped(font []byte) *[1 << 16]bool {
	found := new([1 << 16]bool)
	u16 := func(at int) int { return int(binary.BigEndian.Uint16(font[at:])) }
	u32 := func(at int) int { return int(binary.BigEndian.Uint32(font[at:])) }
	for t := range u16(4) {
		record := 12 + 16*t
		if string(font[record:record+4]) != "cmap" {
			continue
		}
		cmap := u32(record + 8)
		for s := range u16(cmap + 2) {
			table := cmap + u32(cmap+4+8*s+4)
			if u16(table) != 4 {
				continue
			}
			twice := u16(table + 6) // the number of segments
			for seg := 0; seg < twice; seg += 2 {
				last, first := u16(table+14+seg), u16(table+16+twice+seg)
				for r := first; r <= last && r < 0xffff; r++ {
					found[r] = true
				}
			}
		}
	}
	return found
}

// showable gives a text with a box for each character that the fonts don't have. Letters with accents of their own
// become single ones first.
func showable(s string) string {
	has := glyphs()
	plain := true
	for _, r := range s {
		plain = plain && r < 0x80
	}
	if plain {
		return s
	}
	runes := []rune(norm.NFC.String(s))
	for i, r := range runes {
		if r > 0xffff || !has[r] {
			runes[i] = missing
		}
	}
	return string(runes)
}

// utf16Hex is a text string of PDF (ISO 32000-1, 7.9.2.2) between angle brackets.
func utf16Hex(s string) string {
	const digits = "0123456789ABCDEF"
	hex := []byte("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		hex = append(hex, digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
	return string(append(hex, '>'))
}

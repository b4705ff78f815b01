package tariff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// maxTextLine is the longest line of a carrier's CSV, in bytes: a cell may list hundreds of codes.
const maxTextLine = 64 << 10

// encodings are those that a format can declare.
var encodings = map[string]encoding.Encoding{
	"utf-8":        encoding.Nop,
	"utf-16":       unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM),
	"windows-1252": charmap.Windows1252,
	"iso-8859-1":   charmap.ISO8859_1,
}

var (
	errUTF8   = errors.New("this is UTF-8 text, and the format says encoding = ")
	errUTF16  = errors.New("this is UTF-16 text: the format has to say encoding = \"utf-16\"")
	errBroken = errors.New("characters that are none in this encoding")
)

// eachTextRow gives the lines of a CSV file as cells, as long as each wants more.
func (f *Format) eachTextRow(r io.Reader, each func(line int, cells []cell, err error) bool) error {
	wide := f.Encoding == "utf-16"
	if wide {
		r = encodings[f.Encoding].NewDecoder().Reader(r)
	}
	delimiter := f.delimiter()
	var cells []cell
	err := eachLine(r, maxTextLine, func(number int, raw []byte, err error) bool {
		var text string
		if err == nil {
			text, err = f.decode(number, raw)
		}
		if err == nil && strings.TrimSpace(text) == "" {
			return each(number, nil, nil)
		}
		cells = cells[:0]
		if err == nil && number > f.Skip {
			var fields []string
			fields, err = split(text, delimiter)
			for _, field := range fields {
				cells = append(cells, cell{text: field})
			}
		}
		return each(number, cells, err)
	})
	if errors.Is(err, unicode.ErrMissingBOM) {
		each(1, nil, errors.New("this is not UTF-16 text with a byte order mark, as the format says"))
		return nil
	}
	return err
}

// decode gives a line as UTF-8, if it is in the encoding that was declared.
func (f *Format) decode(number int, raw []byte) (string, error) {
	if number == 1 && (bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff"))) {
		return "", errUTF16
	}
	switch f.Encoding {
	case "utf-8", "utf-16": // the latter by the reader before
		text := string(raw)
		if number == 1 {
			text = strings.TrimPrefix(text, byteOrderMark)
		}
		if f.Encoding == "utf-16" && strings.ContainsRune(text, utf8.RuneError) {
			return "", errBroken
		}
		return text, nil
	}
	if many := utf8.RuneCount(raw) < len(raw); many && utf8.Valid(raw) { // next to no other text looks so
		return "", fmt.Errorf("%w%q", errUTF8, f.Encoding)
	}
	text, err := encodings[f.Encoding].NewDecoder().Bytes(raw)
	if err != nil {
		return "", errBroken
	}
	return string(text), nil
}

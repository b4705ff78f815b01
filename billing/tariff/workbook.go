package tariff

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// The limits of a spreadsheet. A sheet has at most a million rows; a file of a few kilobytes may unpack to gigabytes.
const (
	maxSheetFile   = 128 << 20 // bytes, packed
	maxDirectory   = 1 << 20   // bytes that list the parts of the file
	maxPart        = 1 << 30   // bytes of a part, unpacked
	maxRatio       = 100       // of a part unpacked to packed
	maxSharedBytes = 64 << 20  // of all texts
	maxShared      = 2_000_000
	maxSheets      = 4096
	maxToken       = 256 << 10 // bytes between two marks of XML
	maxDepth       = 32
	maxColumns     = 26 * 27 // A to ZZ; what stands further right is passed over
)

var (
	errNoSheet = errors.New("this is no XLSX file")
	errTooBig  = errors.New("the spreadsheet is too big")
	errToken   = fmt.Errorf("%w: a mark or the texts of a row of more than %d kB", errTooBig, maxToken>>10)
)

const relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

// errStop ends a walk that has seen enough.
var errStop = errors.New("enough")

// workbook is an XLSX file: Office Open XML (ECMA-376 parts 1 and 2).
type workbook struct {
	parts    map[string]*zip.File
	shared   []string
	date1904 bool // days are counted from 1904
}

func openWorkbook(file io.ReaderAt, size int64) (*workbook, error) {
	if size > maxSheetFile {
		return nil, fmt.Errorf("%w: want at most %d MB", errTooBig, maxSheetFile>>20)
	}
	if err := checkDirectory(file, size); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(file, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSheet, err)
	}
	b := &workbook{parts: map[string]*zip.File{}}
	for _, f := range z.File {
		if f.UncompressedSize64 > maxPart || f.UncompressedSize64 > maxToken && f.UncompressedSize64/maxRatio > f.CompressedSize64 {
			return nil, fmt.Errorf("%w: %q unpacks to %d MB", errTooBig, clip(f.Name), f.UncompressedSize64>>20)
		}
		b.parts[f.Name] = f
	}
	return b, nil
}

// checkDirectory looks at the end of the file for where the list of its parts is (APPNOTE.TXT 4.3.16), so that a list
// of millions is refused before it is read.
func checkDirectory(file io.ReaderAt, size int64) error {
	const endLength, longestComment = 22, 1<<16 - 1
	tail := make([]byte, min(size, endLength+longestComment))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	at := strings.LastIndex(string(tail), "PK\x05\x06")
	if at < 0 || len(tail)-at < endLength {
		return errNoSheet
	}
	length, offset := binary.LittleEndian.Uint32(tail[at+12:]), binary.LittleEndian.Uint32(tail[at+16:])
	if length > maxDirectory || int64(length)+int64(offset) != size-int64(len(tail)-at) {
		return fmt.Errorf("%w: its list of parts is not one of a spreadsheet", errNoSheet)
	}
	return nil
}

// visitor takes the XML of a part.
type visitor interface {
	begin(e xml.StartElement) error
	text(b []byte) error
	end(name string) error
}

// walk reads a part to its end, however it is nested, and takes what is cut short for broken.
func (b *workbook) walk(part string, v visitor) (err error) {
	f := b.parts[part]
	if f == nil {
		return fmt.Errorf("%w: it has no %s", errNoSheet, clip(part))
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	defer in.Close() //nolint:errcheck // it is only read
	r := &tokenReader{Reader: bufio.NewReader(io.LimitReader(in, maxPart))}
	d := xml.NewDecoder(r)
	for depth := 0; ; {
		r.left = maxToken
		token, err := d.Token()
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return fmt.Errorf("%s: %w: %d elements in each other", part, errTooBig, depth)
			}
			err = v.begin(t)
		case xml.EndElement:
			depth--
			err = v.end(t.Name.Local)
		case xml.CharData:
			err = v.text(t)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
}

// tokenReader ends a token that goes on for too long; the decoder would hold all of it.
type tokenReader struct {
	*bufio.Reader
	left int
}

func (r *tokenReader) ReadByte() (byte, error) {
	if r.left--; r.left < 0 {
		return 0, errToken
	}
	return r.Reader.ReadByte()
}

// attribute gives an attribute of an element, "" when it has none.
func attribute(e xml.StartElement, space, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == space {
			return a.Value
		}
	}
	return ""
}

// bookIndex collects sheets and where they are.
type bookIndex struct {
	names, ids []string
	targets    map[string]string
	date1904   bool
}

func (x *bookIndex) begin(e xml.StartElement) error {
	switch e.Name.Local {
	case "sheet":
		x.names, x.ids = append(x.names, attribute(e, "", "name")), append(x.ids, attribute(e, relationships, "id"))
	case "workbookPr":
		x.date1904 = attribute(e, "", "date1904") == "1" || attribute(e, "", "date1904") == "true"
	case "Relationship":
		x.targets[attribute(e, "", "Id")] = attribute(e, "", "Target")
	}
	if len(x.names) > maxSheets || len(x.targets) > maxSheets {
		return fmt.Errorf("%w: more than %d sheets", errTooBig, maxSheets)
	}
	return nil
}
func (x *bookIndex) text([]byte) error { return nil }
func (x *bookIndex) end(string) error  { return nil }

// sheetPart finds the part with a sheet.
func (b *workbook) sheetPart(sheet string) (string, error) {
	x := bookIndex{targets: map[string]string{}}
	for _, part := range []string{"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} {
		if err := b.walk(part, &x); err != nil {
			return "", err
		}
	}
	b.date1904 = x.date1904
	if sheet == "" && len(x.names) > 1 {
		return "", fmt.Errorf("it has %d sheets: the format has to name one of %q", len(x.names), x.names[:min(len(x.names), 5)])
	}
	for i, name := range x.names {
		if name != sheet && sheet != "" {
			continue
		}
		target := x.targets[x.ids[i]]
		if strings.HasPrefix(target, "/") {
			return target[1:], nil
		}
		return path.Join("xl", target), nil
	}
	return "", fmt.Errorf("it has no sheet %q, only %q", sheet, x.names[:min(len(x.names), 5)])
}

// sharedTexts collects the texts that cells refer to by number.
type sharedTexts struct {
	book  *workbook
	bytes int
	now   strings.Builder
	in    phonetic
}

// phonetic knows whether a text is one, and not how it is pronounced.
type phonetic struct{ inText, inPhonetic bool }

func (p *phonetic) set(name string, in bool) {
	switch name {
	case "t":
		p.inText = in
	case "rPh":
		p.inPhonetic = in
	}
}

func (p *phonetic) counts() bool { return p.inText && !p.inPhonetic }

func (s *sharedTexts) begin(e xml.StartElement) error {
	s.in.set(e.Name.Local, true)
	return nil
}

func (s *sharedTexts) text(b []byte) error {
	if s.in.counts() {
		s.bytes += len(b)
		s.now.Write(b)
	}
	if s.bytes > maxSharedBytes {
		return fmt.Errorf("%w: more than %d MB of texts", errTooBig, maxSharedBytes>>20)
	}
	return nil
}

func (s *sharedTexts) end(name string) error {
	if s.in.set(name, false); name == "si" {
		s.book.shared = append(s.book.shared, strings.TrimSpace(s.now.String()))
		s.now.Reset()
	}
	if len(s.book.shared) > maxShared {
		return fmt.Errorf("%w: more than %d texts", errTooBig, maxShared)
	}
	return nil
}

func (b *workbook) readShared() error {
	const part = "xl/sharedStrings.xml"
	if b.parts[part] == nil {
		return nil
	}
	return b.walk(part, &sharedTexts{book: b})
}

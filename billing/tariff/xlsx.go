package tariff

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// eachSheetRow gives the rows of a sheet as cells, as long as each wants more. Nothing is unpacked further than it is
// read, and of the file only the shared texts stay in memory. Sheet "" is the only one. What is wrong with the file is
// told as a line of it.
func eachSheetRow(file io.ReaderAt, size int64, sheet string, each func(line int, cells []cell, err error) bool) error {
	r := sheetRows{each: each}
	if err := r.read(file, size, sheet); err != nil && !errors.Is(err, errStop) {
		each(max(r.line, 1), nil, err)
	}
	return nil
}

func (r *sheetRows) read(file io.ReaderAt, size int64, sheet string) (err error) {
	if r.book, err = openWorkbook(file, size); err != nil {
		return err
	}
	part, err := r.book.sheetPart(sheet)
	if err != nil {
		return err
	}
	if err := r.book.readShared(); err != nil {
		return err
	}
	return r.book.walk(part, r)
}

// sheetRows gives the rows of a sheet.
type sheetRows struct {
	book  *workbook
	each  func(line int, cells []cell, err error) bool
	line  int // of the row, from 1
	cells []cell
	size  int // of the row's values, in bytes

	inData  bool
	column  int    // of the cell, from 0
	kind    string // of the cell's value: s, str, inlineStr, b, e, d, n or ""
	formula bool
	inValue bool
	in      phonetic
	value   strings.Builder
}

func (r *sheetRows) begin(e xml.StartElement) error {
	r.in.set(e.Name.Local, true)
	if !r.inData {
		r.inData = e.Name.Local == "sheetData"
		return nil
	}
	switch e.Name.Local {
	case "row":
		return r.beginRow(attribute(e, "", "r"))
	case "c":
		r.kind, r.formula = attribute(e, "", "t"), false
		r.value.Reset()
		return r.place(attribute(e, "", "r"))
	case "f":
		r.formula = true
	case "v":
		r.inValue = true
	}
	return nil
}

// beginRow counts rows; those that are left out of the file are blank, and given as one.
func (r *sheetRows) beginRow(number string) error {
	line := r.line + 1
	if number != "" {
		n, err := strconv.Atoi(number)
		if err != nil || n < line || n > maxLines {
			return fmt.Errorf("row %q after row %d", clip(number), r.line)
		}
		line = n
	}
	if line > r.line+1 && !r.each(line-1, nil, nil) {
		return errStop
	}
	r.line, r.cells, r.size, r.column = line, r.cells[:0], 0, -1
	return nil
}

// place finds the column of a cell.
func (r *sheetRows) place(reference string) error {
	r.column++
	if reference == "" {
		return nil
	}
	letters := strings.TrimRight(reference, "0123456789")
	column := letterColumn(letters)
	if len(letters) == 3 {
		column = maxColumns
	}
	if column < r.column && column != maxColumns || reference[len(letters):] != strconv.Itoa(r.line) {
		return fmt.Errorf("cell %q in row %d", clip(reference), r.line)
	}
	r.column = column
	return nil
}

func (r *sheetRows) text(b []byte) error {
	if !r.inValue && !r.in.counts() {
		return nil
	}
	r.value.Write(b)
	if r.size += len(b); r.size > maxToken {
		return errToken
	}
	return nil
}

func (r *sheetRows) end(name string) error {
	r.in.set(name, false)
	if !r.inData {
		return nil // what follows the rows is read for the file's checksum
	}
	switch name {
	case "v":
		r.inValue = false
	case "c":
		if r.column < maxColumns {
			for len(r.cells) < r.column {
				r.cells = append(r.cells, cell{})
			}
			r.cells = append(r.cells, r.cell())
		}
	case "row":
		if !r.each(r.line, r.cells, nil) {
			return errStop
		}
	case "sheetData":
		r.inData = false
	}
	return nil
}

// cell makes a cell of what was read of it.
func (r *sheetRows) cell() cell {
	text := r.value.String()
	if r.formula {
		return cell{bad: "a formula: want its value, pasted as a value"}
	}
	switch r.kind {
	case "s":
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n >= len(r.book.shared) {
			return cell{bad: fmt.Sprintf("a text %q that the file has not", clip(text))}
		}
		return textCell(r.book.shared[n])
	case "str", "inlineStr":
		return textCell(text)
	case "", "n":
		if text == "" {
			return cell{}
		}
		number, err := sheetNumber(text)
		if err != nil {
			return cell{bad: fmt.Sprintf("%q: %v", clip(text), err)}
		}
		return cell{text: number, number: true, since1904: r.book.date1904}
	}
	return cell{bad: fmt.Sprintf("%q: want a number or a text", clip(text))}
}

// textCell is a text in one line, without what a terminal would act on.
func textCell(text string) cell {
	text = strings.Join(strings.Fields(text), " ")
	for _, r := range text {
		if unicode.IsControl(r) {
			return cell{bad: fmt.Sprintf("control character %U: want plain text", r)}
		}
	}
	return cell{text: text}
}

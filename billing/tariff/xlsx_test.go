package tariff_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"telecommune/billing/tariff"
)

const sheetFormat = "file = \"xlsx\"\nheader = true\ndate = \"dd/mm/yyyy\"\n[columns]\nprefix = \"Code\"\nrate = \"Rate\"\n" +
	"destination = \"Name\"\neffective_from = \"From\"\n"

// sheet writes a file with the library that many carriers' own programs use: rows under a header, from A1 on.
func sheet(t testing.TB, change func(f *excelize.File), rows ...[]any) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close() //nolint:errcheck // in memory
	for i, row := range append([][]any{{"Code", "Rate", "Name", "From"}}, rows...) {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(f)
	}
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// parts packs a file of parts that no such library would write.
func parts(t testing.TB, rows string, more ...string) string {
	t.Helper()
	all := append([]string{
		"xl/workbook.xml", `<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>`,
		"xl/worksheets/s.xml", `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`,
	}, more...)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(all); i += 2 {
		packing := zip.Deflate
		if all[i+1] == "" {
			packing = zip.Store // an empty part; to make it ready for packing would take longer than all else
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: all[i], Method: packing})
		if err == nil {
			_, err = io.WriteString(w, all[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const head = `<row r="1"><c r="A1" t="str"><v>Code</v></c><c r="B1" t="str"><v>Rate</v></c><c r="C1" t="str"><v>Name</v></c><c r="D1" t="str"><v>From</v></c></row>`

func TestSheet(t *testing.T) {
	day := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		proves string
		format string
		file   string
		want   []string
	}{
		{"numbers, texts and dates", "", sheet(t, nil, []any{380, 0.0125, "Ukraine", day}, []any{"7", "0.02", "Russia", "01/06/2027"}), []string{
			"380 Ukraine 0.0125 1/1 2027-06-01", "7 Russia 0.02 1/1 2027-06-01",
		}},
		{"blank rows and cells", "", sheet(t, nil, []any{380, 1, nil, nil}, nil, []any{7, 2}), []string{"380  1.00 1/1", "7  2.00 1/1"}},
		{
			"formatted texts, line breaks in them", "",
			sheet(t, func(f *excelize.File) {
				if err := f.SetCellRichText("Sheet1", "C2", []excelize.RichTextRun{{Text: "Ukraine,\n"}, {Text: "Kyiv", Font: &excelize.Font{Bold: true}}}); err != nil {
					t.Fatal(err)
				}
			}, []any{38044, 1}),
			[]string{"38044 Ukraine, Kyiv 1.00 1/1"},
		},
		{
			"a sheet by its name, title rows, columns by letter", "file = \"xlsx\"\nsheet = \"Rates\"\nskip = 1\n[columns]\nprefix = \"AB\"\nrate = \"C\"\n",
			sheet(t, func(f *excelize.File) {
				_, err := f.NewSheet("Rates")
				err = errors.Join(err, f.SetCellValue("Rates", "A1", "title"), f.SetCellValue("Rates", "AB2", 49), f.SetCellValue("Rates", "C2", 0.006))
				if err != nil {
					t.Fatal(err)
				}
			}),
			[]string{"49  0.006 1/1"},
		},
		{
			"days since 1904", "",
			sheet(t, func(f *excelize.File) {
				on := true
				if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &on}); err != nil {
					t.Fatal(err)
				}
			}, []any{380, 1, "", 45076}),
			[]string{"380  1.00 1/1 2027-05-31"},
		},
		{
			"a formula in a column that the format has not", "",
			sheet(t, func(f *excelize.File) {
				if err := f.SetCellFormula("Sheet1", "F2", "=B2*2"); err != nil {
					t.Fatal(err)
				}
			}, []any{380, 1}),
			[]string{"380  1.00 1/1"},
		},
		{"rows and cells without their numbers", "", parts(t, strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(head, ` r="1"`, ""), ` r="A1"`, ""), ` r="B1"`, "")+
			`<row><c><v>380</v></c><c><v>1</v></c></row>`), []string{"380  1.00 1/1"}},
		{"how a binary fraction misses is not seen", "", parts(t, head+`<row r="2"><c r="A2"><v>3.8E2</v></c><c r="B2"><v>1.2500000000000001E-2</v></c></row>`+
			`<row r="3"><c r="A3"><v>7</v></c><c r="B3"><v>0.30000000000000004</v></c></row>`), []string{"380  0.0125 1/1", "7  0.30 1/1"}},
		{"texts within cells", "", parts(t, head+`<row r="2"><c r="A2" t="inlineStr"><is><t>380</t></is></c><c r="B2" t="str"><v>1</v></c></row>`), []string{"380  1.00 1/1"}},
	} {
		if c.format == "" {
			c.format = sheetFormat
		}
		got, err := read(format(t, c.format), c.file, carrier(), nil)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", c.proves, got, err, c.want)
		}
	}
}

func TestSheetRefuses(t *testing.T) {
	good := sheet(t, nil, []any{380, 1})
	formula := sheet(t, func(f *excelize.File) {
		if err := f.SetCellFormula("Sheet1", "B3", "=B2*2"); err != nil {
			t.Fatal(err)
		}
	}, []any{380, 1}, []any{7, 2})
	two := sheet(t, func(f *excelize.File) {
		if _, err := f.NewSheet("More"); err != nil {
			t.Fatal(err)
		}
	}, []any{380, 1})
	row := func(cells string) string { return parts(t, head+`<row r="2"><c r="A2"><v>380</v></c>`+cells+`</row>`) }
	for _, c := range []struct {
		proves, format, file, tells string
	}{
		{"no spreadsheet", "", "prefix,rate_per_minute\n1,1\n", "no XLSX file"},
		{"an empty file", "", "", "no XLSX file"},
		{"half of a file", "", good[:len(good)/2], "no XLSX file"},
		{"a ZIP file of something else", "", zipOf(t, "a.txt", "a"), "it has no xl/workbook.xml"},
		{"one of two sheets, not said which", "", two, `it has 2 sheets: the format has to name one of ["Sheet1" "More"]`},
		{"a sheet that there is not", strings.Replace(sheetFormat, "header", "sheet = \"Rates\"\nheader", 1), good, `no sheet "Rates", only ["Sheet1"]`},
		{"a formula", "", formula, "line 3: cell B3 (Rate): a formula"},
		{"an error value", "", row(`<c r="B2" t="e"><v>#N/A</v></c>`), `line 2: cell B2 (Rate): "#N/A"`},
		{"a truth", "", row(`<c r="B2" t="b"><v>1</v></c>`), "cell B2 (Rate)"},
		{"a number that is none", "", row(`<c r="B2"><v>NaN</v></c>`), `"NaN": not a number`},
		{"a negative number", "", row(`<c r="B2"><v>-1</v></c>`), "not negative"},
		{"an exponent in a text", "", row(`<c r="B2" t="str"><v>1e9</v></c>`), `"1e9"`},
		{"a price of more than six decimals", "", row(`<c r="B2"><v>0.0123456</v></c>`), "cell B2 (Rate): \"0.0123456\": more than 6 decimals"},
		{"a date with a time", "", row(`<c r="B2"><v>1</v></c><c r="D2"><v>45000.5</v></c>`), "cell D2 (From)"},
		{"a shared text that there is not", "", row(`<c r="B2" t="s"><v>7</v></c>`), "the file has not"},
		{"a code with a fraction", "", parts(t, head+`<row r="2"><c r="A2"><v>38.5</v></c><c r="B2"><v>1</v></c></row>`), `cell A2 (Code): "38.5": want digits`},
		{"XML that is cut short", "", parts(t, head+`<row r="2"><c r="A2">`), "line 2: "},
		{"an entity", "", row(`<c r="B2" t="str"><v>&xxe;</v></c>`), "xl/worksheets/s.xml"},
		{"rows that go back", "", parts(t, head+`<row r="3"><c r="A3"><v>1</v></c><c r="B3"><v>1</v></c></row><row r="2"/>`), `row "2" after row 3`},
		{"cells that go back", "", row(`<c r="A2"><v>1</v></c>`), `cell "A2" in row 2`},
		{"a row beyond counting", "", parts(t, head+`<row r="99999999999"/>`), `row "99999999999"`},
		{"a text of 300 kB", "", row(`<c r="B2" t="str"><v>` + strings.Repeat("1", 300<<10) + `</v></c>`), "too big"},
		{"elements in each other for ever", "", row(strings.Repeat("<a>", 1000)), "too big"},
	} {
		if c.format == "" {
			c.format = sheetFormat
		}
		got, err := read(format(t, c.format), c.file, carrier(), nil)
		var bad *tariff.BadDeck
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %q, %v; want …%s…", c.proves, got, err, c.tells)
			continue
		}
		if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: the error is not one short line: %q", c.proves, err)
		}
	}
}

func zipOf(t testing.TB, name, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(name)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestSheetBombs reads files of some kilobytes that unpack to a hundred times as much, each in another place.
func TestSheetBombs(t *testing.T) {
	texts := strings.Repeat("<si><t>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</t></si>", 60_000)
	for _, c := range []struct{ proves, file, tells string }{
		{"shared texts", parts(t, head, "xl/sharedStrings.xml", "<sst>"+texts+"</sst>"), `"xl/sharedStrings.xml" unpacks to`},
		{"rows", parts(t, strings.Repeat(`<row><c><v>1</v></c></row>`, 100_000)), `"xl/worksheets/s.xml" unpacks to`},
		{"an unused part", parts(t, head, "docProps/app.xml", strings.Repeat(" ", 5<<20)), `"docProps/app.xml" unpacks to`},
		{"a list of its parts", parts(t, head, directory(60_000)...), "list of parts"},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := read(format(t, sheetFormat), c.file, carrier(), nil)
		runtime.ReadMemStats(&after)
		var bad *tariff.BadDeck
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.tells) {
			t.Errorf("%s: %v, want a BadDeck: …%s…", c.proves, err, c.tells)
		}
		if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 16 {
			t.Errorf("%s: %d MB were allocated for %d kB", c.proves, grown, len(c.file)>>10)
		}
	}
}

// directory names empty parts.
func directory(n int) (parts []string) {
	for i := range n {
		parts = append(parts, fmt.Sprint("xl/media/image", i, ".png"), "")
	}
	return parts
}

// FuzzSheet feeds foreign bytes to the reader of spreadsheets.
func FuzzSheet(f *testing.F) {
	f.Add([]byte(sheet(f, nil, []any{380, 0.0125, "Ukraine", 45000}, []any{"7", "1"})))
	f.Add([]byte(parts(f, head+`<row r="2"><c r="A2"><v>3.8E2</v></c><c r="B2"><v>1.25E-2</v></c></row>`)))
	if example, err := os.ReadFile("../../docs/examples/delta.xlsx"); err == nil {
		f.Add(example)
	}
	sheets := format(f, sheetFormat)
	f.Fuzz(func(t *testing.T, file []byte) {
		comesBack(t, sheets.Read(bytes.NewReader(file), int64(len(file)), carrier(), nil))
	})
}

// FuzzSheetRows feeds foreign XML to the reader of rows, past the packing.
func FuzzSheetRows(f *testing.F) {
	f.Add(`<row r="2"><c r="A2"><v>3.8E2</v></c><c r="B2"><v>1.25E-2</v></c></row>`)
	f.Add(`<row r="3"><c r="A3" t="inlineStr"><is><r><t>380</t></r></is></c><c r="B3"><f>1</f><v>1</v></c></row>`)
	sheets := format(f, sheetFormat)
	f.Fuzz(func(t *testing.T, rows string) {
		file := parts(t, head+rows)
		comesBack(t, sheets.Read(strings.NewReader(file), int64(len(file)), carrier(), nil))
	})
}

package statement

import (
	"fmt"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	"telecommune/internal/report"
)

// Sizes of a page in millimetres: A4 upright.
const (
	paperWidth  = 210.0
	paperHeight = 297.0
	margin      = 14.0
	innerWidth  = paperWidth - 2*margin
	lastLine    = paperHeight - 20 // below it are page numbers
	millimetre  = 72 / 25.4        // in points
)

// Colours, as in statement.css.
var (
	ink  = [3]int{29, 27, 24}
	soft = [3]int{81, 76, 68}
	pale = [3]int{217, 212, 202}
	mark = [3]int{138, 28, 28}
)

// paper is pages that are written from top to bottom.
type paper struct {
	*fpdf.Fpdf
	y      float64 // where the next line begins
	head   string  // stands on every page but the first
	repeat func()  // writes what stands again at the top of a page that is begun in the middle of a table
}

func newPaper() *paper {
	p := &paper{Fpdf: fpdf.New("P", "mm", "A4", "")}
	p.SetAutoPageBreak(false, 0)
	p.AliasNbPages("") // nothing that anybody wrote becomes a number of pages
	p.SetCatalogSort(true)
	p.AddUTF8FontFromBytes("go", "", regularFont)
	p.AddUTF8FontFromBytes("go", "B", boldFont)
	p.page()
	return p
}

// page begins a page.
func (p *paper) page() {
	p.AddPage()
	p.y = margin
	if p.PageNo() > 1 {
		p.font("", 8, soft)
		p.put(margin, p.y+3, p.head)
		p.y += 8
	}
}

// need begins a new page when so many millimetres are no longer free on this one.
func (p *paper) need(height float64) {
	if p.y+height <= lastLine {
		return
	}
	p.page()
	if p.repeat != nil {
		p.repeat()
	}
}

func (p *paper) font(style string, points float64, colour [3]int) {
	if p.GetFontFamily() != "go" || p.GetFontStyle() != style || p.size() != points {
		p.SetFont("go", style, points)
	}
	p.SetTextColor(colour[0], colour[1], colour[2])
}

func (p *paper) size() float64 {
	points, _ := p.GetFontSize()
	return points
}

// put writes a text with its base line at y. What the fonts can't show is still there for who copies or hears it.
func (p *paper) put(x, y float64, s string) {
	shown := showable(s)
	if shown != s {
		p.RawWriteStr("/Span <</ActualText " + utf16Hex(s) + ">> BDC\n")
		defer p.RawWriteStr("EMC\n")
	}
	p.Text(x, y, shown)
}

// putRight writes a text that ends at x.
func (p *paper) putRight(x, y float64, s string) { p.put(x-p.width(s), y, s) }

func (p *paper) width(s string) float64 { return p.GetStringWidth(showable(s)) }

// lines breaks a text into lines of a width, within words where they are wider.
func (p *paper) lines(s string, width float64) []string {
	if p.width(s) <= width {
		return []string{s}
	}
	var all []string
	for _, line := range report.Wrap(s, width, p.width) {
		for p.width(line) > width {
			cut := 0
			for i := range line {
				if i > 0 && p.width(line[:i]) > width {
					break
				}
				cut = i
			}
			if cut == 0 { // not even one character fits
				break
			}
			all = append(all, line[:cut])
			line = line[cut:]
		}
		all = append(all, line)
	}
	return all
}

// paragraph writes a text over the whole width.
func (p *paper) paragraph(s string) {
	height := p.size() / millimetre * 1.35
	for _, line := range p.lines(s, innerWidth) {
		p.need(height)
		p.put(margin, p.y+height*0.75, line)
		p.y += height
	}
}

// rule draws a line over some width at the current height.
func (p *paper) rule(x, width, thick float64, colour [3]int) {
	p.SetDrawColor(colour[0], colour[1], colour[2])
	p.SetLineWidth(thick)
	p.Line(x, p.y, x+width, p.y)
}

// heading begins a section that needs so much room for its beginning.
func (p *paper) heading(s string, room float64) {
	p.repeat = nil
	if p.y+room+12 > lastLine {
		p.page()
	} else {
		p.y += 7
	}
	p.font("B", 11, ink)
	p.Bookmark(s, 0, p.y)
	p.put(margin, p.y+4, s)
	p.y += 7
}

// numbers writes the page numbers, once all pages are there.
func (p *paper) numbers() {
	all := p.PageCount()
	for n := 1; n <= all; n++ {
		p.SetPage(n)
		p.SetFont("go", "B", 8) // a page ends with the font of its last line, of which the library knows nothing here
		p.SetFont("go", "", 8)
		p.SetTextColor(soft[0], soft[1], soft[2])
		p.putRight(paperWidth-margin, paperHeight-10, fmt.Sprintf("Page %d of %d", n, all))
	}
}

// grid is a table whose heads stand again on each page.
type grid struct {
	*paper
	heads  []string // a line break divides a head into two lines
	left   int      // so many columns are aligned left, the others right
	grow   int      // the column that takes what width there is
	points float64
	ends   []float64 // right edge of each column
	starts []float64
}

const (
	gutter  = 2.8 // between columns
	rowPad  = 0.5 // above and below a row
	leading = 1.3
)

// fit gives each column the width that its widest cell needs, in letters small enough that all are on the page, and the
// rest to one of them.
func (g *grid) fit(rows func(yield func(cells []string) bool)) {
	const least = 18.0 // of the column that grows
	for g.points = 7.5; ; g.points -= 0.5 {
		widths := make([]float64, len(g.heads))
		for _, style := range []string{"", "B"} { // neither is the wider one for all letters
			g.font(style, g.points, ink)
			for i, h := range g.heads {
				for line := range strings.SplitSeq(h, "\n") {
					widths[i] = max(widths[i], g.width(line))
				}
			}
			for cells := range rows {
				for i, c := range cells {
					if i != g.grow {
						widths[i] = max(widths[i], g.width(c))
					}
				}
			}
		}
		free := innerWidth - gutter*float64(len(widths)-1)
		for i, w := range widths {
			if i != g.grow {
				free -= w
			}
		}
		if free < least && g.points > 3.5 {
			continue
		}
		widths[g.grow] = max(free, least)
		x := margin
		g.starts, g.ends = nil, nil
		for _, w := range widths {
			g.starts, g.ends = append(g.starts, x), append(g.ends, x+w)
			x += w + gutter
		}
		return
	}
}

func (g *grid) lineHeight() float64 { return g.points / millimetre * leading }

// head writes the heads of the columns.
func (g *grid) head() {
	g.font("B", g.points, soft)
	height := 1
	for _, h := range g.heads {
		height = max(height, 1+strings.Count(h, "\n"))
	}
	for i, h := range g.heads {
		lines := strings.Split(h, "\n")
		for n, line := range lines {
			g.cell(i, height-len(lines)+n, line)
		}
	}
	g.y += float64(height)*g.lineHeight() + rowPad
	g.rule(margin, innerWidth, 0.3, ink)
	g.y += rowPad
}

// cell writes one line of a cell.
func (g *grid) cell(column, line int, s string) {
	y := g.y + (float64(line)+0.78)*g.lineHeight()
	if column < g.left {
		g.put(g.starts[column], y, s)
	} else {
		g.putRight(g.ends[column], y, s)
	}
}

// row writes cells, those on the left in as many lines as they need, and maybe a note below them.
func (g *grid) row(style string, note string, cells ...string) {
	g.font(style, g.points, ink)
	var wrapped [8][]string // of the columns on the left
	height := 1
	for i := range g.left {
		wrapped[i] = g.lines(cells[i], g.ends[i]-g.starts[i])
		height = max(height, len(wrapped[i]))
	}
	full := float64(height)*g.lineHeight() + 2*rowPad
	if note != "" {
		full += g.lineHeight()
	}
	g.need(full)
	g.font(style, g.points, ink) // a new page has heads
	g.y += rowPad
	for i, c := range cells {
		if i >= g.left {
			g.cell(i, 0, c)
			continue
		}
		for n, line := range wrapped[i] {
			g.cell(i, n, line)
		}
	}
	if note != "" {
		g.font("", g.points, soft)
		g.cell(min(1, g.left-1), height, note)
	}
	g.y += full - rowPad
	g.rule(margin, innerWidth, 0.1, pale)
}

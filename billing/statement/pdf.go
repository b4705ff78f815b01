package statement

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

// WritePDF writes the statement as a PDF for paper: A4, page numbers, heads on every page of a table, fonts inside.
// Dates and the document's id come from the statement alone, so that the same one is the same file.
func (s Statement) WritePDF(w io.Writer) error {
	v := s.view()
	p := newPaper()
	p.head = v.Enterprise + ", statement " + v.Period + ", account " + v.Account
	if err := p.describe(s, v); err != nil {
		return err
	}
	p.title(v)
	p.summary(v)
	p.bookings(v)
	p.destinations(v)
	p.calls(v)
	p.attempts(v)
	p.numbers()
	return p.Output(w)
}

// describe writes what programs read of a document.
func (p *paper) describe(s Statement, v view) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return err
	}
	made := s.Period.End(zone)
	if s.AsOf != nil {
		made = *s.AsOf
	}
	title := "Statement " + v.Period + ", " + v.Account
	p.SetTitle(title, true)
	p.SetSubject("Statement of "+v.Holder+" for "+v.Month, true)
	p.SetAuthor(v.Enterprise, true)
	p.SetCreator("telecommune", true)
	p.SetProducer("telecommune", true)
	p.SetLang("en")
	p.SetCreationDate(made.UTC())
	p.SetModificationDate(made.UTC())
	text := func(s string) string {
		var b bytes.Buffer
		xml.EscapeText(&b, []byte(s)) //nolint:errcheck // a buffer takes everything
		return b.String()
	}
	p.SetXmpMetadata(fmt.Appendf(nil, `<?xpacket begin="`+"\ufeff"+`" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>%s</rdf:li></rdf:Seq></dc:creator>
<dc:language><rdf:Bag><rdf:li>en</rdf:li></rdf:Bag></dc:language>
<xmp:CreateDate>%s</xmp:CreateDate>
<xmpMM:DocumentID>uuid:%s</xmpMM:DocumentID>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`, text(title), text(v.Enterprise), made.Format(time.RFC3339), uuid.NewSHA1(uuid.NameSpaceOID, content)))
	return nil
}

func (p *paper) title(v view) {
	p.font("B", 10, mark)
	p.paragraph(v.Enterprise)
	p.y += 1
	p.font("B", 18, ink)
	p.paragraph("Statement for " + v.Month)
	p.y += 1.5
	p.font("", 9.5, ink)
	p.paragraph(v.Holder + ", account " + v.Account + ".")
	p.font("", 8.5, soft)
	facts := "Amounts in " + v.Currency + ", times in " + v.Zone + "."
	if v.AsOf != nil {
		facts = "So far, as of " + v.AsOf.Text + ". " + facts
	}
	if v.Short {
		facts += " The last three digits of each number are hidden."
	}
	p.paragraph(facts)
}

// summary writes the balance, and beside it where the money of the calls went.
func (p *paper) summary(v view) {
	const half, between = (innerWidth - 12) / 2, 12.0
	closing := "At the end of " + v.LastDay
	if v.AsOf != nil {
		closing = "Now"
	}
	p.y += 6
	top := p.y
	end := p.box(margin, half, "Balance", [][2]string{
		{"At the start of " + v.FirstDay, v.Opening},
		{"Top-ups, vouchers and other bookings", v.Credits},
		{"Calls", v.Paid},
		{closing, v.Closing},
	})
	if len(v.Groups) > 0 {
		p.y = top
		end = max(end, p.box(margin+half+between, half, "Where the money of the calls went", [][2]string{
			{"Carriers", v.Split.Carrier},
			{"VAT", v.Split.VAT},
			{v.Enterprise + ", the enterprise", v.Split.Rest},
			{"All calls, VAT included", v.Split.Price},
		}))
	}
	p.y = end
}

// box writes a short list of sums, the last one under a line, and gives where it ends.
func (p *paper) box(x, width float64, title string, rows [][2]string) float64 {
	const height = 5.2
	p.font("B", 11, ink)
	p.Bookmark(title, 0, p.y)
	p.put(x, p.y+4, title)
	p.y += 6.5
	for i, row := range rows {
		style := ""
		if i == len(rows)-1 {
			style = "B"
			p.rule(x, width, 0.3, ink)
		} else {
			p.rule(x, width, 0.1, pale)
		}
		p.font(style, 9, ink)
		figure := p.width(row[1])
		lines := p.lines(row[0], width-figure-3)
		p.putRight(x+width, p.y+height*0.72, row[1])
		for n, line := range lines {
			p.put(x, p.y+height*0.72+float64(n)*4, line)
		}
		p.y += height + float64(len(lines)-1)*4
	}
	return p.y
}

// begin writes a heading and the heads of a table, which every further page has again.
func (g *grid) begin(heading string) {
	g.heading(heading, 20)
	g.head()
	g.repeat = g.head
}

func (p *paper) bookings(v view) {
	if len(v.Bookings) == 0 {
		return
	}
	g := &grid{paper: p, heads: []string{"Date", "What", "Amount"}, left: 2, grow: 1}
	g.fit(func(yield func([]string) bool) {
		for _, b := range v.Bookings {
			if !yield([]string{b.At.Text, b.What, b.Amount}) {
				return
			}
		}
	})
	g.begin("Top-ups, vouchers and other bookings")
	for _, b := range v.Bookings {
		g.row("", "", b.At.Text, b.What, b.Amount)
	}
}

func (p *paper) destinations(v view) {
	if len(v.Groups) == 0 {
		p.heading("Calls", 10)
		p.font("", 9, ink)
		p.paragraph("None in this month.")
		return
	}
	g := &grid{paper: p, heads: []string{
		"Destination", "Calls", "Seconds\ndelivered", "Seconds\nbilled", "Price", "Carrier", "VAT", "Enterprise",
	}, left: 1}
	cells := func(name string, x sumView) []string {
		return []string{name, x.Calls, x.Answered, x.Billed, x.Price, x.Carrier, x.VAT, x.Rest}
	}
	g.fit(func(yield func([]string) bool) {
		for _, x := range v.Groups {
			if !yield(cells(x.Name, x.Sum)) {
				return
			}
		}
		yield(cells("All", v.Totals))
	})
	g.begin("Calls by destination")
	for _, x := range v.Groups {
		g.row("", "", cells(x.Name, x.Sum)...)
	}
	g.row("B", "", cells("All", v.Totals)...)
	g.repeat = nil
	g.y += 1.5
	g.font("", 8, soft)
	g.paragraph("Of each price, the carrier got its part, VAT goes to the state, and " + v.Enterprise + ", the enterprise, keeps the rest.")
}

func (p *paper) calls(v view) {
	if len(v.Groups) == 0 {
		return
	}
	g := &grid{paper: p, heads: []string{
		"Started", "Number", "Trunk", "Seconds\ndelivered", "Seconds\nbilled", "Before\nrounding", "Price", "Carrier", "VAT", "Enterprise",
	}, left: 3, grow: 2}
	cells := func(c callView) []string {
		return []string{c.At.Text, c.Number, c.Trunk, c.Answered, c.Billed, c.Unrounded, c.Price, c.Carrier, c.VAT, c.Rest}
	}
	g.fit(func(yield func([]string) bool) {
		for _, x := range v.Groups {
			for _, r := range x.Rates {
				for _, c := range r.Calls {
					if !yield(cells(c)) {
						return
					}
				}
			}
		}
	})
	g.begin("Each call")
	for _, x := range v.Groups {
		g.repeat = g.head
		g.need(24) // a name is not alone at the end of a page
		g.y += 2.5
		g.font("B", 9, ink)
		g.paragraph(x.Name)
		g.y += 0.5
		for i, r := range x.Rates {
			if i > 0 {
				g.need(14)
				g.y += 1.5
			}
			g.font("", g.points, soft)
			g.paragraph(r.Steps)
			g.rule(margin, innerWidth, 0.1, pale)
			g.repeat = func() {
				g.head()
				g.font("B", g.points, soft)
				g.paragraph(x.Name + ", continued")
				g.rule(margin, innerWidth, 0.1, pale)
			}
			for _, c := range r.Calls {
				g.row("", c.Note, cells(c)...)
			}
		}
	}
}

func (p *paper) attempts(v view) {
	if len(v.Attempts) == 0 {
		return
	}
	g := &grid{paper: p, heads: []string{"Started", "Number", "Destination", "What came of it"}, left: 4, grow: 2}
	g.fit(func(yield func([]string) bool) {
		for _, a := range v.Attempts {
			if !yield([]string{a.At.Text, a.Number, a.Destination, a.What}) {
				return
			}
		}
	})
	g.begin("Calls that nobody answered, free of charge")
	for _, a := range v.Attempts {
		g.row("", "", a.At.Text, a.Number, a.Destination, a.What)
	}
}

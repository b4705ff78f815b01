package tariff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is the times of the week at which a row counts, by the clock on the wall in the deck's zone. It is written as
// parts divided by semicolons, each of them days and then hours:
//
//	mon-fri 08:00-18:00; sat 09:00-12:00 14:00-16:00
//
// A part without hours is the whole days, one without days is every day. Hours are up to and not including their end;
// those that end no later than they begin end on the next day, and belong to the day on which they begin. A holiday is
// the kind of day that the deck's list of holidays says. The empty Window is all the time that the other windows of the
// prefix leave.
//
// A Window is canonical: ParseWindow made it, and the same text gives the same one.
type Window string

// kind is a kind of day: mon to sun, or a holiday that is none of them.
type kind uint8

const (
	sunday   kind = 6
	holiday  kind = 7
	allKinds      = 1<<8 - 1
)

var kindNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun", "hol"}

const (
	dayMinutes = 24 * 60
	// A window longer than this is a slip, and what is stored must not grow without limit.
	maxSpans  = 24
	maxWindow = 400 // bytes
)

// span is hours of some kinds of day, in minutes after midnight. One that ends before it begins, or at the same
// minute, ends on the next day.
type span struct {
	days     uint8 // a bit for each kind
	from, to int16
}

// ParseWindow reads a window as people write it, in small or capital letters, days with spaces or commas between them.
func ParseWindow(s string) (Window, error) {
	spans, err := parseSpans(s)
	if err != nil {
		return "", fmt.Errorf("%q: %w", clip(s), err)
	}
	return spans.window(), nil
}

// Contains tells whether the window, which is canonical, takes in an instant by the clock of a zone (nil: UTC) where no
// day is a holiday. The empty one takes in all. It allocates nothing: routes are planned with it.
func (w Window) Contains(at time.Time, zone *time.Location) bool {
	if w == "" {
		return true
	}
	m := newCalendar(zone, nil).moment(at)
	for part := range strings.SplitSeq(string(w), "; ") {
		s, hours := span{allKinds, 0, dayMinutes}, false
		for word := range strings.SplitSeq(part, " ") {
			if days, ok := parseDays(word); ok {
				if s.days == allKinds {
					s.days = 0
				}
				s.days |= days
				continue
			}
			hours = true
			s.from, s.to, _ = parseHours(word)
			if s.contains(m) {
				return true
			}
		}
		if !hours && s.contains(m) {
			return true
		}
	}
	return false
}

var (
	errWindow     = errors.New("want days and hours such as mon-fri 08:00-18:00; sat")
	errLongWindow = fmt.Errorf("more than %d times", maxSpans)
	errNoHours    = errors.New("hours from a minute to itself: want none at all for the whole day")
)

// spans is a window taken apart.
type spans []span

func parseSpans(s string) (spans, error) {
	if len(s) > maxWindow {
		return nil, errLongWindow
	}
	var all spans
	for part := range strings.SplitSeq(s, ";") {
		found, err := parsePart(strings.FieldsFunc(part, func(r rune) bool { return r == ' ' || r == ',' }))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) > maxSpans || len(all.window()) > maxWindow {
		return nil, errLongWindow
	}
	return all, nil
}

// parsePart reads the words of one part: days, then hours.
func parsePart(words []string) (spans, error) {
	if len(words) == 0 {
		return nil, errWindow
	}
	days, hours := uint8(0), 0
	for hours < len(words) {
		found, ok := parseDays(words[hours])
		if !ok {
			break
		}
		days |= found
		hours++
	}
	if days == 0 {
		days = allKinds
	}
	if hours == len(words) {
		return spans{{days, 0, dayMinutes}}, nil
	}
	var part spans
	for _, word := range words[hours:] {
		from, to, err := parseHours(word)
		if err != nil {
			return nil, err
		}
		part = append(part, span{days, from, to})
	}
	return part, nil
}

// parseDays reads a day such as mon or hol, or days of the week one after the other such as fri-mon.
func parseDays(word string) (days uint8, ok bool) {
	first, last, several := strings.Cut(strings.ToLower(word), "-")
	from := slices.Index(kindNames, first)
	if !several {
		return 1 << max(from, 0), from >= 0
	}
	to := slices.Index(kindNames, last)
	if from < 0 || to < 0 || from == int(holiday) || to == int(holiday) {
		return 0, false
	}
	for day := from; ; day = (day + 1) % 7 {
		days |= 1 << day
		if day == to {
			return days, true
		}
	}
}

// parseHours reads HH:MM-HH:MM, the second up to 24:00.
func parseHours(word string) (from, to int16, err error) {
	first, last, _ := strings.Cut(word, "-")
	from, ok := parseMinute(first)
	to, ok2 := parseMinute(last)
	switch {
	case !ok || !ok2 || from == dayMinutes:
		return 0, 0, errWindow
	case from == to:
		return 0, 0, errNoHours
	case to == 0:
		to = dayMinutes
	}
	return from, to, nil
}

func parseMinute(s string) (minute int16, ok bool) {
	if len(s) != len("00:00") || s[2] != ':' {
		return 0, false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	hours, minutes := int16(s[0]-'0')*10+int16(s[1]-'0'), int16(s[3]-'0')*10+int16(s[4]-'0')
	minute = hours*60 + minutes
	return minute, minutes < 60 && minute <= dayMinutes
}

// window writes the spans in one way. Hours of the same days stand together when they followed each other.
func (all spans) window() Window {
	var b strings.Builder
	for i, s := range all {
		whole := s.from == 0 && s.to == dayMinutes
		switch {
		case i > 0 && all[i-1].days == s.days && !whole && !(all[i-1].from == 0 && all[i-1].to == dayMinutes):
			b.WriteByte(' ')
		default:
			if i > 0 {
				b.WriteString("; ")
			}
			days := dayWords(s.days)
			b.WriteString(days)
			if whole && days != "" {
				continue
			}
			if days != "" {
				b.WriteByte(' ')
			}
		}
		fmt.Fprintf(&b, "%02d:%02d-%02d:%02d", s.from/60, s.from%60, s.to/60, s.to%60)
	}
	return Window(b.String())
}

// dayWords writes kinds of day; nothing for all of them.
func dayWords(days uint8) string {
	if days == allKinds {
		return ""
	}
	var words []string
	for first := kind(0); first <= sunday; first++ {
		last := first
		for last < sunday && days&(1<<first) != 0 && days&(1<<(last+1)) != 0 {
			last++
		}
		switch {
		case days&(1<<first) == 0:
		case first == last:
			words = append(words, kindNames[first])
		default:
			words = append(words, kindNames[first]+"-"+kindNames[last])
			first = last
		}
	}
	if days&(1<<holiday) != 0 {
		words = append(words, kindNames[holiday])
	}
	return strings.Join(words, " ")
}

// moment is an instant as windows see it.
type moment struct {
	yesterday, today kind
	minute           int16 // after midnight
}

func (all spans) contain(m moment) bool {
	for _, s := range all {
		if s.contains(m) {
			return true
		}
	}
	return false
}

func (s span) contains(m moment) bool {
	today, yesterday := s.days&(1<<m.today) != 0, s.days&(1<<m.yesterday) != 0
	if s.from < s.to {
		return today && s.from <= m.minute && m.minute < s.to
	}
	return today && s.from <= m.minute || yesterday && m.minute < s.to
}

// overlap gives a moment that both windows contain. It can only begin at midnight or where one of them begins.
func (all spans) overlap(other spans, sequences []moment) (moment, bool) {
	starts := []int16{0}
	for _, s := range slices.Concat(all, other) {
		starts = append(starts, s.from)
	}
	for _, m := range sequences {
		for _, m.minute = range starts {
			if all.contain(m) && other.contain(m) {
				return m, true
			}
		}
	}
	return moment{}, false
}

func (m moment) String() string {
	return fmt.Sprintf("%s %02d:%02d", kindNames[m.today], m.minute/60, m.minute%60)
}

// calendar tells what kind of day it is where a deck is at home.
type calendar struct {
	zone     *time.Location
	holidays map[int]kind // by days since 1970
}

func newCalendar(zone *time.Location, holidays []Holiday) calendar {
	c := calendar{zone: zone}
	if c.zone == nil {
		c.zone = time.UTC
	}
	for _, h := range holidays {
		if day, err := time.Parse(time.DateOnly, h.Date); err == nil { // ParseHolidays lets nothing else through
			if c.holidays == nil {
				c.holidays = make(map[int]kind, len(holidays))
			}
			c.holidays[dayNumber(day)] = h.kind()
		}
	}
	return c
}

// dayNumber counts the days from 1970 to the date of t.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

func (c calendar) moment(at time.Time) moment {
	local := at.In(c.zone)
	day := dayNumber(local)
	return moment{c.kind(day - 1), c.kind(day), int16(local.Hour()*60 + local.Minute())}
}

func (c calendar) kind(day int) kind {
	if k, ok := c.holidays[day]; ok {
		return k
	}
	return kind((day + 3) % 7) // 1970 began on a Thursday; no call was made before
}

// sequences gives each pair of days that follow one another, at midnight.
func (c calendar) sequences() []moment {
	var all []moment
	add := func(day int) {
		if m := (moment{yesterday: c.kind(day - 1), today: c.kind(day)}); !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	for day := range c.holidays {
		add(day)
		add(day + 1)
	}
	for day := range kind(7) {
		if m := (moment{yesterday: (day + 6) % 7, today: day}); !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

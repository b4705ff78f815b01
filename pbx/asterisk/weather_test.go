package asterisk

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// weather is what befalls the network between the engine and Asterisk, and Asterisk itself. Each thing depends on the
// seed and on what is asked, not on who is first.
type weather struct {
	seed  uint64
	s     *scripted
	until time.Time // it is fine from then on

	mu       sync.Mutex
	asked    map[string]int       // times, by question
	denied   map[string]time.Time // when a channel that is there was last denied
	rough    time.Time            // until then every second question fails
	troubles []trouble
	away     bool // nobody is let in
}

// trouble is a time in which the engine can't be expected to know something.
type trouble struct {
	from, to time.Time
	story    *story // nil: of all calls
}

const (
	fineAtFirst = 10 * time.Second // the engine gets to know Asterisk's clock
	roughFor    = 4 * time.Minute
)

func newWeather(seed uint64, s *scripted) *weather {
	w := &weather{seed: seed, s: s, until: time.Now().Add(roughFor), asked: map[string]int{}, denied: map[string]time.Time{}}
	s.let = w.let
	s.back = func(lost time.Time) { w.troubled(lost, time.Now(), nil) }
	s.noise = func(r *rand.Rand) bool { return time.Now().Before(w.until) && chance(r, 10) }
	r := rand.New(rand.NewPCG(seed, 2))
	for range 3 + r.IntN(8) {
		at, kind, lasts := between(r, 3*fineAtFirst, roughFor-30*time.Second), r.IntN(12), between(r, time.Second/2, 30*time.Second)
		time.AfterFunc(at, func() { w.befalls(kind, lasts) })
	}
	return w
}

func (w *weather) troubled(from, to time.Time, st *story) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = append(w.troubles, trouble{from, to, st})
}

// befalls lets one thing happen.
func (w *weather) befalls(kind int, lasts time.Duration) {
	w.troubled(time.Now(), time.Now().Add(lasts), nil)
	switch kind {
	case 0, 1, 2: // what is told comes late
		w.s.stall(lasts)
	case 3, 4: // late, and then it is lost
		w.s.stall(lasts)
		time.AfterFunc(lasts*9/10, func() { w.cut(lasts/2, false) })
	case 5: // nothing comes any more, and nobody says so
		w.s.silence(lasts)
	case 6: // Asterisk is started anew
		w.s.crashes(lasts)
	case 7: // nobody gets through
		w.s.wire.dead.Store(true)
		w.cut(lasts, false)
		time.AfterFunc(lasts, func() { w.s.wire.dead.Store(false) })
	case 8: // questions fail
		w.mu.Lock()
		w.rough = time.Now().Add(lasts)
		w.mu.Unlock()
	default:
		w.cut(lasts*time.Duration(kind-8)/3, kind == 10)
	}
}

// cut breaks the connection of events, and lets nobody make another for a while. Questions are answered.
func (w *weather) cut(away time.Duration, inTheMiddle bool) {
	w.mu.Lock()
	w.away = true
	w.mu.Unlock()
	w.s.lose(inTheMiddle)
	time.AfterFunc(away, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.away = false
	})
}

// let is asked before a request is answered; what it deals with itself is not.
func (w *weather) let(rw http.ResponseWriter, r *request) bool {
	key, p := w.nameOf(r)
	w.mu.Lock()
	w.asked[key]++
	rnd := rand.New(rand.NewPCG(w.seed, hash(key)+uint64(w.asked[key])))
	away, rough := w.away, time.Now().Before(w.rough)
	w.mu.Unlock()
	if r.URL.Path == "/ari/events" {
		if !away {
			return true
		}
		time.Sleep(between(rnd, 0, 2*time.Second))
		http.Error(rw, "<html>no such page</html>", []int{404, 500, 503}[rnd.IntN(3)])
		return false
	}
	if !time.Now().Before(w.until) || time.Until(w.until) > roughFor-fineAtFirst {
		return true
	}
	question := r.Method == http.MethodGet || r.Method == http.MethodPut || strings.HasPrefix(r.URL.Path, "/ari/events/user")
	percent := 2
	switch {
	case rough && question:
		percent = 50
	case rough:
		percent = 5
	case !question:
		percent = 1
	}
	if !chance(rnd, percent) {
		return true
	}
	var st *story
	if p != nil {
		st = p.story
	}
	began := time.Now()
	defer func() { w.troubled(began, time.Now(), st) }()
	if question {
		return w.failing(rw, r, rnd, p)
	}
	return w.refusing(rw, r, rnd)
}

// failing answers a question with nonsense, or not, or late.
func (w *weather) failing(rw http.ResponseWriter, r *request, rnd *rand.Rand, p *party) bool {
	switch rnd.IntN(7) {
	case 0:
		reply(rw, http.StatusInternalServerError, jsonObject{"message": "no"})
	case 1:
		fmt.Fprint(rw, "<html><body>a proxy speaks</body></html>")
	case 2:
		fmt.Fprint(rw, `{"id":"1","state":"U`)
	case 3:
		if strings.HasSuffix(r.URL.Path, "s") {
			fmt.Fprint(rw, `[]`)
		} else {
			fmt.Fprint(rw, `{}`)
		}
	case 4:
		time.Sleep(2 * answerTime)
		panic(http.ErrAbortHandler)
	case 5:
		time.Sleep(between(rnd, 0, answerTime-time.Second))
		return true
	case 6:
		w.mu.Lock()
		defer w.mu.Unlock()
		if p == nil || time.Since(w.denied[p.id]) < time.Minute {
			return true
		}
		w.denied[p.id] = time.Now()
		notFound(rw, "Channel")
	}
	return false
}

// refusing does not do what is asked for, or does it and does not say so.
func (w *weather) refusing(rw http.ResponseWriter, r *request, rnd *rand.Rand) bool {
	switch rnd.IntN(5) {
	case 0:
		reply(rw, http.StatusInternalServerError, jsonObject{"message": "no"})
	case 1:
		http.Error(rw, "<html>bad gateway</html>", http.StatusBadGateway)
	case 2:
		time.Sleep(2 * answerTime)
		panic(http.ErrAbortHandler)
	case 3:
		time.Sleep(between(rnd, 0, answerTime-time.Second))
		return true
	case 4:
		w.s.answer(nowhere{}, r)
		panic(http.ErrAbortHandler)
	}
	return false
}

// nowhere is where answers go that are lost.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// nameOf names a question by what does not change from run to run, and gives the party that it is about.
func (w *weather) nameOf(r *request) (key string, about *party) {
	path := strings.Split(r.URL.Path, "/")
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for i, part := range path {
		if p := w.s.parties[part]; p != nil {
			about = p
			path[i] = "in"
			if p.out {
				path[i] = fmt.Sprint("out", len(p.story.attempts))
			}
			path[i] += fmt.Sprint(p.story.n)
		} else if len(part) >= len(uuid.Nil.String()) {
			path[i] = "one"
		}
	}
	return r.Method + strings.Join(path, "/"), about
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// unanswered tells whether a question about a call failed between two instants.
func (w *weather) unanswered(from, to time.Time, st *story) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.troubles, func(t trouble) bool { return t.story == st && !t.to.Before(from) && !t.from.After(to) })
}

// calm is the longest time between two instants in which nothing kept the engine from knowing what became of a call.
func (w *weather) calm(from, to time.Time, st *story) (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := from; at.Before(to); {
		next, covered := to, false
		for _, t := range w.troubles {
			if t.story != nil && t.story != st {
				continue
			}
			if !t.from.After(at) && t.to.After(at) {
				at, covered = t.to, true
				break
			}
			if t.from.After(at) && t.from.Before(next) {
				next = t.from
			}
		}
		if covered {
			continue
		}
		longest = max(longest, next.Sub(at))
		at = next
		if at.Before(to) {
			at = at.Add(1)
		}
	}
	return longest
}

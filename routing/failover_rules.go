package routing

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Failover is a trunk's own rows of the failover table, as text: rows with semicolons between, each of them what came
// and what follows, and if it should be otherwise than usual whether the failure counts against the trunk.
//
//	503=stop; q34=next,count; timeout=stop; 4xx=next,no-count
//
// What came is a final SIP status from 300 to 699 or a class of them, a Q.850 cause from the Reason header or as mapped
// from the status (q1 to q127), timeout (not answered in time) or network (no answer at all). A cause goes before a
// status, and that before its class. There is no row for what comes after an answer: then nobody else is tried.
type Failover string

// ownRule is a row of a trunk's own.
type ownRule struct {
	key     string // as written
	verdict Verdict
	counts  *bool // nil: as usual
}

const (
	maxFailover = 1000 // bytes
	onTimeout   = "timeout"
	onNetwork   = "network"
)

var errFailover = errors.New("rows such as 503=next,count; q34=stop; timeout=next,no-count")

// ParseFailover reads rows as people write them and gives them in one way of writing. Two rows for one thing are refused.
func ParseFailover(s string) (Failover, error) {
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	if len(s) > maxFailover {
		return "", fmt.Errorf("at most %d bytes", maxFailover)
	}
	var rows []string
	seen := map[string]bool{}
	for row := range strings.SplitSeq(strings.TrimSuffix(strings.ToLower(s), ";"), ";") {
		r, err := parseRule(strings.ReplaceAll(row, " ", ""))
		if err != nil {
			return "", err
		}
		if seen[r.key] {
			return "", fmt.Errorf("one row for %s", r.key)
		}
		seen[r.key] = true
		rows = append(rows, r.String())
	}
	return Failover(strings.Join(rows, "; ")), nil
}

func parseRule(row string) (ownRule, error) {
	key, then, ok := strings.Cut(row, "=")
	verdict, count, counted := strings.Cut(then, ",")
	r := ownRule{key: key, verdict: Verdict(verdict)}
	switch {
	case !ok || r.verdict != Next && r.verdict != Stop:
		return r, fmt.Errorf("%w, not %.40q", errFailover, row)
	case !validKey(key):
		return r, fmt.Errorf("a status from 300 to 699, a class such as 5xx, a cause such as q34, timeout or network, not %.40q", key)
	case counted && count != "count" && count != "no-count":
		return r, fmt.Errorf("count or no-count, not %.40q", count)
	}
	if counted {
		counts := count == "count"
		r.counts = &counts
	}
	return r, nil
}

// validKey tells whether a row can be about it. 401 and 407 may come when credentials were refused; 2xx never failed.
func validKey(key string) bool {
	if key == onTimeout || key == onNetwork {
		return true
	}
	if class, ok := strings.CutSuffix(key, "xx"); ok {
		return class == "3" || class == "4" || class == "5" || class == "6"
	}
	if cause, ok := strings.CutPrefix(key, "q"); ok {
		n, err := strconv.Atoi(cause)
		return err == nil && n >= 1 && n <= 127 && strconv.Itoa(n) == cause
	}
	n, err := strconv.Atoi(key)
	return err == nil && n >= 300 && n <= 699 && strconv.Itoa(n) == key
}

func (r ownRule) String() string {
	switch {
	case r.counts == nil:
		return fmt.Sprintf("%s=%s", r.key, r.verdict)
	case *r.counts:
		return fmt.Sprintf("%s=%s,count", r.key, r.verdict)
	}
	return fmt.Sprintf("%s=%s,no-count", r.key, r.verdict)
}

// find gives the row for a failure, if there is one.
func (rules Failover) find(f Failure) (ownRule, bool) {
	if rules == "" || f.SIP/100 == 2 { // after an answer
		return ownRule{}, false
	}
	for _, key := range f.keys() {
		for row := range strings.SplitSeq(string(rules), "; ") {
			if r, err := parseRule(row); err == nil && r.key == key {
				return r, true
			}
		}
	}
	return ownRule{}, false
}

// keys are what rows may say of a failure, the most telling first.
func (f Failure) keys() []string {
	switch {
	case f.Network:
		return []string{onNetwork}
	case f.Timeout:
		return []string{onTimeout}
	}
	return []string{"q" + strconv.Itoa(f.Q850), strconv.Itoa(f.SIP), strconv.Itoa(f.SIP/100) + "xx"}
}

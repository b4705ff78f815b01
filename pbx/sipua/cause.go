package sipua

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"telecommune/pbx"
)

// q850 maps a final SIP status to a Q.850 cause as RFC 3398 section 8.2.6.1 does. What it leaves open (488 and 606, to be
// told from a Warning) is an incompatible destination; an unknown status counts as the x00 of its class.
func q850(status int) int {
	switch status {
	case 400, 481, 500, 503:
		return 41
	case 401, 402, 403, 407, 603:
		return 21
	case 404, 485, 604:
		return 1
	case 405:
		return 63
	case 406, 415, 501:
		return 79
	case 408, 504:
		return 102
	case 410:
		return 22
	case 413, 414, 416, 420, 421, 423, 505, 513:
		return 127
	case 480:
		return 18
	case 482, 483:
		return 25
	case 484:
		return 28
	case 486, 600:
		return 17
	case 488, 606:
		return 88
	case 502:
		return 38
	}
	switch status / 100 {
	case 3:
		return 23
	case 4, 5:
		return 41
	case 6:
		return 21
	}
	return 0
}

// reasonOf gives the Q.850 cause of a Reason header (RFC 3326), or else.
func reasonOf(msg interface{ GetHeaders(string) []sip.Header }, otherwise int) int {
	for _, h := range msg.GetHeaders("Reason") {
		for _, value := range strings.Split(h.Value(), ",") {
			protocol, params, _ := strings.Cut(value, ";")
			if !strings.EqualFold(strings.TrimSpace(protocol), "Q.850") {
				continue
			}
			for _, p := range strings.Split(params, ";") {
				key, number, _ := strings.Cut(p, "=")
				cause, err := strconv.Atoi(strings.TrimSpace(number))
				if strings.EqualFold(strings.TrimSpace(key), "cause") && err == nil && cause > 0 && cause < 128 {
					return cause
				}
			}
		}
	}
	return otherwise
}

func reasonHeader(q850 int) sip.Header {
	return sip.NewHeader("Reason", fmt.Sprintf("Q.850;cause=%d", q850))
}

// phrases of the statuses that the engine answers with (RFC 3261 section 21).
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 415: "Unsupported Media Type", 420: "Bad Extension", 422: "Session Interval Too Small",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
	500: "Server Internal Error", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}

func phrase(status int) string {
	if p, ok := phrases[status]; ok {
		return p
	}
	return "Failure"
}

// normal is how a leg ends that was answered and then hung up.
var normal = pbx.Cause{SIP: 200, Q850: 16}

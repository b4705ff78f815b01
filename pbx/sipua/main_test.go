package sipua

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

// TestMain makes SIP's timers a tenth of theirs, so that what waits for 64*T1 ends within 3.2 s, and looks for goroutines
// that outlive their engine.
func TestMain(m *testing.M) {
	sip.SetTimers(50*time.Millisecond, 400*time.Millisecond, 500*time.Millisecond)
	goleak.VerifyTestMain(m)
}

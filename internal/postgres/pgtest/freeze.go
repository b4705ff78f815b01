package pgtest

import (
	"sync"
	"syscall"
	"testing"

	"github.com/jmoiron/sqlx"
)

// Freeze stops the server's processes behind the connections that a database of New or NewServer has, as if their disk
// hung: what is sent to them is taken and not answered. Thaw lets them go on, at the latest at the end of the test. New
// connections work all the while; limit the pool if they should not be made.
func Freeze(t testing.TB, db *sqlx.DB) (thaw func()) {
	t.Helper()
	admin := login(t, config(t, db))
	var pids []int
	err := admin.Select(&pids, `
		SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
	if err != nil || len(pids) == 0 {
		t.Fatalf("pgtest: freeze processes %v: %v", pids, err)
	}
	send := func(signal syscall.Signal) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, signal); err != nil {
				t.Errorf("pgtest: %v to process %d: %v", signal, pid, err)
			}
		}
	}
	thaw = sync.OnceFunc(func() { send(syscall.SIGCONT) })
	t.Cleanup(thaw)
	send(syscall.SIGSTOP)
	return thaw
}

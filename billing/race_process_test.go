package billing_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/google/uuid"

	"telecommune/billing"
	"telecommune/internal/money"
	"telecommune/internal/postgres"
	"telecommune/internal/postgres/pgtest"
)

// racerDSN in the environment makes the test binary a program that races on that database.
const racerDSN = "TELECOMMUNE_TEST_RACER"

// runAsRacer answers each account named on its input by racing on it: it says that it is ready, waits for a further line,
// and then tells how many of its calls were admitted.
func runAsRacer(dsn string) error {
	ctx := context.Background()
	db, err := postgres.Open(ctx, postgres.Options{DSN: dsn})
	if err != nil {
		return err
	}
	defer db.Close()
	s := billing.New(db.DB, billing.Options{Node: uuid.NewString(), Boot: uuid.New(), Log: slog.New(slog.DiscardHandler)})
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		requests := make([]billing.Request, racers()/2)
		for i := range requests {
			requests[i] = request(in.Text(), 60)
		}
		if err := warmUp(ctx, db.DB, len(requests)); err != nil {
			return err
		}
		fmt.Println("ready")
		in.Scan()
		admitted, refused := race(ctx, requests, s.Authorise)
		for _, err := range refused {
			if !errors.Is(err, billing.ErrTooManyCalls) && !errors.Is(err, billing.ErrSpendLimit) {
				return err
			}
		}
		fmt.Println(admitted)
	}
	return in.Err()
}

// racer is such a program.
type racer struct {
	to   io.Writer
	from *bufio.Reader
}

func startRacer(t *testing.T, dsn string) racer {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), racerDSN+"="+dsn), os.Stderr
	to, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		to.Close()
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
	return racer{to, bufio.NewReader(from)}
}

func (r racer) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(r.to, line); err != nil {
		t.Fatal(err)
	}
}

func (r racer) hear(t *testing.T, to any) {
	t.Helper()
	if _, err := fmt.Fscanln(r.from, to); err != nil {
		t.Fatal(err)
	}
}

// Two processes, with nothing in common but the database.
func TestProcessesDontPassALimitTogether(t *testing.T) {
	h := newHouse(t)
	dsn := pgtest.DSN(t, h.db)
	programs := []racer{startRacer(t, dsn), startRacer(t, dsn)}
	for round := range 20 {
		code := fmt.Sprintf("process-%d", round)
		h.limited(t, code, money.Unit, bounds[1+round%3].limits)
		var ready string
		for _, p := range programs {
			p.tell(t, code)
			p.hear(t, &ready)
		}
		for _, p := range programs {
			p.tell(t, "go")
		}
		admitted := 0
		for _, p := range programs {
			var n int
			p.hear(t, &n)
			admitted += n
		}
		if admitted != 1 {
			t.Errorf("round %d: %d calls admitted where there is room for one", round, admitted)
		}
	}
	h.wantBooks(t)
}

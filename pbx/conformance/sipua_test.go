package conformance_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"telecommune/internal/postgres/pgtest"
	"telecommune/pbx/conformance"
	"telecommune/pbx/sipua"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		println("left behind:", err.Error())
		code = 1
	}
	os.Exit(code)
}

// builtIn starts the built-in engine.
func builtIn(t *testing.T, c conformance.Config) conformance.Engine {
	t.Helper()
	e, err := sipua.New(sipua.Config{
		Listen: "127.0.0.1:0", Admission: c.Admission, Trunks: c.Trunks, MediaTimeout: c.MediaTimeout, Log: c.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBuiltInEngine(t *testing.T) { conformance.Run(t, conformance.Start{New: builtIn}) }

func TestLoad(t *testing.T) { conformance.Load(t, conformance.Start{New: builtIn}) }

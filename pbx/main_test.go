package pbx_test

import (
	"os"
	"testing"

	"telecommune/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

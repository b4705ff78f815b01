// Package deps holds the test that imports run one way (docs/architecture.md).
package deps

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A rule says what a package, named by a pattern of path.Match below the module, must not import directly.
var rules = []struct{ of, not, why string }{
	{"*", "cmd/telecommune", "nothing imports the program"},
	{"pbx*", "web", "pages look at calls, calls don't look at pages"},
	{"billing*", "pbx*", "billing knows nothing of calls in progress"},
	{"billing*", "routing", "billing does not choose trunks"},
	{"billing*", "web", "money has no pages"},
	{"billing*", "net/http", "money has no web"},
	{"billing/ledger", "billing", "the books are below those who post"},
	{"billing/ledger", "billing/tariff", "the books know no prices"},
	{"billing/commune", "billing", "what is owned together is below the callers' accounts"},
	{"billing/commune", "billing/tariff", "the commune knows no prices of calls"},
	{"billing/ledger", "billing/commune", "the books are below those who post"},
	{"billing/tariff", "billing", "a price needs no account"},
	{"billing/tariff", "billing/ledger", "a price needs no books"},
	{"routing", "pbx*", "routing knows nothing of calls in progress"},
	{"routing", "billing", "routing uses rate decks, nothing else of billing"},
	{"routing", "billing/ledger", "routing uses rate decks, nothing else of billing"},
	{"routing", "net/http", "a plan takes no I/O"},
	{"pbx", "pbx/sipua", "the script is above the engines"},
	{"pbx", "pbx/asterisk", "the script is above the engines"},
	{"pbx/sipua", "pbx/asterisk", "the engines know nothing of each other"},
	{"pbx/asterisk", "pbx/sipua", "the engines know nothing of each other"},
	{"pbx", "pbx/simcarrier", "simulated peers are for the demo and tests"},
	{"web", "pbx/sipua", "pages are above the engines"},
	{"web", "pbx/asterisk", "pages are above the engines"},
	{"internal*", "billing*", "plumbing has no business rules"},
	{"internal*", "pbx*", "plumbing has no business rules"},
	{"internal*", "routing", "plumbing has no business rules"},
}

// libraries lists who may import what comes from outside and should stay in one place.
var libraries = []struct {
	prefix string
	only   []string
}{
	{"github.com/emiago/sipgo", []string{"pbx/sipua", "pbx/simcarrier"}},
	{"github.com/emiago/diago", []string{"pbx/sipua", "pbx/simcarrier"}},
	{"github.com/CyCoreSystems/ari", []string{"pbx/asterisk"}},
	{"github.com/coder/websocket", []string{"pbx/asterisk"}},
	{"github.com/pion/", []string{"pbx/sipua", "pbx/simcarrier"}},
	{"github.com/spf13/cobra", []string{"cmd/telecommune"}},
	{"github.com/xuri/excelize", nil}, // tests write spreadsheets with it; it takes what is cut short for the end
}

// sqlFiles are the files that may speak with the database, by patterns of path.Match: what owns a table keeps its SQL in
// files of that name. cmd puts the parts together; conformance is a suite of tests, though its files are not named so.
var sqlFiles = []string{
	"*/store*.go", "*/*/store*.go", "billing/ledger/*.go", "internal/postgres/*.go", "internal/postgres/*/*.go",
	"cmd/telecommune/*.go", "pbx/conformance/*.go", "*_test.go", "*/*_test.go", "*/*/*_test.go",
}

var sqlLibraries = []string{"github.com/jmoiron/sqlx", "github.com/lib/pq"}

func TestSQLStaysInTheStores(t *testing.T) {
	const root = "../.."
	seen := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return nil //nolint:nilerr // what does not compile fails its own build, not this test
		}
		name, err = filepath.Rel(root, name)
		for _, imported := range file.Imports {
			library := strings.Trim(imported.Path.Value, `"`)
			if !slices.ContainsFunc(sqlLibraries, func(l string) bool { return library == l || strings.HasPrefix(library, l+"/") }) {
				continue
			}
			seen++
			if !mayUseSQL(name) {
				t.Errorf("%s imports %s: only stores do", name, library)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d imports seen: the test looks at nothing", seen)
	}
}

func mayUseSQL(file string) bool {
	return slices.ContainsFunc(sqlFiles, func(pattern string) bool {
		ok, err := path.Match(pattern, file)
		return err == nil && ok
	})
}

func TestImportsRunOneWay(t *testing.T) {
	// -e: a package that does not compile fails its own build, not this test.
	out, err := exec.Command("go", "list", "-e", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "telecommune/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := below(fields[0])
		for _, imported := range fields[1:] {
			seen++
			for _, r := range rules {
				if matches(r.of, pkg) && matches(r.not, below(imported)) {
					t.Errorf("%s imports %s: %s", pkg, below(imported), r.why)
				}
			}
			for _, l := range libraries {
				if strings.HasPrefix(imported, l.prefix) &&
					!slices.ContainsFunc(l.only, func(p string) bool { return matches(p, pkg) }) {
					t.Errorf("%s imports %s, which belongs to %v", pkg, imported, l.only)
				}
			}
		}
	}
	if seen < 20 {
		t.Fatalf("only %d imports seen: the test looks at nothing", seen)
	}
}

func TestRulesCanFail(t *testing.T) {
	for file, may := range map[string]bool{
		"routing/store.go": true, "billing/store_call.go": true, "billing/statement/store.go": true, "web/web_test.go": true,
		"web/web.go": false, "billing/charge.go": false, "billing/replay/replay.go": false, "pbx/sipua/leg.go": false,
	} {
		if mayUseSQL(file) != may {
			t.Errorf("%s may use SQL: want %v", file, may)
		}
	}
	if !matches("billing*", "billing/ledger") || !matches("billing*", "billing") || matches("billing", "billing/ledger") {
		t.Error("patterns match the wrong packages")
	}
}

// matches is path.Match, but a trailing * also stands for folders below.
func matches(pattern, pkg string) bool {
	if dir, all := strings.CutSuffix(pattern, "*"); all {
		return pattern == "*" || pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}

func below(pkg string) string { return strings.TrimPrefix(pkg, "telecommune/") }

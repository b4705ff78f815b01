package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"telecommune/pbx/asterisk/asterisktest"
)

// TestBenchCalls makes a few calls each way, so that the command can't rot. What it measures is another matter.
func TestBenchCalls(t *testing.T) {
	real := program
	defer func() { program = real }()
	program = func(args ...string) (*exec.Cmd, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), commandLine+"="+strings.Join(args, " "))
		return cmd, nil
	}
	folder := "/dev/shm" // where databases are made fast
	if _, err := os.Stat(folder); err != nil {
		folder = os.TempDir()
	}
	r := tcWith(t, "", "bench", "calls", "--rate", "4", "--seconds", "1", "--rounds", "1", "--talk", "1", "--folder", folder,
		"--asterisk", asterisktest.Folder(t), "-o", "json")
	if r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	rows := decode[[]map[string]any](t, r.out)
	if len(rows) != 3 {
		t.Fatalf("%d ways, want bare, sip and asterisk: %s", len(rows), r.out)
	}
	for _, row := range rows {
		checkFields(t, "bench calls", row, "way rate calls clean clean_per_second controller_us switch_us database_us controller_to_switch "+
			"all_to_bare peers_us setup_p50_us setup_p99_us controller_mb switch_mb highest_clean_rate")
		if row["calls"] != json.Number("4") || row["clean"] != json.Number("4") {
			t.Errorf("%s: %v of %v calls are clean", row["way"], row["clean"], row["calls"])
		}
		for _, figure := range []struct {
			name string
			of   []string // ways that have it; others have 0
		}{
			{"controller_us", []string{engineSIP, engineAsterisk}},
			{"database_us", []string{engineSIP, engineAsterisk}},
			{"switch_us", []string{bareWay, engineAsterisk}},
		} {
			has := row[figure.name] != json.Number("0")
			if wanted := slices.Contains(figure.of, row["way"].(string)); wanted != has {
				t.Errorf("%s: %s is %v", row["way"], figure.name, row[figure.name])
			}
		}
	}
}

// Processor time of a process that has ended is its parent's, so none is lost.
func TestFamilyTime(t *testing.T) {
	before, err := familyTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	burn := exec.Command("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
	if err := burn.Run(); err != nil {
		t.Fatal(err)
	}
	after, err := familyTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after - before; used < burn.ProcessState.UserTime()/2 {
		t.Errorf("%s are seen of the %s that a child used", used, burn.ProcessState.UserTime())
	}
}

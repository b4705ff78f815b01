package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBillsAsFiles: each form goes to the output or to a file, and is the same when it is made again.
func TestBillsAsFiles(t *testing.T) {
	ok(t, "account", "add", "f-anna", "--name", "Anna")
	ok(t, "account", "topup", "f-anna", "10.00", "--text", "Refund of +380441234567")
	over := time.Now().UTC().AddDate(0, -1, -5).Format("2006-01")
	for format, begins := range map[string]string{
		"text": "Long-distance calls", "html": "<!DOCTYPE html>", "pdf": "%PDF-", "csv": "account,row,date", "json": "{\n",
	} {
		name := filepath.Join(t.TempDir(), "bill")
		said := ok(t, "statement", "f-anna", "--period", over, "-o", format)
		if !strings.HasPrefix(said, begins) {
			t.Errorf("%s: %.80q", format, said)
		}
		if more := ok(t, "statement", "f-anna", "--period", over, "-o", format, "--file", name); more != "" {
			t.Errorf("%s: output beside the file: %.80q", format, more)
		}
		if written, err := os.ReadFile(name); err != nil || string(written) != said {
			t.Errorf("%s: the file is not what was written before: %v", format, err)
		}
		if left, err := os.ReadDir(filepath.Dir(name)); err != nil || len(left) != 1 {
			t.Errorf("%s: left beside the file: %v, %v", format, left, err)
		}
		refused(t, exitFailed, []string{"/nonexistent"}, "statement", "f-anna", "-o", format, "--file", "/nonexistent/bill")
	}
	if said := ok(t, "statement", "f-anna", "--short-numbers"); !strings.Contains(said, "+380441234xxx") || strings.Contains(said, "4567") {
		t.Errorf("the number is not shortened: %s", said)
	}
}

func TestBooksAreExported(t *testing.T) {
	ok(t, "account", "add", "x-Anna_1")
	ok(t, "account", "topup", "x-Anna_1", "10.00", "--text", "till; \"4\"")
	for format, wants := range map[string][]string{
		"hledger":   {"account CALL:2100:x-Anna_1  ; type: Liability", `till\u003b "4"`, "CALL:2100:x-Anna_1  0.00 EUR = -10.00 EUR"},
		"beancount": {"open Liabilities:CALL:2100:X-x-DAnna-U1 EUR", `"till; \"4\""`, "balance Liabilities:CALL:2100:X-x-DAnna-U1  -10.000000 ~ 0 EUR"},
	} {
		said := ok(t, "books", "export", "--format", format, "--book", "CALL")
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q", format, want)
			}
		}
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress tells on the error stream how far long work has come: on a terminal in one line that changes, else in a line
// every few seconds. Work that is soon over leaves nothing there.
type progress struct {
	out      io.Writer
	terminal bool
	told     time.Time
	open     bool // the line on the terminal
}

const (
	terminalEvery = 500 * time.Millisecond
)

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, told: time.Now()}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// rows tells how many rows are done.
func (p *progress) rows(doing string, n int) {
	every := progressEvery
	if p.terminal {
		every = terminalEvery
	}
	if time.Since(p.told) < every {
		return
	}
	p.told = time.Now()
	if p.open = p.terminal; p.open {
		fmt.Fprintf(p.out, "\r%-8s %9d rows", doing, n)
		return
	}
	fmt.Fprintf(p.out, "%s %d rows\n", doing, n)
}

// end leaves the line on the terminal behind.
func (p *progress) end() {
	if p.open {
		fmt.Fprintln(p.out)
		p.open = false
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress is told what goes on: on a terminal in one line, which is written over; elsewhere now and then.
type progress struct {
	w        io.Writer
	terminal bool
	said     time.Time
}

// saidEvery is how long a run may go on without a word where every word is a line.
const saidEvery = 20 * time.Second

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w, ok && term.IsTerminal(int(f.Fd())), time.Now()}
}

// now says what begins.
func (p *progress) now(format string, a ...any) {
	switch {
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K"+format, a...)
	case time.Since(p.said) >= saidEvery:
		p.done(format, a...)
	}
}

// done says what has happened.
func (p *progress) done(format string, a ...any) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, format+"\n", a...)
	p.said = time.Now()
}

package lab

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress is told what goes on: on a terminal in one line, which is written
// over; elsewhere now and then.
type Progress struct {
	w        io.Writer
	terminal bool
	said     time.Time
}

// saidEvery is how long a run may go on without a word where every word is a line.
const saidEvery = 20 * time.Second

// NewProgress returns one that writes to w.
func NewProgress(w io.Writer) *Progress {
	f, ok := w.(*os.File)
	return &Progress{w, ok && term.IsTerminal(int(f.Fd())), time.Now()}
}

// Now says what begins.
func (p *Progress) Now(format string, a ...any) {
	switch {
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K"+format, a...)
	case time.Since(p.said) >= saidEvery:
		p.Done(format, a...)
	}
}

// Done says what has happened.
func (p *Progress) Done(format string, a ...any) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, format+"\n", a...)
	p.said = time.Now()
}

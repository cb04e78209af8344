package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/c1508ce4/sluice/internal/printable"
)

// console is standard error: lines that stay, and on a terminal one line at the bottom that is
// rewritten. It may be used concurrently.
type console struct {
	file     *os.File
	terminal bool
	verbose  bool

	mu    sync.Mutex
	drawn bool // the last line on the terminal is the status
}

func newConsole(f *os.File) *console {
	c := &console{file: f}
	c.terminal = isTerminal(f) && os.Getenv("TERM") != "dumb"
	return c
}

// isTerminal leaves alone what cannot be a terminal: Fd makes a file blocking.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && term.IsTerminal(int(f.Fd()))
}

// interval is how often the status is worth drawing.
func (c *console) interval() time.Duration {
	if c.terminal {
		return 200 * time.Millisecond
	}
	return 30 * time.Second
}

// printf writes lines that stay. What they quote from outside is made printable:
// an error may name a file, a server or a program. An error of writing is ignored.
func (c *console) printf(format string, args ...any) {
	lines := strings.Split(fmt.Sprintf(format, args...), "\n")
	for i := range lines {
		lines[i] = printable.Text(lines[i])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.file, "%s%s\n", c.erase(), strings.Join(lines, "\n"))
}

// writeJSON writes a value as a line of JSON, which is printable whatever it quotes.
func writeJSON(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = io.WriteString(w, printable.Text(string(line))+"\n")
	}
	return err
}

func (c *console) verbosef(format string, args ...any) {
	if c.verbose {
		c.printf(format, args...)
	}
}

// handler returns one that writes what is logged at the level or above.
func (c *console) handler(level slog.Level) slog.Handler {
	return slog.NewTextHandler(consoleWriter{c}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})
}

// consoleWriter makes each Write lines that stay.
type consoleWriter struct{ *console }

func (w consoleWriter) Write(p []byte) (int, error) {
	w.printf("sluice: %s", bytes.TrimRight(p, "\n"))
	return len(p), nil
}

// status draws s over the last status; off a terminal it is a line like any other.
func (c *console) status(s string) {
	if !c.terminal {
		c.printf("%s", s)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if width, _, err := term.GetSize(int(c.file.Fd())); err == nil && width > 1 {
		s = cut(s, width-1)
	}
	fmt.Fprint(c.file, c.erase()+s)
	c.drawn = true
}

// erase is what removes a status from the terminal.
func (c *console) erase() string {
	if !c.drawn {
		return ""
	}
	c.drawn = false
	return "\r\x1b[K"
}

// cut shortens s to width characters.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width]), " ")
}

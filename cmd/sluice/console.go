package main

import (
	"bytes"
	"context"
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
// rewritten. Elsewhere each line begins with the time and DEST, so that the lines of several
// programs in one log can be told apart. With --log-format json each is an object. A console may
// be used concurrently.
type console struct {
	file     *os.File
	terminal bool
	verbose  bool
	json     bool   // --log-format
	dest     string // DEST, "" while it is not known

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
	if c.terminal && !c.json {
		return 200 * time.Millisecond
	}
	return 30 * time.Second
}

// printf writes lines that stay, warnf those about trouble, errorf those about what ends a
// command, and verbosef those of -v.
func (c *console) printf(format string, args ...any) {
	c.print(slog.LevelInfo, fmt.Sprintf(format, args...))
}

func (c *console) warnf(format string, args ...any) {
	c.print(slog.LevelWarn, fmt.Sprintf(format, args...))
}

func (c *console) errorf(format string, args ...any) {
	c.print(slog.LevelError, fmt.Sprintf(format, args...))
}

func (c *console) verbosef(format string, args ...any) {
	if c.verbose {
		c.print(slog.LevelDebug, fmt.Sprintf(format, args...))
	}
}

// print writes text. The attributes are for JSON alone.
func (c *console) print(level slog.Level, text string, more ...slog.Attr) {
	if c.json {
		r := slog.NewRecord(time.Now(), level, strings.TrimPrefix(text, "sluice: "), 0)
		r.AddAttrs(more...)
		_ = c.jsonHandler(level).Handle(context.Background(), r) // of standard error
		return
	}
	begin := ""
	if !c.terminal && c.dest != "" {
		begin = time.Now().Format(time.RFC3339) + " " + shellQuote(c.dest) + " "
	}
	var lines strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		lines.WriteString(begin + printable.Text(line) + "\n")
	}
	c.write(lines.String())
}

// write writes whole lines, which must be printable: an error may name a file, a server or a
// program. An error of writing is ignored.
func (c *console) write(lines string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprint(c.file, c.erase()+lines)
}

// writeJSON writes a value as a line of JSON, which is printable whatever it quotes.
func writeJSON(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = io.WriteString(w, printable.Text(string(line))+"\n")
	}
	return err
}

// jsonHandler writes records as JSON, each with DEST.
func (c *console) jsonHandler(level slog.Level) slog.Handler {
	h := slog.NewJSONHandler(jsonWriter{c}, &slog.HandlerOptions{Level: level})
	if c.dest == "" {
		return h
	}
	return h.WithAttrs([]slog.Attr{slog.String("destination", c.dest)})
}

// jsonWriter makes each Write a line.
type jsonWriter struct{ *console }

func (w jsonWriter) Write(p []byte) (int, error) {
	w.write(printable.Text(strings.TrimSuffix(string(p), "\n")) + "\n")
	return len(p), nil
}

// handler returns one that writes what is logged at the level or above.
func (c *console) handler(level slog.Level) slog.Handler {
	if c.json {
		return c.jsonHandler(level)
	}
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

// status draws s over the last status; off a terminal it is a line like any other, and in JSON
// its fields are numbers too.
func (c *console) status(s string, fields ...slog.Attr) {
	if !c.terminal || c.json {
		c.print(slog.LevelInfo, s, fields...)
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

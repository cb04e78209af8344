package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// source is where the bytes come from: standard input, or a command's output. Its Read ends
// with io.EOF only if the bytes are whole, as far as can be known.
type source struct {
	stdin    *os.File
	command  *command // nil: standard input
	reader   io.Reader
	nonempty bool         // an end before the first byte is a failure
	total    int64        // bytes that are expected, 0 if unknown: those of a regular file may grow
	file     fs.FileInfo  // of a regular file on standard input, at the start
	count    atomic.Int64 // bytes that came
}

// errEmpty is the failure of --fail-if-empty.
var errEmpty = errors.New("the stream is empty (--fail-if-empty)")

// errCut is the failure of a source that was cut.
var errCut = errors.New("the source was cut before its end")

// checkStdin rejects a standard input from which no stream can be meant to come.
func checkStdin(f *os.File) error {
	switch {
	case isTerminal(f):
		return errors.New("standard input is a terminal; pipe something into it, or give a command after --")
	case closedAtStart(f):
		return errors.New("standard input is closed; pipe something into it, or give a command after --")
	}
	return nil
}

func newSource(c *config) *source {
	s := &source{stdin: c.sys.stdin, reader: c.sys.stdin, nonempty: c.failIfEmpty}
	if c.command != nil {
		var withheld []string
		// with an error CMD is not started
		if scheme, _, err := findScheme(c.sys.schemes, c.url); err == nil && !c.passKeys {
			withheld = scheme.secrets
		}
		s.command = newCommand(c.command, withheld, c.sys)
		s.command.okExits = c.okExits
		s.reader = s.command
		s.total = c.size
		return s
	}
	if s.total = c.size; s.total == 0 {
		s.total, s.file = remaining(c.sys.stdin)
	}
	return s
}

// remaining is how much of a regular file is left to read, 0 of anything else.
func remaining(f *os.File) (int64, fs.FileInfo) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, nil
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, nil
	}
	return max(0, info.Size()-offset), info
}

// checkEnd rejects the end of a regular file that comes before the size that the file had. Only
// files that no disk holds, as in /sys, state a size that they do not have.
func (s *source) checkEnd() error {
	read := s.count.Load()
	if s.file == nil || read >= s.total {
		return nil
	}
	now, err := s.stdin.Stat()
	switch {
	case err != nil:
		return err
	case now.Size() < s.file.Size():
		return fmt.Errorf("%w: standard input shrank from %d to %d bytes while it was read", errCut, s.file.Size(), now.Size())
	case onDisk(now):
		return fmt.Errorf("%w: standard input ended after %d of %d bytes", errCut, read, s.total)
	}
	return nil
}

func (s *source) start() error {
	if s.command == nil {
		enlargePipe(s.stdin)
		return nil
	}
	return s.command.start()
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// io.ErrUnexpectedEOF itself is the end to s2 and snappy
		err = fmt.Errorf("%w: %v", errCut, err)
	}
	switch read := s.count.Add(int64(n)); {
	case !errors.Is(err, io.EOF):
	case read == 0 && s.nonempty:
		return 0, errEmpty
	default:
		if cut := s.checkEnd(); cut != nil {
			return n, cut
		}
	}
	return n, err
}

// stop tells the command to end because of cause; wait waits until it has. Standard input ends
// with the process.
func (s *source) stop(cause error) {
	if s.command != nil {
		s.command.stop(cause)
	}
}

func (s *source) wait() {
	if s.command != nil {
		<-s.command.exited
	}
}

func (s *source) kill() {
	if s.command != nil {
		s.command.kill()
	}
}

// exitStatus returns the exit status of a command that has ended, else 0.
func (s *source) exitStatus() int {
	if s.command == nil || !s.command.hasExited() {
		return 0
	}
	return s.command.status
}

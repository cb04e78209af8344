package main

import (
	"io"
	"os"
	"sync/atomic"
)

// source is where the bytes come from: standard input, or a command's output. Its Read ends with io.EOF
// only if the bytes are whole, as far as can be known.
type source struct {
	stdin   *os.File
	command *command // nil: standard input
	reader  io.Reader
	total   int64        // bytes that will come, 0 if unknown
	count   atomic.Int64 // bytes that came
}

func newSource(c *config, sys system) *source {
	s := &source{stdin: sys.stdin, reader: sys.stdin}
	if c.command != nil {
		s.command = newCommand(c.command, sys)
		s.reader = s.command
		s.total = c.size
		return s
	}
	if s.total = c.size; s.total == 0 {
		s.total = remaining(sys.stdin)
	}
	return s
}

// remaining is how much of a regular file is left to read, 0 of anything else.
func remaining(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	offset, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return max(0, info.Size()-offset)
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
	s.count.Add(int64(n))
	return n, err
}

// stop tells the command to end because of cause; wait waits until it has. Standard input ends with the
// process.
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

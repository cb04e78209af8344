package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/c1508ce4/sluice"
)

// step feeds n bytes in one of several ways.
type step struct {
	n    int
	how  how
	wait time.Duration // of the source, before
	err  error         // of a source that fails
}

// how is a way of feeding a stream.
type how int

const (
	writes how = iota
	smallWrites
	reads
	byteReads
	halfReads
	readsWithEOF
	ways // so many of the above
	fails
	hangs
)

// Why a source fails: its own reasons, and those of a pipe or a disk behind it.
var sourceErrors = []error{
	errors.New("source failed"), io.ErrUnexpectedEOF,
	fmt.Errorf("read |0: %w", syscall.EPIPE), fmt.Errorf("read /dump: %w", syscall.EIO),
}

// randomSteps cuts n bytes into steps with pauses in between, some of them of days.
func randomSteps(rng *rand.Rand, n int) []step {
	var steps []step
	pause := time.Duration(0)
	if oneIn(rng, 2) {
		pause = 20 * time.Millisecond
	}
	for left := n; left > 0; {
		s := step{n: 1 + rng.IntN(left), how: how(rng.IntN(int(ways)))}
		if pause > 0 {
			s.wait = upTo(rng, pause)
		}
		if oneIn(rng, 100) {
			s.wait = upTo(rng, 72*time.Hour)
		}
		steps = append(steps, s)
		left -= s.n
	}
	return steps
}

// silent reports whether the source is silent for so long that the writers which
// wait for its pages may give up.
func silent(steps []step) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.wait >= time.Hour })
}

// feed runs one step. release lets a source go on that hangs.
func (s step) feed(t testing.TB, w *sluice.LargeFileWriter, data []byte, release <-chan struct{}) (int, error) {
	time.Sleep(s.wait)
	source := bytes.NewReader(data)
	var from io.Reader = source
	switch s.how {
	case writes:
		return w.Write(data)
	case smallWrites:
		total := 0
		for len(data) > 0 {
			n, err := w.Write(data[:min(len(data), 7)])
			total += n
			if err != nil {
				return total, err
			}
			data = data[n:]
		}
		return total, nil
	case byteReads:
		from = iotest.OneByteReader(source)
	case halfReads:
		from = iotest.HalfReader(source)
	case readsWithEOF:
		from = iotest.DataErrReader(source)
	case fails:
		from = io.MultiReader(source, iotest.ErrReader(s.err))
	case hangs:
		from = io.MultiReader(source, hanging{release})
	}
	n, err := w.ReadFrom(from)
	return int(n), err
}

// hanging is a source that wakes up late, and then fills what it was lent.
type hanging struct{ release <-chan struct{} }

func (h hanging) Read(q []byte) (int, error) {
	<-h.release
	for i := range q {
		q[i] = 0xFF
	}
	return len(q), io.EOF
}

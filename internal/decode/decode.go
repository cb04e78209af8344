// Package decode reads the answers of servers, in JSON and XML, under limits: on
// the bytes that are read, and on what they become. Nothing is held of an answer
// but what its target keeps.
package decode

import (
	"errors"
	"fmt"
	"io"
)

// Limits bound one answer. An answer beyond them is an error.
type Limits struct {
	Bytes    int64 // of the answer
	Elements int   // keys and values of JSON; elements and attributes of XML
	List     int   // entries of one list or object; children of one element
}

const (
	maxDepth = 32       // of what is nested
	maxToken = 32 << 10 // bytes of one string, number or tag, and of what is between two
	maxID    = 1 << 10  // bytes of an ID
)

// Refusal is the limits of an answer that says what went wrong.
var Refusal = Limits{Bytes: 64 << 10, Elements: 1000, List: 100}

// ErrUnusable is in the error of an answer that is over a limit, or not of the
// form expected. A failure to read the answer is returned as it is.
var ErrUnusable = errors.New("not of the form expected")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnusable, fmt.Errorf(format, args...))
}

// finish judges what came of decoding into a target. A target with IDs gets no
// others than those that can be shown and sent as they are.
func finish(m *meter, target any, err error) error {
	switch {
	case m.failed != nil:
		return m.failed
	case errors.Is(err, ErrUnusable):
		return err
	case err != nil:
		return unusable("%w", err)
	}
	if t, ok := target.(interface{ IDs() []string }); ok {
		for _, id := range t.IDs() {
			if err := CheckID(id); err != nil {
				return unusable("%w", err)
			}
		}
	}
	return nil
}

// CheckID refuses an ID that is too long, or has a character other than the
// visible ones of ASCII. "" is for others to refuse.
func CheckID(id string) error {
	if len(id) > maxID {
		return fmt.Errorf("an ID of %d bytes is over the limit of %d bytes", len(id), maxID)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("an ID has the byte %#02x; only the visible characters of ASCII are valid", c)
		}
	}
	return nil
}

// meter reads an answer, and counts what it becomes.
type meter struct {
	r      io.Reader
	limits Limits
	read   int64
	budget int   // bytes that may be read before the next token
	failed error // of r
	tokens int
	counts []int // of children, in each of the containers that are open
}

func newMeter(r io.Reader, limits Limits) *meter {
	return &meter{r: r, limits: limits, budget: maxToken, counts: make([]int, 1, maxDepth)}
}

func (m *meter) Read(p []byte) (int, error) {
	if m.budget <= 0 {
		return 0, unusable("it has a token of more than %d bytes", maxToken)
	}
	n, err := m.r.Read(p[:min(len(p), m.budget)])
	m.budget -= n
	if m.read += int64(n); m.read > m.limits.Bytes {
		return 0, unusable("it has more than %d bytes", m.limits.Bytes)
	}
	if err != nil && err != io.EOF {
		m.failed = err
	}
	return n, err
}

// token is called after each token, with how many elements it is.
func (m *meter) token(elements int) error {
	m.budget = maxToken
	if m.tokens += elements; m.tokens > m.limits.Elements {
		return unusable("it has more than %d elements", m.limits.Elements)
	}
	return nil
}

// child counts an entry of the container that is open.
func (m *meter) child() error {
	last := len(m.counts) - 1
	if m.counts[last]++; m.counts[last] > m.limits.List {
		return unusable("it has a list of more than %d entries", m.limits.List)
	}
	return nil
}

func (m *meter) open() error {
	if len(m.counts) == maxDepth {
		return unusable("it is nested more than %d deep", maxDepth)
	}
	m.counts = append(m.counts, 0)
	return nil
}

func (m *meter) close() { m.counts = m.counts[:max(1, len(m.counts)-1)] }

package bvtest

import (
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	minPart = 5 << 20        // documented: 5 MiB, the last part excepted
	maxPart = 5 << 30        // documented: 5 GiB
	maxFile = 70_000_000_000 // documented for audio and video: 70 GB

	defaultPartSize = 100_000_000 // documented: larger files get several parts
	defaultURLLife  = time.Hour   // assumed: that URLs expire is documented, when is not
)

// ignorable are what Options.Ignore may name.
var ignorable = []string{"type", "source", "attrs"}

// Options configure a [Server]. The zero value, and a nil pointer, are a strict
// server on free ports of 127.0.0.1.
type Options struct {
	// Token and OrgID are the credentials the API asks for; empty means random ones.
	Token, OrgID string

	// PartSize is what the server divides the declared size by, rounding up, to
	// find the number of parts; 0 means 100,000,000 bytes.
	PartSize int64
	// Parts is the number of parts whatever the size; 0 means that PartSize decides.
	Parts int
	// FirstNumber is the first part number; 0 is what one documentation page
	// shows, 1 what another does.
	FirstNumber int
	// Numbers makes odd plans: it returns the part numbers that the server
	// answers with, one URL for each; nil means that Parts, PartSize and
	// FirstNumber decide.
	Numbers func(size int64) []int

	// NestUploadData puts upload_data inside file, as one documentation page
	// has it, in place of beside it.
	NestUploadData bool
	// SwapInt64 sends sizes as JSON numbers and part numbers as JSON strings,
	// the opposite of the documented examples; the proto3 JSON mapping has
	// readers accept both.
	SwapInt64 bool

	// MinPart is the least size in bytes of every part but the last; 0 means the documented 5 MiB.
	MinPart int64

	// URLLife is how long presigned URLs work; 0 means an hour.
	URLLife time.Duration
	// Now is the server's clock; nil means time.Now. It must be safe for
	// concurrent use. See also [Server.Advance].
	Now func() time.Time

	// Ignore names options of files that are accepted and not done: type, source,
	// attrs. The service does no such thing; a client should notice one that does.
	Ignore []string

	// Listen opens the two listeners, as net.Listen does, which nil means.
	// Tests in virtual time bring listeners that are no sockets.
	Listen func(network, address string) (net.Listener, error)
}

// withDefaults returns a copy of o with every zero value replaced, or an error
// that names the value and its limit.
func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	for _, name := range opts.Ignore {
		if !slices.Contains(ignorable, name) {
			return opts, fmt.Errorf("bvtest: Ignore names %q, which is none of %q", name, ignorable)
		}
	}
	switch {
	case opts.PartSize < 0:
		return opts, fmt.Errorf("bvtest: PartSize %d is negative", opts.PartSize)
	case opts.Parts < 0:
		return opts, fmt.Errorf("bvtest: Parts %d is negative", opts.Parts)
	case opts.MinPart < 0:
		return opts, fmt.Errorf("bvtest: MinPart %d is negative", opts.MinPart)
	case opts.URLLife < 0:
		return opts, fmt.Errorf("bvtest: URLLife %v is negative", opts.URLLife)
	}
	if opts.Token == "" {
		opts.Token = randomHex(16)
	}
	if opts.OrgID == "" {
		opts.OrgID = randomHex(8)
	}
	if opts.PartSize == 0 {
		opts.PartSize = defaultPartSize
	}
	if opts.MinPart == 0 {
		opts.MinPart = minPart
	}
	if opts.URLLife == 0 {
		opts.URLLife = defaultURLLife
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Listen == nil {
		opts.Listen = net.Listen
	}
	if opts.Numbers == nil {
		opts.Numbers = opts.plan
	}
	return opts, nil
}

// plan numbers the parts in a row.
func (o *Options) plan(size int64) []int {
	n := int64(o.Parts)
	if n == 0 {
		n = (size + o.PartSize - 1) / o.PartSize
	}
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = o.FirstNumber + i
	}
	return numbers
}

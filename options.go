package sluice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// DefaultCleanupTimeout bounds the cancelling of a large file.
const DefaultCleanupTimeout = time.Minute

// Options are what can be said about one stream. A nil *Options, and every zero
// field, is a good default.
type Options struct {
	ContentType string            // "": the store's default
	Metadata    map[string]string // metadata kept with the file, as far as the store takes it

	// Size is the exact length of the stream in bytes, if it is known: parts come out equal, and a
	// stream that ends short of it or passes it is not finished (ErrShortStream, ErrLongStream).
	// 0: unknown.
	Size int64
	// MaxSize is the most bytes the stream can have. Parts stay smaller, and
	// more uploads fit in memory, than when the stream may go on to the end of
	// the store's limits. A stream that passes it fails with ErrTooLarge. 0:
	// whatever MemoryLimit and the store carry; see Settings.MaxStreamSize.
	MaxSize int64

	// PartSize in bytes is the size of the first part, rounded up to pages; later parts grow as the
	// stream needs. 0: a sixteenth of the memory limit, not below the store's minimum.
	PartSize int64
	// Concurrency is how many parts are uploaded at once. If zero, concurrency
	// adapts to the network and the store: it starts at 4, and rises as far as the
	// throughput does or parts are short, at most to what fits in memory. It
	// falls when the store asks to slow down, or when parts take more than a
	// minute and fewer uploads are as fast.
	Concurrency int

	// MaxRate is how many bytes a second may be sent, retries included, over
	// all uploads of this stream together. 0: no limit. The writer takes it for
	// the speed of the network, and runs as few uploads as reach it.
	MaxRate int64

	// MemoryLimit in bytes is the most page memory this writer takes. 0: DefaultMemoryLimit.
	MemoryLimit int64
	// PageSize in bytes is the unit of that memory. 0: DefaultPageSize.
	PageSize int
	// Pool is memory shared with other writers; MemoryLimit and PageSize must then be 0.
	Pool *Pool

	// BufferDir is a folder for a temporary file that holds the pages instead
	// of memory: MemoryLimit then counts the file, and memory stays small; see
	// [NewFilePool]. "": pages are memory. A Pool decides for itself.
	BufferDir string

	// Digests of the whole stream to compute beside the upload; they are in File.Digests.
	Digests []Algorithm

	// Manifest stores a second file after the stream's, named like it with
	// [ManifestSuffix], with the size and digests of the file and of its parts. It
	// takes one more request, and no byte is hashed again. A restore reads it
	// where the store keeps no digests of the parts itself, and so can any
	// program: docs/MANIFEST.md has the format. If the file is stored and its
	// manifest is not, Close returns an error that matches [ErrNoManifest]. A file
	// of more than 100,000 parts gets none.
	Manifest bool

	// Resume resumes the newest unfinished large file of that name, if there is
	// one and no newer file of that name has been finished. The stream must be
	// the same from its first byte: it is cut where the stored parts were cut,
	// each part is compared with the stored one by length and digest, and only
	// what the store does not have is sent. A stream that differs from what is
	// stored, or ends before it, fails with ErrResumeMismatch as soon as that
	// is known, and what is stored stays. A source that cannot be replayed
	// cannot be resumed.
	//
	// With Resume or ResumeID New asks the store what it holds, and the large
	// file is kept on failure.
	Resume bool
	// ResumeID resumes this large file. New fails if the store does not have it.
	ResumeID string
	// RestartOnMismatch makes a resumed stream that does not match what is
	// stored start anew, with a new large file. The earlier one is cancelled
	// after the new file is finished, if that is at least as long; otherwise it
	// stays. If the mismatch shows after the first part, the bytes that matched
	// are no longer in memory: the stream fails with ErrResumeMismatch, and the
	// next run with Resume sends everything to the new large file. It requires
	// Resume, without ResumeID.
	RestartOnMismatch bool

	// KeepOnFailure leaves the large file unfinished when the upload fails or is
	// aborted, so that it can be resumed or cancelled later. The error names it,
	// and the store bills it. If false, Close and Abort cancel the large file.
	// Resume and ResumeID imply KeepOnFailure.
	KeepOnFailure bool
	// CleanupTimeout bounds cancelling, which goes on when the writer's context has ended.
	// 0: DefaultCleanupTimeout.
	CleanupTimeout time.Duration

	Hooks *Hooks
}

// Settings is what [New] made of the options, the pool and the store's limits.
type Settings struct {
	PartSize    int64 // bytes of the first part
	MaxPart     int64 // bytes of the largest part there can be
	Concurrency int   // most parts uploaded at once
	MemoryLimit int64 // bytes of the Pool
	PageSize    int   // bytes
	// MaxStreamSize is the longest stream, in bytes: Size or MaxSize if given,
	// else what the memory limit and the store carry.
	MaxStreamSize int64
}

// maxConcurrency is more than any store or network has use for.
const maxConcurrency = 1 << 16

// check refuses what is wrong whatever the pool.
func (o *Options) check(l Limits) error {
	err := checkNumbers("Options", o.Concurrency, []number{
		{"Size", o.Size},
		{"MaxSize", o.MaxSize},
		{"PartSize", o.PartSize},
		{"MaxRate", o.MaxRate},
		{"MemoryLimit", o.MemoryLimit},
		{"PageSize", int64(o.PageSize)},
		{"CleanupTimeout", int64(o.CleanupTimeout)},
	})
	switch {
	case err != nil:
		return err
	case o.Pool != nil && (o.MemoryLimit != 0 || o.PageSize != 0 || o.BufferDir != ""):
		return errors.New("a Pool has its own memory limit, page size and folder: leave Options.MemoryLimit, PageSize and BufferDir empty")
	case o.MaxSize > 0 && o.Size > o.MaxSize:
		return fmt.Errorf("size %s (Options.Size) is over %s (Options.MaxSize)", size.Decimal(o.Size), size.Decimal(o.MaxSize))
	case o.RestartOnMismatch && (!o.Resume || o.ResumeID != ""):
		return errors.New("Options.RestartOnMismatch needs Resume, and goes with no ResumeID")
	case l.ServerSizesParts && o.Size == 0:
		return fmt.Errorf("%w: the store plans the parts from it; set Options.Size", ErrSizeRequired)
	case o.Manifest && len(l.PartDigests)+len(l.WholeDigests)+len(o.Digests) == 0:
		return errors.New("Options.Manifest needs a digest, and the store computes none: set Options.Digests")
	case l.MinParts > 2 || l.MinParts == 2 && l.MaxSingle == 0:
		return fmt.Errorf("backend's Limits are inconsistent: MinParts %d, MaxSingle %d", l.MinParts, l.MaxSingle)
	}
	return checkAlgorithms("Options.Digests", o.Digests)
}

type number struct {
	name  string
	value int64
}

// checkNumbers rejects what is negative, and more concurrency than there is use
// for.
func checkNumbers(options string, concurrency int, numbers []number) error {
	for _, n := range append(numbers, number{"Concurrency", int64(concurrency)}) {
		if n.value < 0 {
			return fmt.Errorf("negative %s.%s: %d", options, n.name, n.value)
		}
	}
	if concurrency > maxConcurrency {
		return fmt.Errorf("concurrency %d (%s.Concurrency) is over %d", concurrency, options, maxConcurrency)
	}
	return nil
}

func checkAlgorithms(field string, list []Algorithm) error {
	for _, a := range list {
		if a.Name == "" || a.New == nil {
			return fmt.Errorf("%s: algorithm %q lacks a name or a constructor", field, a.Name)
		}
	}
	return nil
}

// Retry is how a backend meets failures. It is an option of the backends that
// speak over a network, the same for all of them; a writer retries nothing by
// itself. Zero fields are defaults, negative ones are refused. Waits double
// from one second to MaxWait, in full jitter; a Retry-After takes their place.
type Retry struct {
	// Attempts is the most attempts of one call. 0 is 10, some two minutes of
	// failures; with a Budget it is as many as fit in there.
	Attempts int
	// Budget is the total time that one call may spend on failures. It is how
	// an unattended job outlasts an outage: an hour covers one of half an hour.
	// 0 means no limit but Attempts.
	Budget time.Duration
	// MaxWait is the longest wait between attempts. 0 is 64 seconds, with a Budget two minutes.
	MaxWait time.Duration
	// Timeout is how long an attempt may last, counted from its start or from
	// the last byte of a file that it has sent or received: a transfer is never
	// ended for its age while its bytes move. 0 is five minutes.
	Timeout time.Duration
	// Stall is how long a connection may move no byte. 0 is two minutes.
	Stall time.Duration
}

// ReadOptions configures one restore. The zero value and nil are ready to use.
type ReadOptions struct {
	// Version is the version to read, as Stat or List of the Source returned it.
	// nil: the newest one of the name.
	Version *StoredFile

	// RangeSize in bytes is how much is fetched in one request, rounded up to
	// pages. Where the store knows its parts, ranges are made of whole parts if
	// they fit in memory. 0: a thirty-second to an eighth of the memory, the more
	// the fewer are fetched at once, and less at the end of the file; or, if
	// Concurrency is set, what has as many ranges fill the memory, at most an
	// eighth of it.
	RangeSize int64
	// Concurrency is how many ranges are fetched at once, at most as many as fit
	// in memory. If zero, concurrency adapts to the network and the store as that
	// of uploads does (see [Options].Concurrency), and is no more than is of use: a
	// restore from near takes a few pages again and again.
	Concurrency int

	// MemoryLimit in bytes is the most page memory this reader takes. 0:
	// [DefaultMemoryLimit].
	MemoryLimit int64
	// PageSize in bytes is the unit of that memory. 0: [DefaultPageSize].
	PageSize int
	// Pool is memory shared with writers and other readers, which all readers
	// together take at most a quarter of; MemoryLimit and PageSize must then be 0.
	// It must not be a file pool.
	Pool *Pool

	// Digests of the whole file to compute as it is delivered; they are in File
	// after io.EOF.
	Digests []Algorithm

	// Algorithms are further ones that can verify the digests of a manifest. Those
	// of a source that is a [Backend] are known.
	Algorithms []Algorithm
	// IgnoreManifest leaves the file's manifest alone.
	IgnoreManifest bool

	// Hooks report ranges: PartStarted, PartRetrying and PartDone are called for
	// each one, with its number, from 1.
	Hooks *Hooks
}

// check rejects what is wrong whatever the source.
func (o *ReadOptions) check() error {
	err := checkNumbers("ReadOptions", o.Concurrency, []number{
		{"RangeSize", o.RangeSize}, {"MemoryLimit", o.MemoryLimit}, {"PageSize", int64(o.PageSize)},
	})
	switch {
	case err != nil:
		return err
	case o.Pool != nil && (o.MemoryLimit != 0 || o.PageSize != 0):
		return errors.New("a Pool has its own memory limit and page size: leave ReadOptions.MemoryLimit and PageSize empty")
	case o.Pool != nil && o.Pool.buffer != nil:
		return errors.New("a file pool serves no readers: give ReadOptions a Pool of memory")
	}
	return checkAlgorithms("ReadOptions.Digests or Algorithms", slices.Concat(o.Digests, o.Algorithms))
}

func (o *ReadOptions) find(ctx context.Context, s Source, name string) (StoredFile, error) {
	if o.Version == nil {
		f, err := s.Stat(ctx, name)
		f.Name = name
		return f, err
	}
	if o.Version.Name != name {
		return StoredFile{}, fmt.Errorf("ReadOptions.Version is of the file %q", o.Version.Name)
	}
	return *o.Version, nil
}

// pool returns the memory: the Pool, or one for this reader alone.
func (o *ReadOptions) pool() (*Pool, error) {
	if o.Pool != nil {
		return o.Pool, nil
	}
	p, err := NewPool(o.MemoryLimit, o.PageSize)
	if err == nil {
		p.readersOnly()
	}
	return p, err
}

// rangeSizes is how many bytes are fetched in one request.
type rangeSizes struct {
	least, most, page int64
	memory, total     int64
}

// rangeSizes returns how many bytes are fetched at once of a file of total bytes,
// with memory bytes for all ranges. Where every connection has a latency and a
// cap of its own, memory that is waited for is what limits the throughput: many
// small ranges carry most. Where few connections carry all, large ranges are
// fewer requests.
func (o *ReadOptions) rangeSizes(total, memory, page int64) rangeSizes {
	s := rangeSizes{page: page, memory: memory, total: total}
	switch {
	case o.RangeSize > 0:
		s.least = o.RangeSize
		s.most = s.least
	case o.Concurrency > 0:
		s.least = min(memory/int64(max(o.Concurrency+1, 8)), ceilDiv(max(total, 1), int64(o.Concurrency)))
		s.most = s.least
	default:
		s.least = min(max(memory/32, min(memory/16, 4*page)), ceilDiv(max(total, 1), startRanges))
		s.most = max(s.least, memory/8)
	}
	s.least, s.most = s.round(s.least), s.round(s.most)
	return s
}

func (s *rangeSizes) round(n int64) int64 {
	return max(s.page, min(roundUp(max(n, 1), s.page), s.memory))
}

// at returns the size of a range at that offset while limit ranges are fetched
// at once. The last ones are smaller, so that all connections are busy to the
// end.
func (s *rangeSizes) at(offset int64, limit int) int64 {
	if s.least == s.most {
		return s.least
	}
	n := clamp(s.memory/8/int64(limit), s.least, s.most)
	return s.round(clamp(ceilDiv(s.total-offset, int64(limit)), (s.least+3)/4, n))
}

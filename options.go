package sluice

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// OnFailure says what becomes of a large file that could not be finished.
type OnFailure int

const (
	// Cancel removes the large file and its parts: the default.
	Cancel OnFailure = iota
	// Keep leaves it unfinished, to be resumed or cancelled later; the error names it. The store bills it.
	Keep
)

// DefaultCleanupTimeout bounds the cancelling of a large file.
const DefaultCleanupTimeout = time.Minute

// Options are what can be said about one stream. A nil *Options, and every zero field, is a good default.
type Options struct {
	ContentType string            // "": the store's default
	Info        map[string]string // metadata kept with the file, as far as the store takes it

	// Size is the exact length of the stream in bytes, if it is known: parts come out equal, and a
	// stream that ends short of it or passes it is not finished (ErrShortStream, ErrLongStream).
	// 0: unknown.
	Size int64
	// MaxSize is the most bytes the stream can have. Parts stay smaller, and more uploads fit in memory,
	// than when the stream may go on to the end of the store's limits. A stream that passes it fails
	// with ErrTooLarge. 0: whatever MemoryLimit and the store carry; see Settings.Reach.
	MaxSize int64

	// PartSize in bytes is the size of the first part, rounded up to pages; later parts grow as the
	// stream needs. 0: a sixteenth of the memory limit, not below the store's minimum.
	PartSize int64
	// Concurrency is how many parts are uploaded at once. 0: it follows by itself: as many as fit in
	// memory, half of them when the store asks to slow down, and one more after a quiet stretch, if the store bears it.
	Concurrency int

	// MemoryLimit in bytes is the most page memory this writer takes. 0: DefaultMemoryLimit.
	MemoryLimit int64
	// PageSize in bytes is the unit of that memory. 0: DefaultPageSize.
	PageSize int
	// Pool is memory shared with other writers; MemoryLimit and PageSize must then be 0.
	Pool *Pool

	// BufferDir is a folder for a temporary file that holds the pages instead of memory: MemoryLimit then
	// counts the file, and memory stays small; see [NewFilePool]. "": pages are memory. A Pool decides
	// for itself.
	BufferDir string

	// Digests of the whole stream to compute beside the upload; they are in File.Digests.
	Digests []Algorithm

	// Resume goes on with the newest unfinished large file of that name, if there is one. The stream has
	// to be the same from its first byte on: it is cut where the stored parts were cut, each part is
	// compared with the stored one by length and digest, and sent only if it differs. A source that
	// cannot be replayed cannot be resumed. Where Resume or ResumeID is set, New asks the store what it
	// holds; OnFailure is best set to Keep.
	Resume bool
	// ResumeID goes on with this large file, and fails if the store has it not.
	ResumeID string

	// OnFailure governs Close after a failure, and Abort.
	OnFailure OnFailure
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
	// Reach is the longest stream, in bytes: Size or MaxSize if given, else what the memory limit and
	// the store carry.
	Reach int64
}

// plan is everything New works out before a byte is taken.
type plan struct {
	settings Settings
	limits   Limits
	schedule schedule
	pool     *Pool
	ownPool  bool // made for this stream, and closed with it
	follows  bool // Concurrency is a most that uploads follow by themselves
	spec     FileSpec
	resumed  *resumption // nil for a new file
	beyond   error       // of the first byte beyond Reach
}

// resolve checks the options against the store's limits, without any I/O.
func resolve(b Backend, name string, opts *Options) (*plan, error) {
	l := b.Limits()
	o := new(Options)
	if opts != nil {
		*o = *opts
	}
	if o.Size == UnknownSize {
		o.Size = 0
	}
	p := &plan{limits: l}
	if err := o.check(l); err != nil {
		return nil, err
	}
	p.spec = FileSpec{Name: name, Size: UnknownSize, ContentType: o.ContentType, Info: maps.Clone(o.Info)}
	if o.Size > 0 {
		p.spec.Size = o.Size
	}
	if err := b.Check(p.spec); err != nil {
		return nil, err
	}
	var err error
	if p.pool = o.Pool; p.pool == nil {
		p.ownPool = true
		if o.BufferDir == "" {
			p.pool, err = NewPool(o.MemoryLimit, o.PageSize)
		} else {
			p.pool, err = NewFilePool(o.BufferDir, o.MemoryLimit, o.PageSize)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.size(o); err != nil {
		return nil, err
	}
	p.settings.MemoryLimit, p.settings.PageSize = p.pool.Limit(), p.pool.pageSize
	if p.settings.Concurrency = o.Concurrency; o.Concurrency == 0 {
		p.follows = true
		p.settings.Concurrency = min(max(1, p.pool.pages/p.pool.pagesFor(p.settings.PartSize)-1), maxConcurrency)
	}
	p.spec.Uploads = p.settings.Concurrency
	return p, nil
}

// maxConcurrency is more than any store or network has use for.
const maxConcurrency = 1 << 16

// check refuses what is wrong whatever the pool.
func (o *Options) check(l Limits) error {
	for _, v := range []struct {
		name string
		n    int64
	}{
		{"Size", o.Size},
		{"MaxSize", o.MaxSize},
		{"PartSize", o.PartSize},
		{"Concurrency", int64(o.Concurrency)},
		{"MemoryLimit", o.MemoryLimit},
		{"PageSize", int64(o.PageSize)},
		{"CleanupTimeout", int64(o.CleanupTimeout)},
	} {
		if v.n < 0 {
			return fmt.Errorf("negative Options.%s: %d", v.name, v.n)
		}
	}
	if o.Concurrency > maxConcurrency {
		return fmt.Errorf("concurrency %d (Options.Concurrency) is over %d", o.Concurrency, maxConcurrency)
	}
	switch {
	case o.Pool != nil && (o.MemoryLimit != 0 || o.PageSize != 0 || o.BufferDir != ""):
		return errors.New("a Pool has its own memory limit, page size and folder: leave Options.MemoryLimit, PageSize and BufferDir empty")
	case o.MaxSize > 0 && o.Size > o.MaxSize:
		return fmt.Errorf("size %s (Options.Size) is over %s (Options.MaxSize)", size.Decimal(o.Size), size.Decimal(o.MaxSize))
	case o.OnFailure != Cancel && o.OnFailure != Keep:
		return fmt.Errorf("Options.OnFailure is %d, neither Cancel nor Keep", o.OnFailure)
	case l.PlansParts && o.Size == 0:
		return fmt.Errorf("%w: the store plans the parts from it; set Options.Size", ErrSizeRequired)
	case l.MinParts > 2 || l.MinParts == 2 && l.MaxSingle == 0:
		return fmt.Errorf("backend's Limits are inconsistent: MinParts %d, MaxSingle %d", l.MinParts, l.MaxSingle)
	}
	for _, a := range o.Digests {
		if a.Name == "" || a.New == nil {
			return fmt.Errorf("Options.Digests: algorithm %q lacks a name or a constructor", a.Name)
		}
	}
	return nil
}

// size settles how big parts are and how long the stream can become.
func (p *plan) size(o *Options) error {
	l, page := p.limits, int64(p.pool.pageSize)
	maxParts, maxFile, top := l.MaxParts, l.MaxFile, p.pool.MaxPart()
	if maxParts == 0 {
		maxParts = math.MaxInt32
	}
	if maxFile == 0 {
		maxFile = math.MaxInt64
	}
	byMemory := true // what bounds the largest part
	if l.MaxPart > 0 && l.MaxPart < top {
		top, byMemory = l.MaxPart, false
	}
	if l.MinParts == 2 && l.MaxSingle < top { // a full part may turn out to be the whole file
		top, byMemory = l.MaxSingle, false
	}
	if l.MinPart > top {
		return fmt.Errorf("the store's smallest part is %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
			size.Format(l.MinPart), size.Format(p.pool.Limit()), size.Format(2*roundUp(l.MinPart, page)))
	}
	if o.PartSize > 0 && (o.PartSize < l.MinPart || o.PartSize > top) {
		return fmt.Errorf("Options.PartSize %s is not between %s and %s (the store's smallest part, and its largest or half the memory limit)",
			size.Format(o.PartSize), size.Format(l.MinPart), size.Format(top))
	}
	base := o.PartSize
	if base == 0 {
		base = max(p.pool.Limit()/16, l.MinPart)
	}
	base = min(roundUp(max(base, 1), page), top)

	reach := min(maxFile, carries(base, top, maxParts))
	switch {
	case o.Size > 0:
		if most := min(maxFile, mul(top, int64(maxParts))); o.Size > most && !l.PlansParts {
			return fmt.Errorf("Options.Size %s: %w", size.Decimal(o.Size), p.tooLarge(most, o.Size, top, maxParts, maxFile, byMemory))
		}
		if o.PartSize == 0 {
			base = min(max(equalPart(o.Size, max(base, ceilDiv(o.Size, int64(maxParts))), page), l.MinPart), top)
		}
		reach = o.Size
		p.beyond = &limitError{fmt.Sprintf("stream passes its declared size of %s", size.Decimal(o.Size)), ErrLongStream}
	case o.MaxSize > 0:
		if o.MaxSize > reach {
			return fmt.Errorf("Options.MaxSize %s: %w", size.Decimal(o.MaxSize), p.tooLarge(reach, o.MaxSize, top, maxParts, maxFile, byMemory))
		}
		reach = o.MaxSize
		p.beyond = &limitError{fmt.Sprintf("stream passes MaxSize, %s", size.Decimal(o.MaxSize)), ErrTooLarge}
	default:
		p.beyond = p.tooLarge(reach, 0, top, maxParts, maxFile, byMemory)
	}
	p.schedule = schedule{base: base, maxPart: top, target: reach, maxParts: maxParts, round: page}
	p.settings.PartSize, p.settings.MaxPart, p.settings.Reach = p.schedule.next(0, 0), top, reach
	return nil
}

// accepts checks a store's plan against the declared size and the memory limit.
func (p *plan) accepts(sizes []int64) error {
	if !p.limits.PlansParts {
		return nil
	}
	var sum int64
	for i, n := range sizes {
		if n < 1 || n > p.spec.Size-sum {
			return fmt.Errorf("the store plans %d bytes for part %d of a file of %d", n, i+1, p.spec.Size)
		}
		if n > p.pool.MaxPart() {
			return fmt.Errorf("the store plans parts of %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
				size.Format(n), size.Format(p.pool.Limit()), size.Format(2*roundUp(n, int64(p.pool.pageSize))))
		}
		sum += n
	}
	if sum != p.spec.Size {
		return fmt.Errorf("the store plans %d bytes in %d parts for a file of %d", sum, len(sizes), p.spec.Size)
	}
	return nil
}

// tooLarge says what keeps a stream from passing reach, and what to set so that it comes as far as asked; 0
// is twice as far.
func (p *plan) tooLarge(reach, asked, top int64, maxParts int, maxFile int64, byMemory bool) error {
	text := "stream passes " + size.Decimal(reach)
	switch {
	case reach == maxFile:
		text += ", the largest file the store takes"
	case !byMemory:
		text += fmt.Sprintf(", the most that the store's %d parts of at most %s carry", maxParts, size.Format(top))
	default:
		what, instead := "MemoryLimit", ", or BufferDir to have it on disk"
		if !p.ownPool {
			what, instead = "the Pool's limit", ""
		} else if p.pool.buffer != nil {
			instead = ""
		}
		if asked == 0 {
			asked = min(maxFile, mul(reach, 2))
		}
		part := ceilDiv(asked, max(1, int64(maxParts)-int64(maxParts)/10))
		text += fmt.Sprintf(", the most that %s %s carries in %d parts (%s each)", what, size.Format(p.pool.Limit()), maxParts, size.Format(top))
		if p.limits.MaxPart == 0 || part <= p.limits.MaxPart {
			text += fmt.Sprintf("; set %s to at least %s for %s%s", what, size.Format(mul(2, roundUp(part, int64(p.pool.pageSize)))), size.Decimal(asked), instead)
		}
	}
	return &limitError{text, ErrTooLarge}
}

// limitError is a text of its own that matches one of the package's errors.
type limitError struct {
	text string
	is   error
}

func (e *limitError) Error() string { return e.text }
func (e *limitError) Unwrap() error { return e.is }

// equalPart is the size of parts of at most about want bytes that divide total evenly.
func equalPart(total, want, page int64) int64 {
	return roundUp(ceilDiv(total, ceilDiv(total, want)), page)
}

func ceilDiv(a, b int64) int64 { return (a-1)/b + 1 }

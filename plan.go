package sluice

import (
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/size"
)

// plan is everything New works out before a byte is taken.
type plan struct {
	settings Settings
	limits   Limits
	schedule schedule
	pool     *Pool
	ownPool  bool       // made for this stream, and closed with it
	adaptive bool       // Concurrency is 0: the limiter decides
	rate     *rateLimit // nil for no limit
	spec     FileSpec
	resumed  *resumption // nil for a new file
	replaced *resumption // to be cancelled once the stream is stored, nil for most
	restarts bool        // Options.RestartOnMismatch
	beyond   error       // of the first byte beyond MaxStreamSize
	manifest bool        // one is stored after the file
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
	if err := o.check(l); err != nil {
		return nil, err
	}
	p := &plan{limits: l, rate: newRateLimit(o.MaxRate), restarts: o.RestartOnMismatch}
	p.spec = FileSpec{Name: name, Size: UnknownSize, ContentType: o.ContentType, Metadata: maps.Clone(o.Metadata)}
	if o.Size > 0 {
		p.spec.Size = o.Size
	}
	if err := b.Check(p.spec); err != nil {
		return nil, err
	}
	if p.manifest = o.Manifest; p.manifest {
		if err := b.Check(FileSpec{Name: name + ManifestSuffix, Size: UnknownSize, ContentType: manifestType}); err != nil {
			return nil, fmt.Errorf("Options.Manifest: %w", err)
		}
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
	if err := p.size(o, 0); err != nil {
		return nil, err
	}
	p.settings.MemoryLimit, p.settings.PageSize = p.pool.Limit(), p.pool.pageSize
	return p, nil
}

// size settles how big parts are, how many are uploaded at once, and how long the
// stream can become. stored is the size of the parts that an earlier run has stored
// where all parts have to have one size, else 0.
func (p *plan) size(o *Options, stored int64) error {
	l, page := p.limits, int64(p.pool.pageSize)
	maxParts, maxFile, top := l.MaxParts, l.MaxFile, p.pool.MaxPart()
	if maxParts == 0 {
		maxParts = math.MaxInt32
	}
	if maxFile == 0 {
		maxFile = math.MaxInt64
	}
	bound := byMemory
	if l.MaxPart > 0 && l.MaxPart < top {
		top, bound = l.MaxPart, byStore
	}
	if l.MinParts == 2 && l.MaxSingle < top { // a full part may turn out to be the whole file
		top, bound = l.MaxSingle, byStore
	}
	if l.MinPart > top {
		return fmt.Errorf("the store's smallest part is %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
			size.Format(l.MinPart), size.Format(p.pool.Limit()), size.Format(size.Mul(2, roundUp(l.MinPart, page))))
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
	if l.EqualParts {
		if base = p.equalPart(o, base, top, maxParts, stored); base < top {
			bound = byEqualParts
		}
		top = base
	}

	reach := min(maxFile, carries(base, top, maxParts))
	switch {
	case o.Size > 0:
		if most := min(maxFile, size.Mul(top, int64(maxParts))); o.Size > most && !l.ServerSizesParts {
			return fmt.Errorf("Options.Size %s: %w", size.Decimal(o.Size), p.tooLarge(most, o.Size, top, maxParts, maxFile, bound))
		}
		if o.PartSize == 0 && !l.EqualParts {
			base = min(max(equalPart(o.Size, max(base, ceilDiv(o.Size, int64(maxParts))), page), l.MinPart), top)
		}
		reach = o.Size
		p.beyond = &limitError{fmt.Sprintf("stream passes its declared size of %s", size.Decimal(o.Size)), ErrLongStream}
	case o.MaxSize > 0:
		if o.MaxSize > reach {
			return fmt.Errorf("Options.MaxSize %s: %w", size.Decimal(o.MaxSize), p.tooLarge(reach, o.MaxSize, top, maxParts, maxFile, bound))
		}
		reach = o.MaxSize
		p.beyond = &limitError{fmt.Sprintf("stream passes MaxSize, %s", size.Decimal(o.MaxSize)), ErrTooLarge}
	default:
		p.beyond = p.tooLarge(reach, 0, top, maxParts, maxFile, bound)
	}
	p.schedule = schedule{base: base, maxPart: top, target: reach, maxParts: maxParts, round: page}
	p.settings.PartSize, p.settings.MaxPart, p.settings.MaxStreamSize = p.schedule.next(0, 0), top, reach
	if p.settings.Concurrency = o.Concurrency; o.Concurrency == 0 {
		p.adaptive = true
		p.settings.Concurrency = min(max(1, p.pool.pages/p.pool.pagesFor(p.settings.PartSize)), maxConcurrency)
	}
	return nil
}

// equalPart is the size of every part but the last where they have one size: base,
// unless the options tell how long the stream becomes, or some parts are stored.
func (p *plan) equalPart(o *Options, base, top int64, maxParts int, stored int64) int64 {
	switch page, long := int64(p.pool.pageSize), max(o.Size, o.MaxSize); {
	case stored > 0:
		return stored
	case o.PartSize > 0 || long == 0:
		return base
	default:
		return min(max(equalPart(long, max(base, ceilDiv(long, int64(maxParts))), page), p.limits.MinPart), top)
	}
}

func (p *plan) accepts(sizes []int64) error {
	if !p.limits.ServerSizesParts {
		return nil
	}
	var sum int64
	for i, n := range sizes {
		if n < 1 || n > p.spec.Size-sum {
			return fmt.Errorf("the store plans %d bytes for part %d of a file of %d", n, i+1, p.spec.Size)
		}
		if n > p.pool.MaxPart() {
			return fmt.Errorf("the store plans parts of %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
				size.Format(n), size.Format(p.pool.Limit()), size.Format(size.Mul(2, roundUp(n, int64(p.pool.pageSize)))))
		}
		sum += n
	}
	if sum != p.spec.Size {
		return fmt.Errorf("the store plans %d bytes in %d parts for a file of %d", sum, len(sizes), p.spec.Size)
	}
	return nil
}

type bound int

const (
	byMemory     bound = iota
	byStore            // its largest part, or single upload
	byEqualParts       // the size that all parts have
)

// tooLarge says what keeps a stream from passing reach, and what to set so that
// it comes as far as asked; 0 is twice as far.
func (p *plan) tooLarge(reach, asked, top int64, maxParts int, maxFile int64, bound bound) error {
	text := "stream passes " + size.Decimal(reach)
	switch {
	case reach == maxFile:
		text += ", the largest file the store takes"
	case bound == byEqualParts:
		text += fmt.Sprintf(", the most that %d equal parts of %s carry; set PartSize, or MaxSize", maxParts, size.Format(top))
	case bound == byStore:
		text += fmt.Sprintf(", the most that the store's %d parts of at most %s carry", maxParts, size.Format(top))
	default:
		what, instead := "MemoryLimit", ", or BufferDir to have it on disk"
		if !p.ownPool {
			what, instead = "the Pool's limit", ""
		} else if p.pool.buffer != nil {
			instead = ""
		}
		if asked == 0 {
			asked = min(maxFile, size.Mul(reach, 2))
		}
		part := ceilDiv(asked, max(1, int64(maxParts)-int64(maxParts)/10))
		text += fmt.Sprintf(", the most that %s %s carries in %d parts (%s each)", what, size.Format(p.pool.Limit()), maxParts, size.Format(top))
		if p.limits.MaxPart == 0 || part <= p.limits.MaxPart {
			text += fmt.Sprintf("; set %s to at least %s for %s%s", what, size.Format(size.Mul(2, roundUp(part, int64(p.pool.pageSize)))), size.Decimal(asked), instead)
		}
	}
	return &limitError{text, ErrTooLarge}
}

// equalPart is the size of parts of at most about want bytes that divide total evenly.
func equalPart(total, want, page int64) int64 {
	return roundUp(ceilDiv(total, ceilDiv(total, want)), page)
}

func ceilDiv(a, b int64) int64 { return (a-1)/b + 1 }

// schedule says how big the next part is, so that the target is reached in
// maxParts parts. It is a pure function of how far the stream has come: parts
// that were cut otherwise (the stored ones of an earlier run) are made up for
// by those that follow.
type schedule struct {
	base     int64 // the first part, and the smallest
	maxPart  int64 // largest: the least of the backend's and the Pool's
	target   int64 // the stream must be able to come this far
	maxParts int
	round    int64 // sizes are multiples of this (a page) where maxPart allows
}

// next is the size of the part after done bytes in parts parts: the smallest
// that growth towards the target allows. If the target can be reached at all,
// it is reached exactly.
func (s schedule) next(done int64, parts int) int64 {
	left := int64(s.maxParts - parts)
	if rest := s.target - done; rest <= size.Mul(s.base, left) {
		return s.base
	}
	n := max(s.base, int64(float64(done)/s.growth(done, parts)))
	// What is left after this part must fit the numbers after it, whatever the growth says.
	n = max(n, s.target-done-size.Mul(s.maxPart, left-1))
	return min(roundUp(n, s.round), s.maxPart)
}

// growth is the largest k for which parts of done/k bytes still reach the
// target: a part is a k-th of what lies before it.
func (s schedule) growth(done int64, parts int) float64 {
	left := 0.995*float64(s.maxParts-parts) - 1 // a little less than there are: for rounding
	lo, hi := 1.0, 1e6
	for range 50 { // need rises with k
		if k := math.Sqrt(lo * hi); s.need(float64(done), k) <= left {
			lo = k
		} else {
			hi = k
		}
	}
	return lo
}

// need is the number of parts from u to the target when every part is u/k, at
// least base, at most maxPart.
func (s schedule) need(u, k float64) float64 {
	target, base, top := float64(s.target), float64(s.base), float64(s.maxPart)
	var n float64
	if to := min(k*base, target); u < to {
		n, u = (to-u)/base, to
	}
	if to := min(k*top, target); u < to {
		n, u = n+math.Log(to/u)/math.Log1p(1/k), to
	}
	if u < target {
		n += (target - u) / top
	}
	return n
}

// tailPiece is the size of the pieces in which the last part of a stream is
// sent, so that it does not go over one connection while the others idle: an
// equal share for each idle upload, but not below the store's smallest part, at
// page boundaries, and in no more than numbers pieces.
func tailPiece(tail, minPart, page int64, idle, numbers int) int64 {
	pieces := max(1, min(int64(idle), int64(numbers), tail/max(minPart, page)))
	return min(tail, roundUp(ceilDiv(tail, pieces), page))
}

// carries is the longest stream of unknown length that parts between base and
// maxPart carry. Parts that start small and grow cannot all be of the largest
// size: the tenth given up pays for that.
func carries(base, maxPart int64, maxParts int) int64 {
	whole := size.Mul(maxPart, int64(maxParts))
	return max(whole-whole/10, size.Mul(base, int64(maxParts)))
}

// roundUp is the next multiple of unit, n if that would overflow.
func roundUp(n, unit int64) int64 {
	if n > math.MaxInt64-unit {
		return n
	}
	return (n + unit - 1) / unit * unit
}

// rateLimit spreads the bytes that attempts send, so that no more than
// perSecond leave in a second. What was not used of the last eighth of a second,
// at most 1 MiB, may be used later.
type rateLimit struct {
	perSecond int64

	mu   sync.Mutex
	next time.Time // when the bytes reserved so far are out
}

// newRateLimit returns nil, which limits nothing, if perSecond is 0.
func newRateLimit(perSecond int64) *rateLimit {
	if perSecond == 0 {
		return nil
	}
	return &rateLimit{perSecond: perSecond}
}

// slice is the most bytes to reserve at once, so that uploads take turns.
func (r *rateLimit) slice() int64 { return max(1, min(r.perSecond/16, 1<<20)) }

// reserve takes n bytes, and returns how long they have to wait.
func (r *rateLimit) reserve(n int64) time.Duration {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if earliest := now.Add(-r.duration(min(r.perSecond/8, 1<<20))); r.next.Before(earliest) {
		r.next = earliest
	}
	r.next = r.next.Add(r.duration(n))
	return r.next.Sub(now)
}

func (r *rateLimit) duration(n int64) time.Duration {
	return time.Duration(float64(n) / float64(r.perSecond) * float64(time.Second))
}

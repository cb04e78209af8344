package sluice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/c1508ce4/sluice/internal/size"
)

// resumption is what an earlier run of the stream left in the store.
type resumption struct {
	large LargeFile
	// run is the sizes of the stored parts from number 1 on without a gap: the
	// replayed stream is cut there. A part below the store's minimum ends it:
	// it can only be the last of the file.
	run    []int64
	stored map[int]Receipt // by part number
	last   int             // the highest number stored
	// the size of all parts but the last, where they have one; 0 if it is not
	// known
	equal int64
	bytes int64 // in all stored parts whose size is known
	sized bool  // all of them are
}

// resume opens the large file that the options name. Without a name for it,
// having none is no error: the stream starts anew.
func (p *plan) resume(ctx context.Context, b Backend, o *Options, hooks *Hooks) error {
	if !o.Resume && o.ResumeID == "" {
		return nil
	}
	if !p.limits.Resumable {
		return fmt.Errorf("the store cannot resume: %w", errors.ErrUnsupported)
	}
	large, err := b.ResumeLargeFile(ctx, p.spec, o.ResumeID)
	if o.ResumeID == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = p.accepts(large.Info().PartSizes)
	}
	if err == nil {
		p.resumed = newResumption(large, p.limits)
		err = p.fits(o)
	}
	if errors.Is(err, ErrResumeMismatch) && p.restarts {
		p.restart(err, hooks)
		return nil
	}
	return err
}

func newResumption(large LargeFile, l Limits) *resumption {
	r := &resumption{large: large, stored: map[int]Receipt{}, sized: true}
	for _, part := range large.Info().Stored {
		r.stored[part.Number] = part
		r.last = max(r.last, part.Number)
		r.bytes = size.Add(r.bytes, part.Size)
		r.sized = r.sized && part.Size > 0
		// A single part, unless it is the first, can be the last of the stream.
		if l.EqualParts && (part.Number == 1 || len(large.Info().Stored) > 1) && part.Size >= l.MinPart {
			r.equal = max(r.equal, part.Size)
		}
	}
	for {
		part, ok := r.stored[len(r.run)+1]
		if !ok || part.Size < max(l.MinPart, r.equal, 1) {
			return r
		}
		r.run = append(r.run, part.Size)
	}
}

// id is the large file's, "" without one.
func (r *resumption) id() string {
	if r == nil {
		return ""
	}
	return r.large.Info().ID
}

func (p *plan) fits(o *Options) error {
	r := p.resumed
	var done int64
	for i, n := range r.run {
		if err := p.holds(i+1, n); err != nil {
			return err
		}
		done = size.Add(done, n)
	}
	if err := p.holds(r.last, r.equal); err != nil {
		return err
	}
	if o.Size > 0 && r.bytes > o.Size {
		return r.mismatch("%d bytes are stored, and the stream's declared size is %d", r.bytes, o.Size)
	}
	if r.equal > 0 {
		if err := p.size(o, r.equal); err != nil {
			return r.mismatch("its parts have %s: %w", size.Format(r.equal), err)
		}
		return nil
	}
	return p.reachAfter(o, done, len(r.run))
}

func (p *plan) holds(number int, n int64) error {
	if n <= p.pool.MaxPart() {
		return nil
	}
	return fmt.Errorf("large file %s has stored part %d of %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
		p.resumed.id(), number, size.Format(n), size.Format(p.pool.Limit()), size.Format(size.Mul(2, roundUp(n, int64(p.pool.pageSize)))))
}

// mismatch is why the stream cannot be the one whose parts are stored.
func (r *resumption) mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: large file %s: %w", ErrResumeMismatch, r.id(), fmt.Errorf(format, args...))
}

// restart has the stream start anew. What is stored stays until a file that is
// as long is finished.
func (p *plan) restart(why error, hooks *Hooks) {
	p.replaced, p.resumed = p.resumed, nil
	hooks.Restarted(why)
}

// restart has the stream start anew because it does not match what is stored,
// and reports whether it does: the options must ask for it, and every byte of
// the stream must still be in memory. The caller has the turn.
func (w *LargeFileWriter) restart(why error) bool {
	if !w.plan.restarts || w.plan.resumed == nil || w.parts > 0 {
		return false
	}
	w.plan.restart(why, w.meter.hooks)
	w.pipeline.store = largeFile{done: make(chan struct{})}
	return true
}

// reachAfter lowers the reach if the stored parts were cut so small that the
// numbers left do not carry it.
func (p *plan) reachAfter(o *Options, done int64, parts int) error {
	s := &p.schedule
	left := size.Mul(s.maxPart, int64(s.maxParts-parts))
	if s.target-done <= left {
		return nil
	}
	most := done + left // less than the target
	err := &limitError{fmt.Sprintf("stream passes %s, the most that the %d parts left after the stored ones carry (%s each); start a new upload",
		size.Decimal(most), s.maxParts-parts, size.Format(s.maxPart)), errors.Join(ErrTooLarge, ErrResumeMismatch)}
	if o.Size > 0 || o.MaxSize > 0 || p.restarts {
		return err
	}
	s.target, p.settings.MaxStreamSize, p.beyond = most, most, err
	return nil
}

// sizeOf is the size part number n has to have to be compared with the stored
// one, 0 if it is free.
func (r *resumption) sizeOf(n int) int64 {
	if r == nil || n > len(r.run) {
		return 0
	}
	return r.run[n-1]
}

// tailPiece is the size of the pieces that an earlier run has made of the last
// part of the stream, p, as far as can be told from those that are stored; 0 if
// nothing is stored of it.
func (r *resumption) tailPiece(p *Part, l Limits, page int64, numbers int) int64 {
	if r == nil || r.last < p.Number {
		return 0
	}
	if r.stored[p.Number].Size == p.Size {
		return p.Size
	}
	// All pieces but the last are equal. The last one stored is either one of
	// these, or what remained after them: its bytes tell which.
	stored, before := r.stored[r.last].Size, int64(r.last-p.Number)
	piece := int64(0)
	for _, n := range []int64{stored, (p.Size - stored) / max(1, before)} {
		if n < 1 || n%page != 0 || min(n, p.Size-before*n) != stored {
			continue
		}
		same := r.has(p, before*n, stored, l.PartDigests)
		if same || piece == 0 {
			piece = n
		}
		if same {
			break
		}
	}
	if piece == 0 { // its size is not known, or the stream is another one
		piece = roundUp(ceilDiv(p.Size, before+1), page)
	}
	if piece < max(l.MinPart, page) || ceilDiv(p.Size, piece) > int64(numbers) {
		return 0
	}
	return piece
}

// has reports whether the last part stored is the n bytes of p from off on, where
// a page begins.
func (r *resumption) has(p *Part, off, n int64, algorithms []Algorithm) bool {
	piece := &Part{Number: r.last, Size: n, held: held{pages: p.pages[off/p.size:], size: p.size, buffer: p.buffer}}
	if newHashers(algorithms).sum(piece) != nil {
		return false // the error comes again when the piece is hashed to be sent
	}
	_, same, _ := r.compare(piece)
	return same
}

// compare returns the stored part that is just p, if there is one: by length
// and by every digest that both sides have, of which there must be one. Where
// they have none in common, those of the stored part are computed of p. If a digest
// differs, so does the stream, or an earlier run with other settings has cut it
// differently: both are rejected, because another stream must not replace what is
// stored. A part of another length proves nothing, and is replaced.
func (r *resumption) compare(p *Part) (stored Receipt, same bool, err error) {
	if r == nil || r.stored[p.Number].Size != p.Size {
		return Receipt{}, false, nil
	}
	stored = r.stored[p.Number]
	digests := p.Digests
	if !digests.share(stored.Digests) {
		hs := hashersFor(stored.Digests, r.large.Info().Algorithms)
		if err := hs.write(p); err != nil {
			return Receipt{}, false, err
		}
		digests = hs.sums()
	}
	for _, d := range digests {
		sum := stored.Digests.Get(d.Name)
		if sum != nil && !bytes.Equal(sum, d.Sum) {
			return Receipt{}, false, r.mismatch("part %d has %s %x, and the stream's has %x", p.Number, d.Name, sum, d.Sum)
		}
		same = same || sum != nil
	}
	return stored, same, nil
}

// compareFirst compares the first part with the stored one before another is
// taken: only then can the stream still start anew.
func (w *LargeFileWriter) compareFirst(p *Part) error {
	if p.Number > 1 || !w.plan.restarts || w.plan.resumed.sizeOf(1) == 0 {
		return nil
	}
	if err := newHashers(w.plan.limits.PartDigests).sum(p); err != nil {
		return w.fail(w.error("buffer", err))
	}
	if _, _, err := w.plan.resumed.compare(p); err != nil {
		w.restart(err)
	}
	return nil
}

// covers fails the stream if it is shorter than what is stored, unless it can
// start anew, and reports whether it goes on.
func (w *LargeFileWriter) covers(parts int) bool {
	err := w.plan.resumed.covers(parts, w.total)
	if err == nil || w.restart(err) {
		return true
	}
	w.fail(w.error("resume", err))
	return false
}

// covers returns an error if a stream of so many parts and bytes is shorter
// than what is stored, or was cut differently.
func (r *resumption) covers(parts int, total int64) error {
	switch {
	case r == nil:
		return nil
	case total < r.bytes:
		return r.mismatch("%d bytes are stored, and the stream ended after %d", r.bytes, total)
	case parts < r.last:
		return r.mismatch("part %d is stored, and the stream ended in part %d", r.last, parts)
	}
	return nil
}

// startAnew starts a large file for the next run, which finds it as the newest
// and sends it the whole stream. This run cannot: of what matched the bytes are
// gone.
func (w *LargeFileWriter) startAnew(failure Error) *Error {
	ctx, cancel := w.detached()
	defer cancel()
	large, err := w.pipeline.backend.StartLargeFile(ctx, w.plan.spec)
	if err != nil {
		failure.LargeFile, failure.Cleanup = w.pipeline.id(), err
		return &failure
	}
	w.meter.hooks.LargeFileStarted(large.Info())
	failure.LargeFile = large.Info().ID
	return &failure
}

// cancelReplaced cancels the large file in whose place the stream was stored,
// if the file is as long. If that fails the large file stays, for Unfinished to
// list: the file itself is there.
func (w *LargeFileWriter) cancelReplaced() {
	r := w.plan.replaced
	if r == nil || !r.sized || w.total < r.bytes {
		return
	}
	ctx, cancel := w.detached()
	defer cancel()
	_ = r.large.Cancel(ctx)
}

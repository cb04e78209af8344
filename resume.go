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
	// run is the sizes of the stored parts from number 1 on without a gap: the replayed stream is cut
	// there. A part below the store's minimum ends it: it can only be the last of the file.
	run    []int64
	stored map[int]Receipt // by part number
	last   int             // the highest number stored
}

// resume opens the large file that the options name. Without a name for it, having none is no error: the
// stream starts anew.
func (p *plan) resume(ctx context.Context, b Backend, o *Options) error {
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
	if err != nil {
		return err
	}
	if err := p.accepts(large.Info().Plan); err != nil {
		return err
	}
	r := &resumption{large: large, stored: map[int]Receipt{}}
	for _, part := range large.Info().Stored {
		r.stored[part.Number] = part
		r.last = max(r.last, part.Number)
	}
	var done int64
	for n := 1; ; n++ {
		part, ok := r.stored[n]
		if !ok || part.Size < max(p.limits.MinPart, 1) {
			break
		}
		if part.Size > p.pool.MaxPart() {
			return fmt.Errorf("large file %s has stored part %d of %s, and a part may be at most half the memory limit of %s; set MemoryLimit to at least %s",
				r.large.Info().ID, n, size.Format(part.Size), size.Format(p.pool.Limit()), size.Format(2*roundUp(part.Size, int64(p.pool.pageSize))))
		}
		r.run = append(r.run, part.Size)
		done += part.Size
	}
	p.resumed = r
	return p.reachAfter(o, done, len(r.run))
}

// reachAfter lowers the reach if the stored parts were cut so small that the numbers left do not carry it.
func (p *plan) reachAfter(o *Options, done int64, parts int) error {
	s := &p.schedule
	left := mul(s.maxPart, int64(s.maxParts-parts))
	if s.target-done <= left {
		return nil
	}
	most := done + left // less than the target
	err := &limitError{fmt.Sprintf("stream passes %s, the most that the %d parts left after the stored ones carry (%s each); start anew",
		size.Decimal(most), s.maxParts-parts, size.Format(s.maxPart)), ErrTooLarge}
	if o.Size > 0 || o.MaxSize > 0 {
		return err
	}
	s.target, p.settings.Reach, p.beyond = most, most, err
	return nil
}

// sizeOf is the size part number n has to have to be compared with the stored one, 0 if it is free.
func (r *resumption) sizeOf(n int) int64 {
	if r == nil || n > len(r.run) {
		return 0
	}
	return r.run[n-1]
}

// tailPiece is the size of the pieces that an earlier run has made of the last part of the stream, p, as far as
// can be told from those that are stored; 0 if nothing is stored of it.
func (r *resumption) tailPiece(p *Part, minPart, page int64, numbers int) int64 {
	if r == nil || r.last < p.Number {
		return 0
	}
	if r.stored[p.Number].Size == p.Size {
		return p.Size
	}
	// All pieces but the last are equal: one of them is known if any but the last is stored. Else, and if the store
	// says no sizes, it follows from how many there were.
	pieces := int64(r.last - p.Number + 1)
	var piece int64
	for n, part := range r.stored {
		if n >= p.Number {
			piece = max(piece, part.Size)
		}
	}
	if piece == 0 || piece%page != 0 || ceilDiv(p.Size, piece) != pieces {
		piece = roundUp(ceilDiv(p.Size, pieces), page)
	}
	if piece < max(minPart, page) || ceilDiv(p.Size, piece) > int64(numbers) {
		return 0
	}
	return piece
}

// has reports whether the store holds just this part, by length and by every digest that both sides have,
// of which there must be one.
func (r *resumption) has(p *Part) (Receipt, bool) {
	if r == nil || r.stored[p.Number].Size != p.Size {
		return Receipt{}, false
	}
	stored, compared := r.stored[p.Number], false
	for _, d := range p.Digests {
		if sum := stored.Digests.Get(d.Name); sum != nil {
			if !bytes.Equal(sum, d.Sum) {
				return Receipt{}, false
			}
			compared = true
		}
	}
	return stored, compared
}

// covers refuses to finish a file of parts parts while the store holds more: this is another stream then, or
// one cut otherwise.
func (r *resumption) covers(parts int) error {
	if r == nil || parts >= r.last {
		return nil
	}
	return fmt.Errorf("the resumed stream ended in part %d, and the store holds parts up to %d: it is another stream, or it was cut otherwise; start anew", parts, r.last)
}

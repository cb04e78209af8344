package memorybackend

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

var _ sluice.Source = (*Backend)(nil)

// Stat describes the finished file of that name, with the sizes and digests of
// its parts.
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	if err := b.travel(ctx); err != nil {
		return sluice.StoredFile{}, err
	}
	e := b.lookup(name)
	if e == nil {
		return sluice.StoredFile{}, notFound(name)
	}
	return b.describe(e), nil
}

func notFound(name string) error {
	return fmt.Errorf("memorybackend: no file is named %q: %w", name, fs.ErrNotExist)
}

func (b *Backend) describe(e *entry) sluice.StoredFile {
	f := sluice.StoredFile{
		File: e.file, ContentType: e.spec.ContentType, Metadata: maps.Clone(e.spec.Metadata), Modified: e.finished,
		Algorithms: b.singleDigests,
	}
	f.Digests = cloneDigests(f.Digests)
	if f.Parts == 0 {
		return f
	}
	for i := range e.parts {
		r := e.parts[i].receipt
		r.Digests = cloneDigests(r.Digests)
		f.Receipts = append(f.Receipts, r)
	}
	return f
}

// ReadRange reads from the file that Stat described, as fast as
// Options.Bandwidth.
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if err := b.travel(ctx); err != nil {
		return err
	}
	e := b.lookup(f.Name)
	switch {
	case e == nil:
		return notFound(f.Name)
	case e.file.ID != f.ID:
		return fmt.Errorf("memorybackend: %q is file %s, not %s: %w", f.Name, e.file.ID, f.ID, sluice.ErrReplaced)
	case e.dropped && e.file.Size > 0:
		return errDropped
	}
	offset, size := r.Attempt()
	if offset < 0 || size < 0 || offset > e.file.Size-size {
		return fmt.Errorf("memorybackend: bytes %d to %d are beyond the %d of %q", offset, offset+size, e.file.Size, f.Name)
	}
	start, carried := time.Now(), 0
	for size > 0 {
		data := e.from(offset)
		data = data[:min(int64(len(data)), size, b.slice())]
		carried += len(data)
		if b.bandwidth > 0 {
			due := time.Duration(float64(carried) / float64(b.bandwidth) * float64(time.Second))
			if err := wait(ctx, due-time.Since(start)); err != nil {
				return err
			}
		}
		if _, err := r.Write(data); err != nil {
			return err
		}
		offset += int64(len(data))
		size -= int64(len(data))
	}
	return nil
}

// slice is how many bytes arrive at once: what a connection carries in a
// sixteenth of a second.
func (b *Backend) slice() int64 {
	if b.bandwidth == 0 {
		return math.MaxInt64
	}
	return max(1, b.bandwidth/16)
}

// List yields what is finished when the iteration begins.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		if err := b.travel(ctx); err != nil {
			yield(sluice.StoredFile{}, err)
			return
		}
		b.mu.Lock()
		entries := slices.SortedFunc(maps.Values(b.finished), func(x, y *entry) int {
			return cmp.Compare(x.file.Name, y.file.Name)
		})
		b.mu.Unlock()
		for _, e := range entries {
			if !strings.HasPrefix(e.file.Name, prefix) {
				continue
			}
			if ctx.Err() != nil {
				yield(sluice.StoredFile{}, retry.Ended(ctx, nil))
				return
			}
			if !yield(b.describe(e), nil) {
				return
			}
		}
	}
}

// Remove removes exactly the version of a file that f describes. If it has been
// replaced the error matches [sluice.ErrReplaced]; if there is no such file,
// [fs.ErrNotExist].
func (b *Backend) Remove(ctx context.Context, f sluice.StoredFile) error {
	if err := b.travel(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.finished[f.Name]
	switch {
	case e == nil:
		return notFound(f.Name)
	case e.file.ID != f.ID:
		return fmt.Errorf("memorybackend: %q is file %s, not %s: %w", f.Name, e.file.ID, f.ID, sluice.ErrReplaced)
	}
	delete(b.finished, f.Name)
	return nil
}

package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/c1508ce4/sluice"
)

// bench is a store with a rule on it.
type bench struct {
	Store
	ctx    context.Context
	limits sluice.Limits
	name   string // of the file; other names of the rule begin with it

	opened []sluice.LargeFile
	seeded uint64
}

// tidy cancels what the rule left unfinished, as well as it can: a broken store may be in the way.
func (b *bench) tidy() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), b.Grace)
	defer cancel()
	for _, f := range b.opened {
		_ = f.Cancel(ctx)
	}
}

// random makes n bytes that no other call made.
func (b *bench) random(n int64) []byte {
	b.seeded++
	var seed [32]byte
	seed[0], seed[1] = byte(b.seeded), byte(b.seeded>>8)
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(data) // never fails
	return data
}

// sums are the digests of data by all algorithms of the lists, each once.
func sums(data []byte, lists ...[]sluice.Algorithm) sluice.Digests {
	var d sluice.Digests
	for _, list := range lists {
		for _, a := range list {
			if d.Get(a.Name) == nil {
				h := a.New()
				h.Write(data)
				d = append(d, sluice.Digest{Name: a.Name, Sum: h.Sum(nil)})
			}
		}
	}
	return d
}

// spoiled is the same digests with the first byte of each changed.
func spoiled(d sluice.Digests) sluice.Digests {
	d = cloneDigests(d)
	for i := range d {
		d[i].Sum[0] ^= 0xff
	}
	return d
}

func cloneDigests(d sluice.Digests) sluice.Digests {
	var c sluice.Digests
	for i := range d {
		c = append(c, sluice.Digest{Name: d[i].Name, Sum: bytes.Clone(d[i].Sum)})
	}
	return c
}

// singlePart lends a copy of data as UploadFile takes it.
func (b *bench) singlePart(data []byte) *sluice.Part {
	return sluice.NewPart(0, bytes.Clone(data), sums(data, b.limits.PartDigests, b.limits.WholeDigests))
}

// single stores data under a name in one call.
func (b *bench) single(ctx context.Context, name string, data []byte) (sluice.File, error) {
	return b.Backend.UploadFile(ctx, sluice.FileSpec{Name: name, Size: int64(len(data))}, b.singlePart(data))
}

// draft is a large file with the parts it is to be made of.
type draft struct {
	*bench
	file sluice.LargeFile
	spec sluice.FileSpec
	data [][]byte
}

// spec describes a large file. Its size is declared only if the store has to know it.
func (b *bench) spec(name string) sluice.FileSpec {
	spec := sluice.FileSpec{Name: name, Size: sluice.UnknownSize}
	if b.limits.ServerSizesParts {
		spec.Size = b.Size
	}
	return spec
}

// lastPart is the size of the last of several parts where the store leaves it
// open: below any minimum.
const lastPart = 1000

// start begins a large file of n parts; where the server plans them, of at least n.
func (b *bench) start(name string, n int) (*draft, error) { return b.startSpec(b.spec(name), n) }

func (b *bench) startSpec(spec sluice.FileSpec, n int) (*draft, error) {
	if b.limits.ServerSizesParts && b.Size == 0 {
		return nil, errors.New("the store plans the parts: set Store.Size")
	}
	f, err := b.Backend.StartLargeFile(b.ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("StartLargeFile: %w", err)
	}
	b.opened = append(b.opened, f)
	d := &draft{bench: b, file: f, spec: spec}
	sizes := f.Info().PartSizes
	if b.limits.ServerSizesParts && len(sizes) < n {
		return nil, fmt.Errorf("the plan for %d bytes has %d parts, the rule needs %d: set Store.Size", spec.Size, len(sizes), n)
	}
	if !b.limits.ServerSizesParts {
		for range n - 1 {
			sizes = append(sizes, max(b.limits.MinPart, lastPart+1))
		}
		sizes = append(sizes, lastPart)
	}
	for _, size := range sizes {
		d.data = append(d.data, b.random(size))
	}
	return d, nil
}

// resume opens an unfinished large file. It may belong to the new handle alone from then on.
func (b *bench) resume(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	f, err := b.Backend.ResumeLargeFile(ctx, spec, id)
	if err == nil {
		b.opened = append(b.opened, f)
	}
	return f, err
}

// part lends a copy of the i-th part, from 0.
func (d *draft) part(i int) *sluice.Part {
	return d.lend(i, bytes.Clone(d.data[i]), sums(d.data[i], d.limits.PartDigests))
}

// lend makes data the i-th part, from 0, in its place after the parts before it.
func (d *draft) lend(i int, data []byte, digests sluice.Digests) *sluice.Part {
	p := sluice.NewPart(i+1, data, digests)
	for _, before := range d.data[:i] {
		p.Offset += int64(len(before))
	}
	return p
}

// upload sends the i-th part, from 0, and returns a receipt as the writer would file it.
func (d *draft) upload(i int) (sluice.Receipt, error) {
	r, err := d.file.UploadPart(d.ctx, d.part(i))
	if err != nil {
		return r, fmt.Errorf("UploadPart of part %d: %w", i+1, err)
	}
	return d.receipt(i, r.ETag), nil
}

// receipt is what the writer knows of the i-th part, whatever the store said:
// with the part's own digests.
func (d *draft) receipt(i int, tag string) sluice.Receipt {
	return sluice.Receipt{
		Number: i + 1, Size: int64(len(d.data[i])), Digests: sums(d.data[i], d.limits.PartDigests), ETag: tag,
	}
}

// uploadAll sends all parts, one after the other.
func (d *draft) uploadAll() ([]sluice.Receipt, error) {
	var receipts []sluice.Receipt
	for i := range d.data {
		r, err := d.upload(i)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

// started begins a large file of at least n parts and sends them all.
func (b *bench) started(name string, n int) (*draft, []sluice.Receipt, error) {
	d, err := b.start(name, n)
	if err != nil {
		return nil, nil, err
	}
	receipts, err := d.uploadAll()
	return d, receipts, err
}

func (d *draft) whole() []byte { return bytes.Join(d.data, nil) }

// tryFinish calls Finish with the right digests of the whole.
func (d *draft) tryFinish(ctx context.Context, receipts []sluice.Receipt) (sluice.File, error) {
	return d.file.Finish(ctx, receipts, sums(d.whole(), d.limits.WholeDigests))
}

// finish finishes the large file and reads it back.
func (d *draft) finish(receipts []sluice.Receipt) error {
	if _, err := d.tryFinish(d.ctx, receipts); err != nil {
		return fmt.Errorf("calling Finish: %w", err)
	}
	return d.holds(d.spec.Name, d.whole())
}

// holds reads a finished file and compares it.
func (b *bench) holds(name string, want []byte) error {
	r, err := b.Open(name)
	if err != nil {
		return fmt.Errorf("reading the file back: %w", err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("reading the file back: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the file holds other bytes than were sent: %s", difference(got, want))
	}
	return nil
}

func difference(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d of them, not %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Sprintf("the first at offset %d of %d", i, len(want))
		}
	}
	return "none"
}

// absent sees that no finished file has the name.
func (b *bench) absent(name string) error {
	r, err := b.Open(name)
	if err == nil {
		return errors.Join(errors.New("the file is visible"), r.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Store.Open of a file that is not there: the error does not match fs.ErrNotExist: %w", err)
	}
	return nil
}

// listed returns the ids of the unfinished large files whose names begin with prefix.
func (b *bench) listed(prefix string) ([]string, error) {
	var ids []string
	for u, err := range b.Backend.Unfinished(b.ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("calling Unfinished: %w", err)
		}
		ids = append(ids, u.ID)
	}
	return ids, nil
}

// endedBy reports whether err is how a call reports that its context ended.
func endedBy(ctx context.Context, err error) bool {
	return errors.Is(err, ctx.Err()) && errors.Is(err, context.Cause(ctx))
}

// errGaveUp is the cause with which the kit ends contexts.
var errGaveUp = errors.New("the kit ended the context")

// moments are when the contexts of calls under way are ended: one of them should be in the middle.
func moments() []time.Duration {
	return []time.Duration{100 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}
}

// errSlow is a call that goes on though its context ended.
var errSlow = errors.New("the call did not return")

// cut makes a call and ends its context after a while. It returns the context
// and the call's error; if the call does not return within Grace, an error that
// matches errSlow.
func (b *bench) cut(after time.Duration, call func(context.Context) error) (context.Context, error) {
	return b.cutOn(time.After(after), call)
}

// cutOn is cut at a moment that is not known before.
func (b *bench) cutOn(moment <-chan time.Time, call func(context.Context) error) (context.Context, error) {
	ctx, cancel := context.WithCancelCause(b.ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		return ctx, err
	case <-moment:
	}
	cancel(errGaveUp)
	select {
	case err := <-done:
		return ctx, err
	case <-time.After(b.Grace):
		return ctx, fmt.Errorf("%w within %v after its context ended", errSlow, b.Grace)
	}
}

// notCut is the outcome of a rule about ended contexts if no call was under way
// when its context ended.
const notCut = skipped("every call was over before its context ended: check a store with some milliseconds of latency")

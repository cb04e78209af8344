package faults

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/c1508ce4/sluice"
)

// Backend passes calls to another backend, except where an injector fires, and records all of them.
// It may be used concurrently.
type Backend struct {
	inner     sluice.Backend
	injectors []*Injector

	mu    sync.Mutex // also makes the conditions be asked one at a time, in the order of Op.Index
	clock int
	calls []Call // calls[i] has the Index i+1
}

var _ sluice.Backend = (*Backend)(nil)

// New wraps a backend. Every call asks all injectors in their order. Those that
// match act in that order too, until one of them makes the call fail. Without
// injectors the Backend only records.
func New(b sluice.Backend, injectors ...*Injector) *Backend {
	return &Backend{inner: b, injectors: injectors}
}

// Calls returns the calls of the kinds in the order they began; without kinds, all of them.
func (b *Backend) Calls(kinds ...Kind) []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	var calls []Call
	for _, c := range b.calls {
		if len(kinds) == 0 || slices.Contains(kinds, c.Kind) {
			calls = append(calls, c)
		}
	}
	return calls
}

// begin records a call and returns the injectors that match it.
func (b *Backend) begin(op *Op) []*Injector {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	op.Index = len(b.calls) + 1
	b.calls = append(b.calls, Call{Op: *op, Began: b.clock})
	var matching []*Injector
	for _, i := range b.injectors {
		if i.matches(*op) {
			matching = append(matching, i)
		}
	}
	return matching
}

func (b *Backend) end(op Op, injected bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	c := &b.calls[op.Index-1]
	c.Ended, c.Injected, c.Err = b.clock, injected, err
}

// call makes one call with everything that the injectors do to it. undo, which
// may be nil, puts away a result that the caller does not get because the
// answer was lost.
func call[T any](
	ctx context.Context, b *Backend, op Op, p *sluice.Part, do func() (T, error), undo func(T),
) (result T, err error) {
	var injected bool
	matching := b.begin(&op)
	defer func() { b.end(op, injected, err) }()
	var none T
	for _, i := range matching {
		if i.before == nil {
			continue
		}
		i.fired.Add(1)
		injected = true
		if err := i.before(ctx, op, p); err != nil {
			return none, err
		}
	}
	if result, err = do(); err != nil {
		return result, err
	}
	for _, i := range matching {
		if i.lost == nil {
			continue
		}
		i.fired.Add(1)
		injected = true
		if undo != nil {
			undo(result)
		}
		return none, i.lost
	}
	return result, nil
}

// Limits passes through.
func (b *Backend) Limits() sluice.Limits { return b.inner.Limits() }

// Check passes through.
func (b *Backend) Check(spec sluice.FileSpec) error { return b.inner.Check(spec) }

// UploadFile is an Op of the kind UploadFile.
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	return call(ctx, b, Op{Kind: UploadFile, Name: spec.Name}, p,
		func() (sluice.File, error) { return b.inner.UploadFile(ctx, spec, p) }, nil)
}

// StartLargeFile is an Op of the kind StartLargeFile.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	f, err := call(ctx, b, Op{Kind: StartLargeFile, Name: spec.Name}, nil,
		func() (sluice.LargeFile, error) { return b.inner.StartLargeFile(ctx, spec) },
		func(f sluice.LargeFile) {
			// Best effort, as in a backend: the caller's error is that of the start.
			_ = f.Cancel(context.WithoutCancel(ctx))
		})
	return b.wrap(spec.Name, f, err)
}

// ResumeLargeFile is an Op of the kind ResumeLargeFile.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	f, err := call(ctx, b, Op{Kind: ResumeLargeFile, Name: spec.Name, LargeFile: id}, nil,
		func() (sluice.LargeFile, error) { return b.inner.ResumeLargeFile(ctx, spec, id) }, nil)
	return b.wrap(spec.Name, f, err)
}

func (b *Backend) wrap(name string, f sluice.LargeFile, err error) (sluice.LargeFile, error) {
	if err != nil {
		return nil, err
	}
	return &largeFile{backend: b, inner: f, name: name}, nil
}

// Unfinished is an Op of the kind Unfinished. It begins with the iteration, and
// ends when the whole list is read, before the first of it is yielded. Where an
// injector makes it fail, the error is all it yields; with Lose, too, which
// lets the list be read.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		list, err := call(ctx, b, Op{Kind: Unfinished, Name: prefix}, nil,
			func() ([]sluice.UnfinishedFile, error) {
				var list []sluice.UnfinishedFile
				for u, err := range b.inner.Unfinished(ctx, prefix) {
					if err != nil {
						return list, err
					}
					list = append(list, u)
				}
				return list, nil
			}, nil)
		for _, u := range list {
			if !yield(u, nil) {
				return
			}
		}
		if err != nil {
			yield(sluice.UnfinishedFile{Spec: sluice.FileSpec{Size: sluice.UnknownSize}}, err)
		}
	}
}

// largeFile is a large file of the inner backend.
type largeFile struct {
	backend *Backend
	inner   sluice.LargeFile
	name    string
}

var _ sluice.LargeFile = (*largeFile)(nil)

func (f *largeFile) op(kind Kind) Op {
	return Op{Kind: kind, Name: f.name, LargeFile: f.inner.Info().ID}
}

func (f *largeFile) Info() sluice.LargeFileInfo { return f.inner.Info() }

func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	op := f.op(UploadPart)
	op.Part = p.Number
	return call(ctx, f.backend, op, p,
		func() (sluice.Receipt, error) { return f.inner.UploadPart(ctx, p) }, nil)
}

func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	return call(ctx, f.backend, f.op(Finish), nil,
		func() (sluice.File, error) { return f.inner.Finish(ctx, parts, whole) }, nil)
}

func (f *largeFile) Cancel(ctx context.Context) error {
	_, err := call(ctx, f.backend, f.op(Cancel), nil,
		func() (struct{}, error) { return struct{}{}, f.inner.Cancel(ctx) }, nil)
	return err
}

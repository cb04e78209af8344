package memorybackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Options says what the store is like. A nil *Options and the zero value are the same.
type Options struct {
	// Limits is what the store takes; nil means [DefaultLimits]. Its digests
	// are verified by the hashes it brings. MinParts may be any number.
	Limits *sluice.Limits

	// PlanPart is the size in bytes of the parts in the plans of a store with
	// Limits.ServerSizesParts; the last one is smaller where the file is no
	// multiple of it. The parts are larger if there would be more than
	// Limits.MaxParts, and smaller if there would be fewer than
	// Limits.MinParts. 0 means Limits.MinPart, and 5 MB where that is 0 too.
	PlanPart int64

	// Latency is how long a call waits before it does anything. It ends early if the call's context
	// does, except in Finish: there the request counts as sent when the wait begins.
	Latency time.Duration

	// Bandwidth is how many bytes a second one call carries, 0 any number. Concurrent calls do not
	// share it, just as if each had a connection of its own.
	Bandwidth int64

	// Discard drops the bytes of every part. Sizes and digests are kept and
	// checked against what the caller declares, but the digests are not
	// computed, and a finished file cannot be read.
	Discard bool
}

// DefaultLimits is what a store takes whose Options.Limits is nil: parts of any
// size up to 5 GB, 2 to 10,000 of them, files up to 10 TB, single uploads up to
// 5 GB, a SHA-256 for every part, resumable.
func DefaultLimits() sluice.Limits {
	return sluice.Limits{
		MaxPart:     5e9,
		MinParts:    2,
		MaxParts:    10_000,
		MaxFile:     10e12,
		MaxSingle:   5e9,
		Resumable:   true,
		PartDigests: []sluice.Algorithm{SHA256()},
	}
}

const defaultPlanPart = 5e6

// Backend is a store in memory. It may be used concurrently.
type Backend struct {
	limits    sluice.Limits
	planPart  int64
	latency   time.Duration
	bandwidth int64
	discard   bool

	singleDigests []sluice.Algorithm // of UploadFile: those of a part and of the whole, each once

	mu         sync.Mutex // never held while waiting, copying or hashing
	lastID     int
	finished   map[string]*entry  // by name
	unfinished map[string]*upload // by id
}

var _ sluice.Backend = (*Backend)(nil)

// New returns an empty store.
func New(o *Options) *Backend {
	if o == nil {
		o = new(Options)
	}
	limits := DefaultLimits()
	if o.Limits != nil {
		limits = *o.Limits
	}
	return &Backend{
		limits:        limits,
		planPart:      cmp.Or(o.PlanPart, limits.MinPart, defaultPlanPart),
		latency:       o.Latency,
		bandwidth:     o.Bandwidth,
		discard:       o.Discard,
		singleDigests: union(limits.PartDigests, limits.WholeDigests),
		finished:      make(map[string]*entry),
		unfinished:    make(map[string]*upload),
	}
}

// Limits returns Options.Limits.
func (b *Backend) Limits() sluice.Limits { return b.limits }

// Check refuses an empty name, a size that the limits do not admit, and, in a store that plans the
// parts, a file of unknown size, with an error that matches [sluice.ErrSizeRequired].
func (b *Backend) Check(spec sluice.FileSpec) error {
	switch {
	case spec.Name == "":
		return errors.New("memorybackend: the name is empty")
	case spec.Size < sluice.UnknownSize:
		return fmt.Errorf("memorybackend: size %d of %q is negative", spec.Size, spec.Name)
	case b.limits.MaxFile > 0 && spec.Size > b.limits.MaxFile:
		return fmt.Errorf("memorybackend: size %d of %q is above the largest file, %d bytes: %w",
			spec.Size, spec.Name, b.limits.MaxFile, sluice.ErrTooLarge)
	case b.limits.ServerSizesParts && spec.Size == sluice.UnknownSize:
		return fmt.Errorf("memorybackend: the store plans the parts of %q: %w", spec.Name, sluice.ErrSizeRequired)
	}
	return nil
}

// UploadFile stores a whole file. Its digests are by Limits.PartDigests and Limits.WholeDigests.
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if err := b.checkSingle(spec, p); err != nil {
		return sluice.File{}, err
	}
	digests, err := selectDigests(p.Digests, b.singleDigests)
	if err != nil {
		return sluice.File{}, err
	}
	if err := b.travel(ctx); err != nil {
		return sluice.File{}, err
	}
	data, err := b.receive(ctx, p, b.singleDigests)
	if err != nil {
		return sluice.File{}, err
	}
	file := sluice.File{ID: b.newID(), Name: spec.Name, Size: p.Size, Digests: digests}
	b.publish(file, spec, []storedPart{{data: data, receipt: sluice.Receipt{Size: p.Size}}})
	file.Digests = cloneDigests(digests)
	return file, nil
}

func (b *Backend) checkSingle(spec sluice.FileSpec, p *sluice.Part) error {
	if err := b.Check(spec); err != nil {
		return err
	}
	switch {
	case b.limits.MaxSingle == 0:
		return fmt.Errorf("memorybackend: the store has no single upload: %w", errors.ErrUnsupported)
	case p.Number != 0:
		return fmt.Errorf("memorybackend: a single upload of %q has the part number %d, not 0", spec.Name, p.Number)
	case p.Size != spec.Size:
		return fmt.Errorf("memorybackend: a single upload of %q has %d bytes, its size is declared as %d",
			spec.Name, p.Size, spec.Size)
	case p.Size > b.limits.MaxSingle:
		return fmt.Errorf("memorybackend: %q has %d bytes, a single upload at most %d",
			spec.Name, p.Size, b.limits.MaxSingle)
	}
	return nil
}

// StartLargeFile begins a large file. If ctx ends first there is none.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if err := b.Check(spec); err != nil {
		return nil, err
	}
	var plan []int64
	if b.limits.ServerSizesParts {
		var err error
		if plan, err = planParts(spec.Size, b.planPart, b.limits); err != nil {
			return nil, err
		}
	}
	if err := b.travel(ctx); err != nil {
		return nil, err
	}
	spec.Metadata = maps.Clone(spec.Metadata)
	u := &upload{spec: spec, plan: plan, parts: make(map[int]storedPart)}
	b.mu.Lock()
	u.sequence, u.id = b.nextID()
	u.started = time.Now()
	b.unfinished[u.id] = u
	b.mu.Unlock()
	return b.handle(u), nil
}

// ResumeLargeFile opens an unfinished large file. It must have been started
// with the name, the content type and the metadata of spec; the sizes are
// compared if both are known.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	if !b.limits.Resumable {
		return nil, fmt.Errorf("memorybackend: the store cannot resume: %w", errors.ErrUnsupported)
	}
	if err := b.travel(ctx); err != nil {
		return nil, err
	}
	u := b.find(spec.Name, id)
	switch {
	case u == nil && id != "":
		return nil, fmt.Errorf("memorybackend: large file %s is not unfinished: %w", id, fs.ErrNotExist)
	case u == nil:
		return nil, fmt.Errorf("memorybackend: no unfinished large file is named %q: %w", spec.Name, fs.ErrNotExist)
	case u.spec.Name != spec.Name:
		return nil, fmt.Errorf("%w: memorybackend: large file %s is named %q, not %q",
			sluice.ErrResumeMismatch, u.id, u.spec.Name, spec.Name)
	case spec.Size >= 0 && u.spec.Size >= 0 && u.spec.Size != spec.Size:
		return nil, fmt.Errorf("%w: memorybackend: large file %s has %d bytes, not %d",
			sluice.ErrResumeMismatch, u.id, u.spec.Size, spec.Size)
	case u.spec.ContentType != spec.ContentType:
		return nil, fmt.Errorf("%w: memorybackend: large file %s has the content type %q, not %q",
			sluice.ErrResumeMismatch, u.id, u.spec.ContentType, spec.ContentType)
	case !maps.Equal(u.spec.Metadata, spec.Metadata):
		return nil, fmt.Errorf("%w: memorybackend: large file %s has other metadata: %v, not %v",
			sluice.ErrResumeMismatch, u.id, u.spec.Metadata, spec.Metadata)
	}
	return b.handle(u), nil
}

// find returns the unfinished large file with the id, or the newest one of that
// name if id is "" and no finished file is newer.
func (b *Backend) find(name, id string) *upload {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id != "" {
		return b.unfinished[id]
	}
	var newest *upload
	after := 0
	if e, ok := b.finished[name]; ok {
		after = e.sequence
	}
	for _, u := range b.unfinished {
		if u.spec.Name == name && u.sequence > after && (newest == nil || u.sequence > newest.sequence) {
			newest = u
		}
	}
	return newest
}

// Unfinished lists what was unfinished when the iteration began.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		none := sluice.UnfinishedFile{Spec: sluice.FileSpec{Size: sluice.UnknownSize}}
		if !b.limits.Resumable {
			yield(none, fmt.Errorf("memorybackend: the store lists no unfinished files: %w", errors.ErrUnsupported))
			return
		}
		if err := b.travel(ctx); err != nil {
			yield(none, err)
			return
		}
		for _, u := range b.Leftovers(prefix) {
			if ctx.Err() != nil {
				yield(none, retry.Ended(ctx, nil))
				return
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

// Leftovers is what Unfinished lists, oldest first, at once and also where the
// store is not Resumable: for tests that want to see that nothing is left.
func (b *Backend) Leftovers(prefix string) []sluice.UnfinishedFile {
	b.mu.Lock()
	uploads := slices.SortedFunc(maps.Values(b.unfinished), func(x, y *upload) int {
		return cmp.Compare(x.sequence, y.sequence)
	})
	b.mu.Unlock()
	var list []sluice.UnfinishedFile
	for _, u := range uploads {
		if strings.HasPrefix(u.spec.Name, prefix) {
			spec := u.spec
			spec.Metadata = maps.Clone(spec.Metadata)
			list = append(list, sluice.UnfinishedFile{ID: u.id, Spec: spec, Started: u.started, Age: time.Since(u.started)})
		}
	}
	return list
}

func (b *Backend) newID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, id := b.nextID()
	return id
}

// nextID is called with the lock held.
func (b *Backend) nextID() (int, string) {
	b.lastID++
	return b.lastID, "mem-" + strconv.Itoa(b.lastID)
}

// planParts divides a file of size bytes into parts of the size part, as far as
// the limits admit it. An empty file is one empty part.
func planParts(size, part int64, limits sluice.Limits) ([]int64, error) {
	if n := int64(limits.MinParts); n > 0 {
		part = min(part, max(1, size/n))
	}
	if n := int64(limits.MaxParts); n > 0 {
		part = max(part, (size+n-1)/n)
	}
	part = max(part, limits.MinPart, 1)
	count := max(1, (size+part-1)/part)
	switch {
	case limits.MaxPart > 0 && min(part, size) > limits.MaxPart:
		return nil, fmt.Errorf("memorybackend: %d bytes need parts of %d bytes, a part has at most %d: %w",
			size, part, limits.MaxPart, sluice.ErrTooLarge)
	case count < int64(limits.MinParts):
		return nil, fmt.Errorf("memorybackend: %d bytes make %d parts, at least %d are needed", size, count, limits.MinParts)
	}
	plan := make([]int64, count)
	for i := range plan {
		plan[i] = min(part, size-int64(i)*part)
	}
	return plan, nil
}

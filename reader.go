package sluice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// LargeFileReader reads one version of a file of a [Source]. It is an
// [io.ReadCloser] and an [io.WriterTo].
//
// It fetches ranges of the file concurrently into memory of a [Pool], and
// delivers them in order. While that memory is full of bytes that were not
// read, nothing more is fetched. [io.EOF] means that all bytes came, and that
// they have the digests that the store keeps: see [NewReader].
//
// The first failure is the one that every later call returns. Read and WriteTo
// are called by one goroutine at a time. Stats and Close may be called
// concurrently with them.
type LargeFileReader struct {
	file  StoredFile
	meter *meter

	*lifetime

	turn  chan struct{} // capacity 1: a call that has put its token in has the turn
	ended bool          // no goroutine and no page is left; by the turn's holder only
	// result is what every further call returns once ended.
	result error

	head   *Range // being delivered
	taken  int64  // bytes of it that have been
	offset int64  // bytes of the file that have been
	sums   runningSums

	fetcher
}

var (
	_ io.ReadCloser = (*LargeFileReader)(nil)
	_ io.WriterTo   = (*LargeFileReader)(nil)
)

// NewReader opens the newest version of the file of that name, or the one of
// opts.Version. opts may be nil. Whatever happens to the name later, the reader
// yields bytes of that version only; if the store no longer has it, Read fails
// with an error that matches [ErrReplaced] or [io/fs.ErrNotExist]. If there is
// no such file the error matches [io/fs.ErrNotExist].
//
// A part whose digest the store keeps is verified before the first of its bytes
// is delivered if it fits half of the reader's memory, and before the last one
// otherwise. One that is damaged is fetched again over another connection, once,
// before it is an error. The digest of the whole file is verified before io.EOF.
// Errors about a digest match [ErrDamaged]. What the store does not keep is taken
// from the file's manifest if there is one: see [Options].Manifest. One that is
// about another file is an error that matches [ErrManifestMismatch].
//
// When ctx ends, the reader fails with its cause. Close must be called unless
// Read or WriteTo has returned an error or io.EOF.
func NewReader(ctx context.Context, s Source, name string, opts *ReadOptions) (*LargeFileReader, error) {
	r, err := openReader(ctx, s, name, opts)
	if err != nil {
		return nil, err
	}
	r.begin()
	return r, nil
}

func openReader(ctx context.Context, s Source, name string, opts *ReadOptions) (*LargeFileReader, error) {
	if opts == nil {
		opts = new(ReadOptions)
	}
	fail := func(err error) error { return &Error{Op: "open", Name: name, Err: err} }
	if err := opts.check(); err != nil {
		return nil, fail(err)
	}
	file, err := opts.find(ctx, s, name)
	if err != nil {
		return nil, fail(err)
	}
	doubt, err := opts.addManifest(ctx, s, &file)
	if err != nil {
		return nil, fail(err)
	}
	list, err := newPartList(&file)
	if err != nil {
		return nil, fail(err)
	}
	if doubt != nil {
		list.damaged = fmt.Errorf("%w, or %w", ErrDamaged, doubt)
	}
	pool, err := opts.pool()
	if err != nil {
		return nil, fail(err)
	}
	r := &LargeFileReader{
		file:     file,
		meter:    newMeter(opts.Hooks),
		lifetime: newLifetime(ctx),
		turn:     make(chan struct{}, 1),
		sums:     newRunningSums(&file, list, opts.Digests),
	}
	r.init(r, s, pool, list, opts)
	return r, nil
}

// File returns the version that is being read. Once Read has returned io.EOF
// its Digests have those asked for in ReadOptions too.
func (r *LargeFileReader) File() StoredFile {
	r.turn <- struct{}{}
	defer r.leave()
	return r.file
}

// Read reads the next bytes. It blocks until there is at least one.
func (r *LargeFileReader) Read(p []byte) (int, error) {
	r.turn <- struct{}{}
	defer r.leave()
	if len(p) == 0 && !r.ended {
		return 0, nil
	}
	b, err := r.next(int64(len(p)))
	if err != nil {
		return 0, r.end(err)
	}
	n := copy(p, b)
	r.took(n)
	return n, nil
}

// WriteTo writes the rest of the file to w, a page at most at once, straight
// from the reader's memory.
func (r *LargeFileReader) WriteTo(w io.Writer) (int64, error) {
	r.turn <- struct{}{}
	defer r.leave()
	var total int64
	for {
		b, err := r.next(r.pageSize)
		if err == io.EOF {
			_ = r.end(err)
			return total, nil
		}
		if err != nil {
			return total, r.end(err)
		}
		n, err := w.Write(b)
		if n < 0 || n > len(b) {
			n, err = 0, errors.New("invalid count of bytes written")
		}
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		total += int64(n)
		if err != nil {
			return total, r.end(r.fail(r.error("write", nil, err)))
		}
		r.took(n)
	}
}

// Close ends the reader and waits for everything that it started, and for a
// Read or WriteTo in progress, which fails. A repeat does nothing.
func (r *LargeFileReader) Close() error {
	r.fail(r.error("read", nil, fs.ErrClosed))
	r.turn <- struct{}{}
	defer r.leave()
	_ = r.end(r.failure())
	return nil
}

// Stats returns a snapshot of the reader. It takes no lock.
func (r *LargeFileReader) Stats() ReadStats {
	s := r.meter.readSnapshot()
	s.Size = r.file.Size
	s.Memory = r.memoryUsed.Load()
	s.Concurrency = r.queue.allowed()
	return s
}

func (r *LargeFileReader) leave() { <-r.turn }

// next returns the next bytes to deliver, at most most of them, and io.EOF
// after the last ones. They stay valid until took.
func (r *LargeFileReader) next(most int64) ([]byte, error) {
	if r.ended {
		return nil, r.result
	}
	for {
		if err := r.failure(); err != nil {
			return nil, err
		}
		if r.head == nil {
			if r.offset == r.file.Size {
				return nil, r.complete()
			}
			if !r.wait(nil) {
				continue
			}
		}
		if visible := r.head.visible.Load(); r.taken < visible {
			return r.verified(r.head.memory(r.taken, min(visible, r.taken+most)))
		}
		r.wait(r.head.news)
	}
}

// wait waits for the next range if news is nil, else for news; it reports
// whether there is any. The reader may have failed instead.
func (r *LargeFileReader) wait(news <-chan struct{}) bool {
	r.meter.network.begin(r.meter)
	defer r.meter.network.end(r.meter)
	var ranges <-chan *Range
	if news == nil {
		ranges = r.ranges
	}
	select {
	case r.head = <-ranges:
		r.taken = 0
		return true
	case <-news:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// verified adds b, the next bytes, to the running digests. It fails if they end
// a part or the file and the digest differs.
func (r *LargeFileReader) verified(b []byte) ([]byte, error) {
	if err := r.sums.add(b, r.offset, r.head.whole); err != nil {
		return nil, r.fail(r.error("verify", nil, err))
	}
	return b, nil
}

// took counts n bytes as delivered, and gives back the memory that is no longer
// needed.
func (r *LargeFileReader) took(n int) {
	h := r.head
	before := r.taken
	r.taken += int64(n)
	r.offset += int64(n)
	r.meter.acknowledged.Add(int64(n))
	for page := before / h.pageSize; page < r.taken/h.pageSize; page++ {
		r.releasePage(h, int(page))
	}
	if r.taken == h.Size {
		if h.Size%h.pageSize != 0 {
			r.releasePage(h, len(h.pages)-1)
		}
		r.head = nil
		r.gone()
	}
}

// complete ends a file of which all bytes were delivered.
func (r *LargeFileReader) complete() error {
	if err := r.sums.whole(&r.file); err != nil {
		return r.fail(r.error("verify", nil, err))
	}
	return io.EOF
}

// end makes err the result, joins every goroutine and gives back all memory.
func (r *LargeFileReader) end(err error) error {
	if r.ended {
		return r.result
	}
	failed := err != io.EOF && r.ctx.Err() != nil
	r.ended = true
	r.cancel(errStreamEnded)
	r.stop()
	if failed { // with the store's last failure, which is known once the fetches have ended
		err = r.failure()
	}
	r.result = err
	r.meter.end()
	return err
}

// fail makes err the reader's failure unless it has one already, and returns
// the one it has.
func (r *LargeFileReader) fail(err *Error) error {
	r.lifetime.fail(err)
	return r.failure()
}

func (r *LargeFileReader) failure() error {
	if r.ctx.Err() == nil {
		return nil
	}
	own, cause := r.lifetime.failure()
	if own != nil {
		return own
	}
	return r.explain(r.error("read", nil, cause))
}

func (r *LargeFileReader) error(op string, rng *Range, err error) *Error {
	e := &Error{Op: op, Name: r.file.Name, Err: err}
	if rng != nil {
		e.Part, e.Attempts = rng.part.Number, rng.part.tried.number()
	}
	return e
}

// Download writes the newest version of the file of that name to w, in order.
// It returns nil only if all bytes came and have the digests that the store
// keeps; see [NewReader]. What was written before a failure is not whole. opts
// may be nil.
func Download(ctx context.Context, s Source, name string, w io.Writer, opts *ReadOptions) (StoredFile, error) {
	r, err := NewReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	_, err = r.WriteTo(w)
	return r.File(), err
}

// DownloadAt writes the newest version of the file of that name to w, each range
// as soon as it has been fetched and verified, in any order and concurrently.
// Otherwise it is like [Download].
func DownloadAt(ctx context.Context, s Source, name string, w io.WriterAt, opts *ReadOptions) (StoredFile, error) {
	r, err := openReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	r.to = writerAt{w}
	return r.download()
}

// writerAt is a destination that keeps nothing.
type writerAt struct{ io.WriterAt }

func (w writerAt) writeRange(r *Range) error { return r.writeAt(w.WriterAt) }
func (w writerAt) forget(*Range)             {}

// download runs a reader that has a destination to its end.
func (r *LargeFileReader) download() (StoredFile, error) {
	r.begin()
	_, err := r.WriteTo(io.Discard)
	return r.File(), err
}

// DownloadFile writes the newest version of the file of that name to the file at
// path. That file is new, or is replaced, with the permissions it had, only once
// all bytes came, have the digests that the store keeps, and are synced to the
// disk. A new file, and one that replaces a file of another user, can be read and
// written by its owner only. If path is a link, device, FIFO, socket or folder,
// DownloadFile fails and leaves it alone.
//
// Ranges are written as they arrive to a partial file in the same folder, with a
// record of those that are verified and synced; the names of both begin with
// ".sluice-" and end with that of the target. They stay after a failure, a full
// disk and a crash included, and the next DownloadFile to that path resumes: it
// verifies what it finds, and fetches the rest. If the stored file was replaced
// meanwhile the partial file is of no use, and everything is fetched anew. The
// partial file is written by one DownloadFile at a time, in all processes; a
// second one fails. In a folder that others write to, either file may be one that
// another user has put there: if it is not a regular file with one name, of this
// process's user, which no other may write to, DownloadFile leaves it alone and
// fails. That holds for root too.
func DownloadFile(ctx context.Context, s Source, name, path string, opts *ReadOptions) (StoredFile, error) {
	r, err := openReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	p, err := openPartial(path, &r.file)
	if err != nil {
		return StoredFile{}, r.error("write", nil, err)
	}
	r.source, r.to = p.source(s), p
	f, failed := r.download()
	if failed == nil {
		if err := p.publish(); err != nil {
			failed = r.error("write", nil, err)
		}
	} else if e, ok := errors.AsType[*Error](failed); ok && e.Part == 0 && errors.Is(failed, ErrDamaged) {
		p.discard() // some range is damaged, and nothing tells which
	}
	if err := p.close(); failed == nil && err != nil {
		failed = r.error("write", nil, err)
	}
	return f, failed
}

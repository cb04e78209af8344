package filebackend

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/disk"
	"github.com/c1508ce4/sluice/internal/retry"
)

// largeFile is the handle that one StartLargeFile or ResumeLargeFile returned.
// It keeps files open only while calls run, because nothing tells it when it is
// not needed any more.
type largeFile struct {
	backend *Backend
	spec    sluice.FileSpec
	info    sluice.LargeFileInfo

	mu      sync.Mutex // held while the record is written, never while a part is
	layout  layout
	size    int64   // of the record as this handle has written it
	open    *opened // while a call runs
	calls   int     // that use open
	damaged error   // the record could not be brought into order again
}

// opened is the files of a large file. The record is locked.
type opened struct {
	record, data *os.File

	syncing sync.Mutex
	failed  error // of the first sync of data that failed
}

// sync syncs the data. Once that has failed it fails: the system reports that
// data was lost to one sync of the open file and not to the next, whichever
// part the data is of.
func (o *opened) sync(file func(*os.File) error) error {
	o.syncing.Lock()
	defer o.syncing.Unlock()
	if o.failed == nil {
		o.failed = file(o.data)
	}
	return o.failed
}

func (o *opened) Close() error { return errors.Join(o.data.Close(), closeRecord(o.record)) }

var _ sluice.LargeFile = (*largeFile)(nil)

var (
	errBusy  = errors.New("it is being written to by another process or handle")
	errTaken = errors.New("it was resumed by another process or handle, which owns it now")
	errGone  = fmt.Errorf("it is finished or cancelled: %w", fs.ErrNotExist)
)

func (b *Backend) handle(spec sluice.FileSpec, id string) *largeFile {
	spec.Metadata = maps.Clone(spec.Metadata)
	return &largeFile{backend: b, spec: spec, info: sluice.LargeFileInfo{ID: id}}
}

func dataName(dir, id string) string { return path.Join(dir, prefix+id) }

func (f *largeFile) data() string   { return dataName(path.Dir(f.spec.Name), f.info.ID) }
func (f *largeFile) record() string { return f.data() + recordSuffix }

// Info returns the same value in every call; its slices are not to be changed.
func (f *largeFile) Info() sluice.LargeFileInfo { return f.info }

// fail says which large file an error is about.
func (f *largeFile) fail(doing string, err error) error {
	return fmt.Errorf("filebackend: %s large file %s of %q in %s: %w",
		doing, f.info.ID, f.spec.Name, f.backend.root.Name(), err)
}

// UploadPart writes a part at its offset. What it writes over, an earlier part
// of that number or others that were cut otherwise, is not stored any more,
// even if it fails.
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if ctx.Err() != nil {
		return sluice.Receipt{}, retry.Ended(ctx, nil)
	}
	e := extent{number: p.Number, offset: p.Offset, size: p.Size}
	err := f.checkPart(e)
	if err == nil {
		err = f.storePart(ctx, p, &e)
	}
	if err != nil {
		return sluice.Receipt{}, f.fail(fmt.Sprintf("writing part %d of", p.Number), err)
	}
	return e.receipt(), nil
}

func (f *largeFile) checkPart(e extent) error {
	switch {
	case e.number < 1 || e.number > maxParts:
		return fmt.Errorf("part number %d is not from 1 to %d", e.number, maxParts)
	case e.size < 1:
		return errors.New("a part has at least one byte; an empty file is a single upload")
	case e.offset < 0 || e.offset > math.MaxInt64-e.size:
		return fmt.Errorf("the offset %d is out of range", e.offset)
	case f.spec.Size >= 0 && e.end() > f.spec.Size:
		return fmt.Errorf("it ends at byte %d, the size of the file is declared as %d", e.end(), f.spec.Size)
	}
	return nil
}

func (f *largeFile) storePart(ctx context.Context, p *sluice.Part, e *extent) (err error) {
	files, err := f.begin(*e)
	if err != nil {
		return err
	}
	stored := false
	defer func() { err = errors.Join(err, f.end(*e, stored && err == nil)) }()
	if e.sum, err = write(ctx, files.data, p); err != nil {
		return err
	}
	stored = true
	return files.sync(f.backend.syncFile)
}

// begin claims the bytes of a part. The parts that it writes over leave the
// record before that: a crash must not leave them recorded with other bytes.
func (f *largeFile) begin(e extent) (*opened, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(); err != nil {
		return nil, err
	}
	if err := f.claim(e); err != nil {
		return nil, errors.Join(err, f.leave())
	}
	return f.open, nil
}

func (f *largeFile) claim(e extent) error {
	if err := f.layout.claim(e); err != nil {
		return err
	}
	replaced := f.layout.replaced(e)
	if len(replaced) == 0 {
		return nil
	}
	if err := f.append(event{Dropped: replaced}); err != nil {
		f.layout.release(e.number)
		return err
	}
	f.layout.drop(replaced)
	return nil
}

// end gives up the claim on a part's bytes, and records the part if it is stored.
func (f *largeFile) end(e extent, stored bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.layout.release(e.number)
	var err error
	if stored {
		e.stored = time.Now().UTC()
		if err = f.append(storedEvent(e)); err == nil {
			f.layout.store(e)
		}
	}
	return errors.Join(err, f.leave())
}

// enter opens the files for a call, and makes sure that no other handle has taken
// them over. With f.mu held.
func (f *largeFile) enter() error {
	if f.damaged != nil {
		return f.damaged
	}
	if f.open == nil {
		record, err := f.openRecord()
		if err != nil {
			return err
		}
		data, err := f.backend.root.OpenOwn(f.data(), os.O_RDWR)
		if err != nil {
			return errors.Join(gone(err), closeRecord(record))
		}
		f.open = &opened{record: record, data: data}
	}
	f.calls++
	return nil
}

// leave closes the files when the last call ends. With f.mu held.
func (f *largeFile) leave() error {
	f.calls--
	if f.calls > 0 {
		return nil
	}
	o := f.open
	f.open = nil
	return o.Close()
}

// openRecord opens and locks the record if it is as this handle has left it.
func (f *largeFile) openRecord() (*os.File, error) {
	record, err := f.backend.root.OpenOwn(f.record(), os.O_RDWR)
	if err != nil {
		return nil, gone(err)
	}
	err = lock(record)
	if err == nil {
		var info fs.FileInfo
		if info, err = record.Stat(); err == nil && info.Size() != f.size && f.damaged == nil {
			err = errTaken
		}
	}
	if err != nil {
		return nil, errors.Join(err, closeRecord(record))
	}
	return record, nil
}

// lock takes record for this handle until closeRecord.
func lock(record *os.File) error {
	err := disk.Lock(record)
	if errors.Is(err, disk.ErrLocked) {
		return errBusy
	}
	return err
}

func closeRecord(record *os.File) error { return errors.Join(disk.Unlock(record), record.Close()) }

// gone says what it means that a file is not there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return err
}

// append writes a line at the end of the record. If that fails the record is as
// before, or the handle is of no use any more. With f.mu held, while a call
// runs.
func (f *largeFile) append(e event) error {
	line, err := encode(e)
	if err != nil {
		return err
	}
	record := f.open.record
	if _, err = record.WriteAt(line, f.size); err == nil {
		err = f.backend.syncFile(record)
	}
	if err == nil {
		f.size += int64(len(line))
		return nil
	}
	if failed := record.Truncate(f.size); failed != nil {
		f.damaged = errors.Join(err, failed)
	}
	return err
}

// write writes a part at its offset, or a whole file at the start, and returns its sum.
func write(ctx context.Context, data *os.File, p *sluice.Part) (uint32, error) {
	body := p.Attempt()
	defer body.Close()
	sum := newCRC()
	w := &pieces{ctx: ctx, to: io.NewOffsetWriter(data, p.Offset), sum: sum}
	if _, err := body.WriteTo(w); err != nil {
		return 0, err
	}
	return sum.Sum32(), agree(p.Digests, sum.Sum32())
}

func read(ctx context.Context, data *os.File, e extent) (uint32, error) {
	sum := newCRC()
	n, err := io.CopyBuffer(&pieces{ctx: ctx, to: io.Discard, sum: sum}, io.NewSectionReader(data, e.offset, e.size), make([]byte, 1<<20))
	if err == nil && n < e.size {
		err = io.ErrUnexpectedEOF
	}
	return sum.Sum32(), err
}

// pieces writes a MiB at a time, until ctx ends.
type pieces struct {
	ctx context.Context
	to  io.Writer
	sum hash.Hash32
}

func (w *pieces) Write(q []byte) (int, error) {
	var total int
	for len(q) > 0 {
		if w.ctx.Err() != nil {
			return total, retry.Ended(w.ctx, nil)
		}
		piece := q[:min(len(q), 1<<20)]
		w.sum.Write(piece)
		n, err := w.to.Write(piece)
		total += n
		if err != nil {
			return total, err
		}
		q = q[n:]
	}
	return total, nil
}

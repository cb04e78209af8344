package memorybackend

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"github.com/c1508ce4/sluice"
)

// StoredFile describes a finished file.
type StoredFile struct {
	sluice.File
	Spec     sluice.FileSpec // it was stored with
	Finished time.Time
}

// entry is a finished file in the store. It never changes; a newer file of its
// name takes its place.
type entry struct {
	file     sluice.File
	spec     sluice.FileSpec
	finished time.Time
	sequence int  // of the last id given before that
	dropped  bool // the bytes are not kept
	parts    []storedPart
	ends     []int64 // ends[i] is the offset after parts[i]
}

// publish makes a file visible, in place of an earlier one of the same name,
// and forgets the large file.
func (b *Backend) publish(file sluice.File, spec sluice.FileSpec, parts []storedPart) {
	spec.Metadata = maps.Clone(spec.Metadata)
	e := &entry{file: file, spec: spec, finished: time.Now(), dropped: b.discard, parts: parts}
	var end int64
	for i := range parts {
		end += parts[i].receipt.Size
		e.ends = append(e.ends, end)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e.sequence = b.lastID
	b.finished[file.Name] = e
	delete(b.unfinished, file.ID)
}

func (b *Backend) forget(u *upload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.unfinished, u.id)
}

// Names are the names of all finished files, sorted.
func (b *Backend) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.finished))
}

// File describes the finished file of that name, and reports whether there is one.
func (b *Backend) File(name string) (StoredFile, bool) {
	e := b.lookup(name)
	if e == nil {
		return StoredFile{}, false
	}
	s := StoredFile{File: e.file, Spec: e.spec, Finished: e.finished}
	s.Digests = cloneDigests(s.Digests)
	s.Spec.Metadata = maps.Clone(s.Spec.Metadata)
	return s, true
}

// Open opens the finished file of that name, which may be one that
// [fs.ValidPath] refuses. It reads the same bytes for as long as it is open,
// even if a newer file takes the name. If there is none the error matches
// [fs.ErrNotExist].
func (b *Backend) Open(name string) (*File, error) {
	e := b.lookup(name)
	if e == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &File{entry: e}, nil
}

func (b *Backend) lookup(name string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.finished[name]
}

// File is a finished file opened for reading. ReadAt may be called concurrently.
type File struct {
	entry  *entry
	offset int64
	closed atomic.Bool
}

var (
	_ fs.File       = (*File)(nil)
	_ io.ReadSeeker = (*File)(nil)
	_ io.ReaderAt   = (*File)(nil)
	_ io.WriterTo   = (*File)(nil)
)

var errDropped = errors.New("memorybackend: the bytes were dropped, as Options.Discard asks")

// Read reads the next bytes.
func (f *File) Read(q []byte) (int, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	if f.offset >= f.entry.file.Size {
		return 0, io.EOF
	}
	n := f.entry.readAt(q, f.offset)
	f.offset += int64(n)
	return n, nil
}

// ReadAt reads from an offset and leaves alone where Read goes on.
func (f *File) ReadAt(q []byte, offset int64) (int, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	if offset < 0 {
		return 0, f.fail("read", fmt.Errorf("negative offset %d: %w", offset, fs.ErrInvalid))
	}
	n := f.entry.readAt(q, offset)
	if n < len(q) {
		return n, io.EOF
	}
	return n, nil
}

// Seek sets where Read goes on.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if f.closed.Load() {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.entry.file.Size
	default:
		return 0, f.fail("seek", fmt.Errorf("whence %d: %w", whence, fs.ErrInvalid))
	}
	if offset < 0 {
		return 0, f.fail("seek", fmt.Errorf("negative offset %d: %w", offset, fs.ErrInvalid))
	}
	f.offset = offset
	return offset, nil
}

// WriteTo writes the rest of the file, one part after the other.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if err := f.check("read"); err != nil {
		return 0, err
	}
	var total int64
	for f.offset < f.entry.file.Size {
		rest := f.entry.from(f.offset)
		n, err := w.Write(rest)
		f.offset += int64(n)
		total += int64(n)
		if err == nil && n < len(rest) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) {
	if f.closed.Load() {
		return nil, f.fail("stat", fs.ErrClosed)
	}
	return fileInfo{f.entry}, nil
}

// Close ends reading.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	return nil
}

func (f *File) check(op string) error {
	switch {
	case f.closed.Load():
		return f.fail(op, fs.ErrClosed)
	case f.entry.dropped && f.entry.file.Size > 0:
		return f.fail(op, errDropped)
	}
	return nil
}

func (f *File) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.entry.file.Name, Err: err}
}

// from returns the bytes from an offset within the file to the end of the part it falls in.
func (e *entry) from(offset int64) []byte {
	i := sort.Search(len(e.ends), func(i int) bool { return e.ends[i] > offset })
	data := e.parts[i].data
	return data[int64(len(data))-(e.ends[i]-offset):]
}

// readAt fills q from an offset, less only where the file ends.
func (e *entry) readAt(q []byte, offset int64) int {
	var n int
	for n < len(q) && offset < e.file.Size {
		copied := copy(q[n:], e.from(offset))
		n += copied
		offset += int64(copied)
	}
	return n
}

// fileInfo describes an entry to package fs.
type fileInfo struct{ entry *entry }

func (i fileInfo) Name() string       { return path.Base(i.entry.file.Name) }
func (i fileInfo) Size() int64        { return i.entry.file.Size }
func (i fileInfo) Mode() fs.FileMode  { return 0o444 }
func (i fileInfo) ModTime() time.Time { return i.entry.finished }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) String() string     { return fs.FormatFileInfo(i) }

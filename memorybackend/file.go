package memorybackend

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"time"

	"github.com/c1508ce4/sluice"
)

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

// File describes the finished file of that name, as Stat does, and reports whether
// there is one.
func (b *Backend) File(name string) (sluice.StoredFile, bool) {
	e := b.lookup(name)
	if e == nil {
		return sluice.StoredFile{}, false
	}
	return b.describe(e), true
}

// Open opens the finished file of that name, which may be one that
// [fs.ValidPath] refuses. It reads the same bytes even if a newer file takes the
// name. If there is none the error matches [fs.ErrNotExist].
func (b *Backend) Open(name string) (*File, error) {
	e := b.lookup(name)
	if e == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &File{io.NewSectionReader(e, 0, e.file.Size), e}, nil
}

func (b *Backend) lookup(name string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.finished[name]
}

// File is a finished file opened for reading. ReadAt may be called concurrently.
type File struct {
	*io.SectionReader
	entry *entry
}

var _ fs.File = (*File)(nil)

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) { return fileInfo{f.entry}, nil }

// Close does nothing: there is nothing to give up.
func (f *File) Close() error { return nil }

var errDropped = errors.New("memorybackend: the bytes were dropped, as Options.Discard asks")

// from returns the bytes from an offset within the file to the end of the part it falls in.
func (e *entry) from(offset int64) []byte {
	i := sort.Search(len(e.ends), func(i int) bool { return e.ends[i] > offset })
	data := e.parts[i].data
	return data[int64(len(data))-(e.ends[i]-offset):]
}

// ReadAt fills q from an offset, less only where the file ends.
func (e *entry) ReadAt(q []byte, offset int64) (n int, err error) {
	if e.dropped && e.file.Size > 0 {
		return 0, errDropped
	}
	for n < len(q) {
		if offset >= e.file.Size {
			return n, io.EOF
		}
		copied := copy(q[n:], e.from(offset))
		n += copied
		offset += int64(copied)
	}
	return n, nil
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

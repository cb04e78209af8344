package sluice

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// page is the unit of a Pool: memory, or a place in its buffer file.
type page struct {
	mem []byte // nil: the page is in the file
	at  int64  // its offset there
}

// pageFile is what a bufferFile needs of an [os.File]. Tests put one in its
// place on a disk that fills up.
type pageFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// bufferFile is where the pages of a file pool lie: a temporary file that has
// no name any more, so that it is gone with the process. It is made when the
// first page is written.
type bufferFile struct {
	dir      string
	pageSize int64

	mu      sync.Mutex
	file    pageFile
	closed  bool
	free    []int64 // offsets that can be written again
	end     int64
	scratch [][]byte // for reading, scratchSize each
}

// scratchSize is the memory that one reader of buffered pages takes.
const scratchSize = 256 << 10

func newBufferFile(dir string, pageSize int) (*bufferFile, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("buffer folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("buffer folder: %s is not a folder", dir)
	}
	return &bufferFile{dir: dir, pageSize: int64(pageSize)}, nil
}

func (b *bufferFile) open() (pageFile, error) {
	if b.closed {
		return nil, os.ErrClosed
	}
	if b.file != nil {
		return b.file, nil
	}
	f, err := os.CreateTemp(b.dir, "sluice-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // not every system lets an open file go
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	b.file = f
	return f, nil
}

// write puts data on a page of the file. A full disk is the error of the system.
func (b *bufferFile) write(data []byte) (page, error) {
	b.mu.Lock()
	f, err := b.open()
	var at int64
	if n := len(b.free); n > 0 {
		at, b.free = b.free[n-1], b.free[:n-1]
	} else {
		at = b.end
		b.end += b.pageSize
	}
	b.mu.Unlock()
	if err == nil {
		_, err = f.WriteAt(data, at)
	}
	if err != nil {
		b.release(at)
		return page{}, err
	}
	return page{at: at}, nil
}

// read fills q from the page at that offset, from its byte off on.
func (b *bufferFile) read(q []byte, at, off int64) error {
	b.mu.Lock()
	f, err := b.open()
	b.mu.Unlock()
	if err == nil {
		_, err = f.ReadAt(q, at+off)
	}
	return err
}

func (b *bufferFile) release(at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, at)
}

func (b *bufferFile) takeScratch() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.scratch); n > 0 {
		s := b.scratch[n-1]
		b.scratch = b.scratch[:n-1]
		return s
	}
	return make([]byte, min(scratchSize, b.pageSize))
}

func (b *bufferFile) giveScratch(s []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scratch = append(b.scratch, s)
}

func (b *bufferFile) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}

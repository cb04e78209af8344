package sluice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// A stream is given up, from any goroutine. Whatever waits ends with the
// reason, and nothing is finished.
func ExampleLargeFileWriter_Abort() {
	backend := memorybackend.New(nil)
	w, err := sluice.New(context.Background(), backend, "db.dump", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(w, "half a dump"); err != nil {
		log.Fatal(err)
	}
	changed := errors.New("the schema changed meanwhile")
	w.Abort(changed)
	fmt.Println(errors.Is(w.Close(), changed), backend.Names(), len(backend.Leftovers("")))
	// Output: true [] 0
}

// A snapshot of how it goes may be taken at any time, from any goroutine, and
// costs next to nothing.
func ExampleLargeFileWriter_Stats() {
	w, err := sluice.New(context.Background(), memorybackend.New(nil), "log", &sluice.Options{MemoryLimit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort(nil)
	if _, err := w.Write(make([]byte, 1000)); err != nil {
		log.Fatal(err)
	}
	s := w.Stats()
	fmt.Println("before Close:", s.Accepted, "accepted,", s.Acknowledged, "stored")
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	s = w.Stats()
	fmt.Println("after it:", s.Accepted, "accepted,", s.Acknowledged, "stored,", s.Retries, "retries")
	// Output:
	// before Close: 1000 accepted, 0 stored
	// after it: 1000 accepted, 1000 stored, 0 retries
}

// With BufferDir the limit counts pages in a temporary file that has no name,
// so that a long stream, or a slow line, takes disk and not memory.
func ExampleOptions_bufferDir() {
	dir, err := os.MkdirTemp("", "buffer") // of a disk with room for MemoryLimit
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	options := &sluice.Options{BufferDir: dir, MemoryLimit: 8 << 20, PageSize: 64 << 10, PartSize: 1 << 20}
	file, err := sluice.Upload(context.Background(), memorybackend.New(nil), "big", options, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(zeros{}, 20<<20))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	fmt.Println(file.Size, "bytes; files left in the folder:", len(left))
	// Output: 20971520 bytes; files left in the folder: 0
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// How far the memory carries is known before the first byte.
func ExampleLargeFileWriter_Settings() {
	w, err := sluice.New(context.Background(), memorybackend.New(nil), "log", &sluice.Options{
		MemoryLimit: 64 << 20, MaxSize: 10 << 30,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort(nil)
	fmt.Println("longest stream:", w.Settings().MaxStreamSize>>30, "GiB")
	// Output: longest stream: 10 GiB
}

// What failed is told by [sluice.Error], and its cause by errors.Is.
func ExampleError() {
	failure := errors.New("disk is gone")
	_, err := sluice.Upload(context.Background(), memorybackend.New(nil), "db.dump", nil, func(w io.Writer) error {
		_, _ = io.Copy(w, strings.NewReader("half a dump"))
		return failure
	})
	var e *sluice.Error
	fmt.Println(errors.As(err, &e), errors.Is(err, failure), errors.Is(err, sluice.ErrFinishUnknown))
	// Output: true true false
}

package sluice_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"sync"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// The whole life of a stream in one call.
func ExampleUpload() {
	backend := memorybackend.New(nil)
	source := strings.NewReader("of a length that nobody knows")

	file, err := sluice.Upload(context.Background(), backend, "greeting.txt", nil, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
	if err != nil {
		log.Fatal(err) // nothing was finished
	}
	fmt.Println(file.Name, file.Size)
	// Output: greeting.txt 29
}

// A tar of a file system, compressed on the way. An error at any stage, the
// compressor's Close included, is returned, and then nothing is finished. With
// s2 or lz4 in place of zstd a source that is cut off, such as the body of an
// HTTP request, can look like one that ended; see the package's documentation.
func ExampleUpload_compressed() {
	backend := memorybackend.New(nil)
	files := fstest.MapFS{"a.txt": {Data: []byte("alpha")}, "b/c.txt": {Data: []byte("gamma")}}

	_, err := sluice.Upload(context.Background(), backend, "files.tar.zst", nil, func(w io.Writer) error {
		z, err := zstd.NewWriter(w)
		if err != nil {
			return err
		}
		t := tar.NewWriter(z)
		if err := t.AddFS(files); err != nil {
			return err
		}
		if err := t.Close(); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		log.Fatal(err)
	}

	f, err := backend.FS().Open("files.tar.zst")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		log.Fatal(err)
	}
	defer z.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			break
		}
		fmt.Println(h.Name)
	}
	// Output:
	// a.txt
	// b/
	// b/c.txt
}

// The writer itself. The deferred Abort does nothing after a Close.
func ExampleNew() {
	backend := memorybackend.New(nil)
	save := func(ctx context.Context) error {
		w, err := sluice.New(ctx, backend, "log.txt", &sluice.Options{ContentType: "text/plain"})
		if err != nil {
			return err
		}
		defer w.Abort(nil)
		for i := range 3 {
			if _, err := fmt.Fprintln(w, "line", i); err != nil {
				return err
			}
		}
		return w.Close()
	}
	if err := save(context.Background()); err != nil {
		log.Fatal(err)
	}
	text, _ := fs.ReadFile(backend.FS(), "log.txt")
	fmt.Print(string(text))
	// Output:
	// line 0
	// line 1
	// line 2
}

// A source that fails while ReadFrom reads it never becomes a file, and the error is the source's.
func ExampleLargeFileWriter_ReadFrom() {
	backend := memorybackend.New(nil)
	source := io.MultiReader(strings.NewReader("half a dump"), failing{})

	w, err := sluice.New(context.Background(), backend, "db.dump", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = w.ReadFrom(source) // even if its error is ignored
	err = w.Close()
	fmt.Println(err)
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), backend.Names())
	// Output:
	// sluice: read "db.dump": unexpected EOF
	// true []
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Many streams at once under one memory limit.
func ExampleNewPool() {
	backend := memorybackend.New(nil)
	pool, err := sluice.NewPool(64<<20, 0)
	if err != nil {
		log.Fatal(err)
	}
	var streams sync.WaitGroup
	for i := range 8 {
		streams.Go(func() {
			name := fmt.Sprintf("shard-%d", i)
			_, err := sluice.Upload(context.Background(), backend, name, &sluice.Options{Pool: pool}, func(w io.Writer) error {
				_, err := io.WriteString(w, strings.Repeat(name, 1000))
				return err
			})
			if err != nil {
				log.Print(err)
			}
		})
	}
	streams.Wait()
	fmt.Println(len(backend.Names()), "files, pages in use:", pool.InUse())
	// Output: 8 files, pages in use: 0
}

// Digests of the whole stream, several at once, beside the upload.
func ExampleOptions_digests() {
	backend := memorybackend.New(nil)
	options := &sluice.Options{Digests: []sluice.Algorithm{{Name: "sha256", New: sha256.New}}}
	file, err := sluice.Upload(context.Background(), backend, "f", options, func(w io.Writer) error {
		_, err := io.WriteString(w, "abc")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%x\n", file.Digests.Get("sha256"))
	// Output: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
}

// An upload that died is gone on with when the program runs again: the source
// is read from its first byte, and what the store has is compared, not sent.
func ExampleOptions_resume() {
	backend := memorybackend.New(nil)
	source := strings.Repeat("the same bytes again ", 1<<17)
	stored := make(chan int, 100)
	options := &sluice.Options{
		MemoryLimit: 4 << 20, PageSize: 64 << 10, Resume: true,
		Hooks: &sluice.Hooks{PartDone: func(p sluice.PartEvent, err error) { stored <- p.Number }},
	}

	w, err := sluice.New(context.Background(), backend, "big", options)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.WriteString(w, source[:1<<20])
	for range 3 {
		<-stored
	}
	w.Abort(errors.New("power failure")) // which the large file survives, as it would a real one

	w, err = sluice.New(context.Background(), backend, "big", options)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort(nil)
	if _, err := io.Copy(w, strings.NewReader(source)); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.File().Size, w.Stats().Reused >= 3*256<<10)
	// Output: 2752512 true
}

// Hooks tell what happens; the id of a large file is what a program writes down
// to clean up after a crash.
func ExampleHooks() {
	hooks := &sluice.Hooks{
		PartDone: func(p sluice.PartEvent, err error) {
			fmt.Fprintln(os.Stdout, "part", p.Number, "of", p.Size, "bytes:", err)
		},
	}
	options := &sluice.Options{MemoryLimit: 4 << 20, PageSize: 64 << 10, PartSize: 1 << 20, Concurrency: 1, Hooks: hooks}
	_, err := sluice.Upload(context.Background(), memorybackend.New(nil), "f", options, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 2<<20+5))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// part 1 of 1048576 bytes: <nil>
	// part 2 of 1048576 bytes: <nil>
	// part 3 of 5 bytes: <nil>
}

package b2backend_test

import (
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// A stream of unknown length goes to a bucket, here of the local test server.
func Example() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()

	backend, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()}) // without Endpoint: the real service
	if err != nil {
		log.Fatal(err)
	}
	source := io.LimitReader(endless{}, 12_000_000)
	file, err := sluice.Upload(ctx, backend, "backup.tar", &sluice.Options{PartSize: 5_000_000, MemoryLimit: 32 << 20}, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes in %d parts\n", file.Name, file.Size, file.Parts)
	// Output: backup.tar: 12000000 bytes in 3 parts
}

// An existing file is made longer without downloading it.
func ExampleLargeFile_CopyPart() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	old, err := sluice.Upload(ctx, backend, "log", nil, func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(endless{}, 6_000_000))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	large, err := backend.StartLargeFile(ctx, sluice.FileSpec{Name: "log", Size: sluice.UnknownSize})
	if err != nil {
		log.Fatal(err)
	}
	first, err := large.(*b2backend.LargeFile).CopyPart(ctx, 1, b2backend.CopySource{FileID: old.ID})
	if err != nil {
		log.Fatal(err)
	}
	line := []byte("one more line\n")
	sum := sha1.Sum(line)
	second, err := large.UploadPart(ctx, sluice.NewPart(2, line, sluice.Digests{{Name: "sha1", Sum: sum[:]}}))
	if err != nil {
		log.Fatal(err)
	}
	longer, err := large.Finish(ctx, []sluice.Receipt{first, second}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(longer.Size)
	// Output: 6000014
}

// Handles of one bucket store files with options of their own.
func ExampleBackend_With() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	downloads := backend.With(b2backend.FileOptions{
		ContentDisposition: `attachment; filename="report.csv"`,
		CacheControl:       "no-store",
		Encryption:         b2backend.EncryptB2(),
	})
	file, err := sluice.Upload(ctx, downloads, "2026/report.csv", &sluice.Options{ContentType: "text/csv"}, func(w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader("a,b\n1,2\n"))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Name, file.Size)
	// Output: 2026/report.csv 8
}

// endless is a source without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

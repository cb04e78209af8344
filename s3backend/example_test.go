package s3backend_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/s3backend"
)

// The examples run with an AWS environment (AWS_REGION, AWS_ACCESS_KEY_ID and
// so on) that leads to a server on this machine, with a bucket "examples".

// A stream of unknown length goes to a bucket.
func Example() {
	ctx := context.Background()
	backend, err := s3backend.New(ctx, "examples", nil) // the usual AWS environment and files
	if err != nil {
		log.Fatal(err)
	}
	source := io.LimitReader(zeros{}, 12_000_000)
	file, err := sluice.Upload(ctx, backend, "backup.tar", &sluice.Options{PartSize: 5 << 20, MemoryLimit: 32 << 20}, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes in %d parts\n", file.Name, file.Size, file.Parts)
	// Output: backup.tar: 12000000 bytes in 3 parts
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A store that is not Amazon's is named by its endpoint.
func ExampleNew() {
	backend, err := s3backend.New(context.Background(), "backups", &s3backend.Options{
		Endpoint: "https://s3.us-west-004.backblazeb2.com", Region: "us-west-004",
	})
	fmt.Println(backend, err) // nothing is sent yet
	// Output: s3://backups <nil>
}

// A store that rejects the headers of checksums is recognized. Where that is known
// it can be told.
func ExampleChecksum() {
	backend, err := s3backend.New(context.Background(), "backups", &s3backend.Options{
		Endpoint: "https://rgw.example:7443", Checksum: s3backend.ChecksumNone,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range backend.Limits().PartDigests {
		fmt.Println(a.Name) // in the signature
	}
	// Output: sha256
}

// Files of a handle have its options.
func ExampleBackend_With() {
	ctx := context.Background()
	backend, err := s3backend.New(ctx, "examples", nil)
	if err != nil {
		log.Fatal(err)
	}
	reports := backend.With(s3backend.FileOptions{ContentDisposition: "attachment", CacheControl: "no-store"})
	file, err := sluice.Upload(ctx, reports, "report.csv", &sluice.Options{ContentType: "text/csv"}, func(w io.Writer) error {
		_, err := io.WriteString(w, "a,b\n1,2\n")
		return err
	})
	fmt.Println(file.Size, err)
	// Output: 8 <nil>
}

// A file is read back. What came is whole if the reading ends without an error, not before.
func Example_download() {
	ctx := context.Background()
	backend, err := s3backend.New(ctx, "examples", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = sluice.Upload(ctx, backend, "greeting", nil, func(w io.Writer) error {
		_, err := io.WriteString(w, "hello, world")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	var content strings.Builder
	file, err := sluice.Download(ctx, backend, "greeting", &content, nil)
	if err != nil {
		log.Fatal(err)
	}
	digest := file.Digests[0]
	fmt.Printf("%s: %d bytes, %s %x…: %s\n", file.Name, file.Size, digest.Name, digest.Sum[:4], &content)
	// Output: greeting: 12 bytes, sha256 09ca7e4e…: hello, world
}

// What a crash has left is listed, with its parts, and cancelled. A program
// looks at Started first: another process may still be uploading it.
func ExampleBackend_Unfinished() {
	ctx := context.Background()
	backend, err := s3backend.New(ctx, "examples", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := backend.StartLargeFile(ctx, sluice.FileSpec{Name: "db/monday.dump", Size: sluice.UnknownSize}); err != nil {
		log.Fatal(err)
	}

	for u, err := range backend.Unfinished(ctx, "db/") {
		if err != nil {
			log.Fatal(err)
		}
		parts, err := backend.Parts(ctx, u)
		if err != nil {
			log.Fatal(err)
		}
		f, err := backend.ResumeLargeFile(ctx, u.Spec, u.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("cancelling", u.Spec.Name, "of", len(parts), "parts:", f.Cancel(ctx))
	}
	// Output: cancelling db/monday.dump of 0 parts: <nil>
}

package b2backend_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// dialExample is how a program reaches its bucket, here of the local test
// server.
func dialExample(ctx context.Context, server *b2test.Server) *b2backend.Backend {
	backend, err := b2backend.New(ctx, b2backend.NewCredentials(server.KeyID(), server.Key()), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	if err != nil {
		log.Fatal(err)
	}
	return backend
}

// What a crash has left is listed with its parts. It may be an upload that still
// runs: nothing is changed.
func ExampleBackend_Unfinished() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend := dialExample(ctx, server)
	if _, err := backend.StartLargeFile(ctx, sluice.FileSpec{Name: "db/monday.dump", Size: sluice.UnknownSize}); err != nil {
		log.Fatal(err)
	}

	for f, err := range backend.Unfinished(ctx, "db/") {
		if err != nil {
			log.Fatal(err)
		}
		parts, err := backend.Parts(ctx, f)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Spec.Name, "has", len(parts), "parts")
	}
	// Output: db/monday.dump has 0 parts
}

// A job that runs every day cancels what earlier ones have left, and nothing
// that may still be uploaded.
func ExampleBackend_CancelStale() {
	server := b2test.NewServer(nil)
	defer server.Close()
	ctx := context.Background()
	backend := dialExample(ctx, server)
	if _, err := backend.StartLargeFile(ctx, sluice.FileSpec{Name: "db/monday.dump", Size: sluice.UnknownSize}); err != nil {
		log.Fatal(err)
	}
	server.Advance(time.Hour)

	gone, err := backend.CancelStale(ctx, b2backend.StaleFilter{Prefix: "db/", OlderThan: 48 * time.Hour})
	fmt.Println("older than two days:", len(gone), err)
	gone, err = backend.CancelStale(ctx, b2backend.StaleFilter{Prefix: "db/", OlderThan: 30 * time.Minute})
	fmt.Println("older than half an hour:", len(gone), err)
	// Output:
	// older than two days: 0 <nil>
	// older than half an hour: 1 <nil>
}

// A key that cannot be used is refused here, before a stream is begun.
func ExampleNew() {
	server := b2test.NewServer(nil)
	defer server.Close()
	_, err := b2backend.New(context.Background(), b2backend.NewCredentials(server.KeyID(), "wrong"), server.Bucket(),
		&b2backend.Options{Endpoint: server.URL()})
	fmt.Println(err != nil)
	// Output: true
}

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/internal/httpx"
)

// childEnv makes this program a child that uploads what the spec in it says.
const childEnv = "SLUICE_CHAOS_CHILD"

// spec is one upload, by a child or by the parent itself.
type spec struct {
	Endpoint, KeyID, Key, Bucket string
	Folder                       string // in place of B2

	Content     uint64 // key of contentOf
	Size        int
	Stdin       bool // the content comes on standard input
	Memory      int64
	PartSize    int64
	Concurrency int
	BufferDir   string
	FileLimit   uint64 // most bytes that a file can have, 0 any number

	Target string // the file that "f" is restored to, in place of an upload
	Stop   int    // parts after which it waits to be killed, 0 never
}

// childPage is the page and the smallest part of children.
const childPage = 1 << 10

// connect logs in.
func (s *spec) connect(ctx context.Context) (b sluice.Backend, disconnect func(), err error) {
	if s.Folder != "" {
		folder, err := filebackend.New(s.Folder, &filebackend.Options{NoSync: true})
		if err != nil {
			return nil, nil, err
		}
		return folder, func() { _ = folder.Close() }, nil
	}
	transport := httpx.NewTransport()
	b, err = b2backend.New(ctx, b2backend.NewCredentials(s.KeyID, s.Key), s.Bucket,
		&b2backend.Options{Endpoint: s.Endpoint, Transport: transport})
	return b, transport.CloseIdleConnections, err
}

// upload goes on with the file, or begins it. done is told of each part that is stored.
func (s *spec) upload(ctx context.Context, done func()) error {
	b, disconnect, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer disconnect()
	o := &sluice.Options{
		PageSize: childPage, MemoryLimit: s.Memory, PartSize: s.PartSize, Concurrency: s.Concurrency, BufferDir: s.BufferDir,
		Resume: true, KeepOnFailure: true,
		Hooks: &sluice.Hooks{PartDone: func(sluice.PartEvent, error) { done() }},
	}
	if s.FileLimit > 0 {
		o.Resume, o.KeepOnFailure = false, false
	}
	_, err = sluice.Upload(ctx, b, "f", o, func(w io.Writer) error {
		var source io.Reader = bytes.NewReader(contentOf(s.Content, s.Size))
		if s.Stdin {
			source = os.Stdin
		}
		_, err := io.Copy(w, source)
		return err
	})
	return err
}

// restore downloads the file.
func (s *spec) restore(ctx context.Context, done func()) error {
	b, disconnect, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer disconnect()
	_, err = sluice.DownloadFile(ctx, b.(sluice.Source), "f", s.Target, &sluice.ReadOptions{
		PageSize: childPage, MemoryLimit: s.Memory, RangeSize: s.PartSize, Concurrency: s.Concurrency,
		Hooks: &sluice.Hooks{PartDone: func(sluice.PartEvent, error) { done() }},
	})
	return err
}

// child is the main function of a child. It says a line for each part, and
// fails with what the upload failed with.
func child(text string) int {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if s.FileLimit > 0 {
		if err := limitFiles(s.FileLimit); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	run := s.upload
	if s.Target != "" {
		run = s.restore
	}
	var mu sync.Mutex
	parts := 0
	done := func() {
		mu.Lock()
		fmt.Println("part")
		if parts++; parts != s.Stop { // else every goroutine stops here
			mu.Unlock()
		}
	}
	if err := run(context.Background(), done); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

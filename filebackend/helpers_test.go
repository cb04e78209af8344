package filebackend_test

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
)

// open returns the store in dir; it is closed with the test.
func open(t *testing.T, dir string, o *filebackend.Options) *filebackend.Backend {
	t.Helper()
	b, err := filebackend.New(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func spec(name string) sluice.FileSpec {
	return sluice.FileSpec{Name: name, Size: sluice.UnknownSize}
}

func start(t *testing.T, b *filebackend.Backend, name string) sluice.LargeFile {
	t.Helper()
	f, err := b.StartLargeFile(context.Background(), spec(name))
	require.NoError(t, err)
	return f
}

// part is data at an offset, without digests.
func part(number int, offset int64, data string) *sluice.Part {
	p := sluice.NewPart(number, []byte(data), nil)
	p.Offset = offset
	return p
}

func send(t *testing.T, f sluice.LargeFile, p *sluice.Part) sluice.Receipt {
	t.Helper()
	r, err := f.UploadPart(context.Background(), p)
	require.NoError(t, err)
	return r
}

// put stores a file of two parts.
func put(b sluice.Backend, name, first, second string) error {
	f, err := b.StartLargeFile(context.Background(), spec(name))
	if err != nil {
		return err
	}
	var receipts []sluice.Receipt
	for i, p := range []*sluice.Part{part(1, 0, first), part(2, int64(len(first)), second)} {
		r, err := f.UploadPart(context.Background(), p)
		if err != nil {
			return err
		}
		receipts = append(receipts, r)
		receipts[i].Number = i + 1
	}
	_, err = f.Finish(context.Background(), receipts, nil)
	return err
}

func putSingle(b sluice.Backend, name, data string) error {
	p := sluice.NewPart(0, []byte(data), nil)
	_, err := b.UploadFile(context.Background(), sluice.FileSpec{Name: name, Size: p.Size}, p)
	return err
}

// files are the paths of all files in dir, hidden ones too.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	return names
}

func requireContent(t *testing.T, dir, name, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	if string(got) != want { // not by require.Equal: the difference may be megabytes
		require.Fail(t, "other bytes", "%s has %d bytes, not the %d expected", name, len(got), len(want))
	}
}

func unfinished(t *testing.T, b sluice.Backend, prefix string) []sluice.UnfinishedFile {
	t.Helper()
	var list []sluice.UnfinishedFile
	for u, err := range b.Unfinished(context.Background(), prefix) {
		require.NoError(t, err)
		list = append(list, u)
	}
	return list
}

// noise is n bytes, the same for every process.
func noise(n int) string {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return string(data)
}

// small are options that cut a short stream into many parts.
func small() *sluice.Options {
	return &sluice.Options{PageSize: 4 << 10, PartSize: 16 << 10, MemoryLimit: 256 << 10, Concurrency: 4}
}

// copyTo is a function for Upload.
func copyTo(r io.Reader) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	}
}

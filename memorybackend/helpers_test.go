package memorybackend_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// digests are the sums of data by the algorithms.
func digests(data []byte, algorithms []sluice.Algorithm) sluice.Digests {
	var d sluice.Digests
	for _, a := range algorithms {
		h := a.New()
		h.Write(data)
		d = append(d, sluice.Digest{Name: a.Name, Sum: h.Sum(nil)})
	}
	return d
}

func part(b *memorybackend.Backend, number int, data []byte) *sluice.Part {
	return sluice.NewPart(number, data, digests(data, b.Limits().PartDigests))
}

func spec(name string) sluice.FileSpec {
	return sluice.FileSpec{Name: name, Size: sluice.UnknownSize}
}

func start(t *testing.T, b *memorybackend.Backend, s sluice.FileSpec) sluice.LargeFile {
	t.Helper()
	f, err := b.StartLargeFile(context.Background(), s)
	require.NoError(t, err)
	return f
}

func send(t *testing.T, b *memorybackend.Backend, f sluice.LargeFile, parts ...[]byte) []sluice.Receipt {
	t.Helper()
	var receipts []sluice.Receipt
	for i, data := range parts {
		r, err := f.UploadPart(context.Background(), part(b, i+1, data))
		require.NoError(t, err)
		receipts = append(receipts, r)
	}
	return receipts
}

func putLarge(t *testing.T, b *memorybackend.Backend, name string, parts ...[]byte) sluice.File {
	t.Helper()
	f := start(t, b, spec(name))
	var whole []byte
	for _, data := range parts {
		whole = append(whole, data...)
	}
	file, err := f.Finish(context.Background(), send(t, b, f, parts...), digests(whole, b.Limits().WholeDigests))
	require.NoError(t, err)
	return file
}

func putSingle(t *testing.T, b *memorybackend.Backend, name string, data []byte) sluice.File {
	t.Helper()
	s := sluice.FileSpec{Name: name, Size: int64(len(data))}
	file, err := b.UploadFile(context.Background(), s, part(b, 0, data))
	require.NoError(t, err)
	return file
}

func read(t *testing.T, b *memorybackend.Backend, name string) []byte {
	t.Helper()
	f, err := b.Open(name)
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return data
}

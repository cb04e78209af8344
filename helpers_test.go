package sluice_test

import (
	"crypto/sha256"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// The stores of these tests count in tens of bytes, so that every edge is near:
// pages of 16 bytes, parts of 32.
const (
	page = 16
	part = 32
)

func smallLimits() sluice.Limits {
	return sluice.Limits{
		MinPart: page, MinParts: 2, MaxParts: 10_000, MaxSingle: 1 << 30, Resumable: true,
		PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
	}
}

func store(l sluice.Limits) *memorybackend.Backend {
	return memorybackend.New(&memorybackend.Options{Limits: &l})
}

func smallOptions() *sluice.Options {
	return &sluice.Options{MemoryLimit: 8 * page, PageSize: page, PartSize: part, Concurrency: 3}
}

func readBack(t testing.TB, b *memorybackend.Backend, name string) []byte {
	f, err := b.Open(name)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	return data
}

func requireNothingLeft(t testing.TB, b *memorybackend.Backend) {
	t.Helper()
	require.Empty(t, b.Names())
	require.Empty(t, b.Leftovers(""))
}

func sum256(data []byte) []byte {
	s := sha256.Sum256(data)
	return s[:]
}

package sluice_test

import (
	"io"
	"testing"
)

// The figures that count are ratios: go run ./bench. These benchmarks show what a call allocates.

func BenchmarkWrite(b *testing.B) {
	w := warmWriter(b)
	data := make([]byte, 32<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Write(data)
	}
}

func BenchmarkReadFrom(b *testing.B) {
	w := warmWriter(b)
	source := &io.LimitedReader{R: endless{}}
	b.SetBytes(256 << 10)
	b.ReportAllocs()
	for b.Loop() {
		source.N = 256 << 10
		_, _ = w.ReadFrom(source)
	}
}

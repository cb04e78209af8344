package main

import (
	"context"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// compress returns what zstd -d makes r of. An error of r or of the compressor comes instead
// of the end, so that a stream cut short is never finished. All cores work. When ctx ends, so
// does the compressor, once its Read of r returns.
func compress(ctx context.Context, r io.Reader, level int) (io.Reader, error) {
	out, in := io.Pipe()
	enc, err := zstd.NewWriter(in,
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithWindowSize(window(level)),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithConcurrentBlocks(true),
		zstd.WithZeroFrames(true)) // else nothing at all stands for no bytes, which zstd -d refuses
	if err != nil {
		return nil, err
	}
	done := context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer done()
		_, err := enc.ReadFrom(r)
		if err == nil {
			err = enc.Close()
		}
		_ = in.CloseWithError(err) // nil is the end
		if err != nil {
			enc.Reset(nil) // ends its goroutines
		}
	}()
	return out, nil
}

// window is how far back a match may lie, in bytes: about what zstd takes for the level. The
// library's own windows are larger, and every core compresses four of them at a time.
func window(level int) int {
	switch {
	case level < 3:
		return 1 << 20
	case level < 6:
		return 2 << 20
	default:
		return 4 << 20
	}
}

// compressorMemory is about how many bytes the compressor takes, as measured.
func compressorMemory(level int) int64 {
	if level == 0 {
		return 0
	}
	cores := int64(runtime.GOMAXPROCS(0))
	// a job on each core, one ahead of it, one being filled; all with their
	// output
	n := (2*cores + 1) * 8 * int64(window(level))
	if zstd.EncoderLevelFromZstd(level) == zstd.SpeedBestCompression {
		n += (cores + 1) * 36 << 20 // tables
	}
	return n
}

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The modes of --decompress.
const (
	decompressNeeded = "needed" // other content is an error
	decompressAuto   = "auto"   // other content stays as it is
)

// maxWindow bounds what the header of a zstd frame makes the decoder allocate. zstd -d has the
// same bound, and every level of zstd, up to --ultra -22, keeps to it.
const maxWindow = 128 << 20

// decompress returns the content of a zstd or gzip stream. Any other stream is an error, or comes
// as it is if it need not be one.
func decompress(r io.Reader, needed bool) (io.ReadCloser, error) {
	begun := bufio.NewReaderSize(r, 256<<10)
	first, err := begun.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case isZstd(first):
		d, err := zstd.NewReader(begun, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case bytes.HasPrefix(first, []byte{0x1f, 0x8b}):
		return gzip.NewReader(begun)
	case needed:
		return nil, fmt.Errorf("--decompress: the file is neither zstd nor gzip; --decompress=%s writes such a file as it is", decompressAuto)
	}
	return io.NopCloser(begun), nil
}

// isZstd reports whether a stream begins with a frame of zstd, or with one to be skipped.
func isZstd(first []byte) bool {
	return bytes.HasPrefix(first, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(first) >= 4 && first[0]&0xf0 == 0x50 && bytes.Equal(first[1:4], []byte{0x2a, 0x4d, 0x18})
}

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// zstdHead begins a zstd frame that asks for a window of 2^log bytes.
func zstdHead(log byte) []byte {
	return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3}
}

// compressed is text as gzip and zstd store it.
func compressed(tb testing.TB, text []byte) [][]byte {
	var gz, zst bytes.Buffer
	fast, err := gzip.NewWriterLevel(&gz, gzip.BestSpeed)
	require.NoError(tb, err)
	small, err := zstd.NewWriter(&zst, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))
	require.NoError(tb, err)
	for _, w := range []io.WriteCloser{fast, small} {
		_, err := w.Write(text)
		require.NoError(tb, err)
		require.NoError(tb, w.Close())
	}
	return [][]byte{gz.Bytes(), zst.Bytes()}
}

// Whatever a stored file has, reading it decompressed ends, and what is neither zstd nor gzip
// comes as it is, or not at all.
func FuzzDecompress(f *testing.F) {
	for _, text := range [][]byte{nil, []byte("text"), bytes.Repeat([]byte("bomb"), 1<<20)} {
		f.Add(text[:min(len(text), 4<<10)])
		for _, packed := range compressed(f, text) {
			f.Add(packed)
			f.Add(packed[:len(packed)/2])
			f.Add(append(bytes.Clone(packed), packed...))
			f.Add(append(bytes.Clone(packed), "tail"...))
		}
	}
	f.Add([]byte{0x1f, 0x8b})
	for _, log := range []byte{10, 27, 28, 41} {
		f.Add(append(zstdHead(log), 1, 0, 0))
	}
	// a frame to be skipped, of 4 GiB, and a block of one byte that is repeated
	f.Add(binary.LittleEndian.AppendUint32([]byte{0x50, 0x2a, 0x4d, 0x18}, 1<<32-1))
	f.Add(append(zstdHead(20), 3, 0, 16, 'x'))
	f.Fuzz(func(t *testing.T, stored []byte) {
		const most = 16 << 20
		packed := bytes.HasPrefix(stored, []byte{0x1f, 0x8b}) || isZstd(stored)
		for _, needed := range []bool{true, false} {
			r, err := decompress(bytes.NewReader(stored), needed)
			if !packed && needed {
				require.ErrorContains(t, err, "neither zstd nor gzip")
				continue
			}
			if err != nil {
				require.True(t, packed)
				require.Less(t, len(err.Error()), 1<<10)
				continue
			}
			text, err := io.ReadAll(io.LimitReader(r, most))
			_ = r.Close() // which may return the error of Read again
			if !packed {
				require.NoError(t, err)
				require.Equal(t, len(stored), len(text))
				require.True(t, bytes.Equal(stored, text))
			}
		}
		for _, again := range compressed(t, stored) {
			r, err := decompress(bytes.NewReader(again), true)
			require.NoError(t, err)
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.True(t, bytes.Equal(stored, text))

			cut, err := decompress(bytes.NewReader(again[:len(again)-1]), true)
			if err == nil {
				_, err = io.Copy(io.Discard, cut)
				_ = cut.Close()
			}
			require.Error(t, err, "what is cut off is not taken for the whole")
		}
	})
}

// Whatever a file of metrics has, a failed run takes a time from it, or none.
func FuzzMetrics(f *testing.F) {
	const head = lastSuccess + `{destination="mem://x"} `
	for _, text := range []string{
		"", head, head + "1764270000\n", head + "-1\n", head + "NaN\n", head + "1e9\n", head + "9223372036854775808\n", head + "1\n" + head + "2\n",
		"# HELP\n" + head + "7", strings.Repeat("x", 70<<10), strings.Repeat("\n", 2<<20), "\x00\xff" + head,
	} {
		f.Add(text, "mem://x", int64(1764270000))
	}
	f.Add(head+"5\n", `a"} 9`, int64(0))
	f.Fuzz(func(t *testing.T, text, label string, when int64) {
		got, err := lastSuccessIn(strings.NewReader(text), label)
		require.NoError(t, err, "a damaged file keeps no failure from being written")
		require.GreaterOrEqual(t, got, int64(0))
		if got > 0 {
			require.Contains(t, text, lastSuccess+`{destination="`+label+`"} `)
		}
		if when < 0 || len(label) > 1<<10 || strings.ContainsAny(label, "\r\n") {
			return
		}
		line := lastSuccess + `{destination="` + label + `"} ` + strconv.FormatInt(when, 10) + "\n"
		got, err = lastSuccessIn(strings.NewReader("# HELP x\n"+line), label)
		require.NoError(t, err)
		require.Equal(t, when, got)
	})
}

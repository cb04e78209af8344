package sluice_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// cutOff is a reader that ends as the body of an HTTP request does whose client
// went away.
func cutOff(data []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(data), failing{})
}

// damaged is what wrap makes of data, cut in the middle.
func damaged(data []byte, wrap func(io.Writer) io.WriteCloser) io.Reader {
	var b bytes.Buffer
	z := wrap(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return bytes.NewReader(b.Bytes()[:b.Len()/2])
}

// decoders fail in the middle of a stream, inside a WriteTo of their own.
func decoders(t *testing.T) map[string]io.WriterTo {
	data := testutil.Content(1 << 20)
	z, err := zstd.NewReader(damaged(data, func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		require.NoError(t, err)
		return z
	}))
	require.NoError(t, err)
	t.Cleanup(z.Close)
	g, err := kgzip.NewReader(damaged(data, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }))
	require.NoError(t, err)
	return map[string]io.WriterTo{"zstd": z, "gzip": g}
}

// The two idioms of the documentation finish nothing, though all that the writer
// sees is Writes.
func TestIdioms_FinishNothingWhereASourceFailsInItsOwnWriteTo(t *testing.T) {
	for idiom, save := range map[string]func(b sluice.Backend, source io.Reader) error{
		"Upload": func(b sluice.Backend, source io.Reader) error {
			_, err := sluice.Upload(t.Context(), b, "f", nil, func(w io.Writer) error {
				_, err := io.Copy(w, source)
				return err
			})
			return err
		},
		"New": func(b sluice.Backend, source io.Reader) error {
			w, err := sluice.New(t.Context(), b, "f", nil)
			if err != nil {
				return err
			}
			defer w.Abort(nil)
			if _, err := io.Copy(w, source); err != nil {
				return err
			}
			return w.Close()
		},
	} {
		for name, source := range decoders(t) {
			t.Run(idiom+" "+name, func(t *testing.T) {
				b := memorybackend.New(nil)
				require.ErrorIs(t, save(b, source.(io.Reader)), io.ErrUnexpectedEOF)
				requireNothingLeft(t, b)
			})
		}
	}
}

// What the documentation warns of is so. Where it is no more, the warning can go.
func TestClose_FinishesATruncatedFileWhereTheErrorIsIgnored(t *testing.T) {
	for name, source := range decoders(t) {
		t.Run(name, func(t *testing.T) {
			b := memorybackend.New(nil)
			w, err := sluice.New(t.Context(), b, "f", nil)
			require.NoError(t, err)
			_, err = io.Copy(w, source.(io.Reader))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.NoError(t, w.Close(), "the writer has seen no failure")
		})
	}
}

func TestCompressors_HideThatABodyWasCutOffUnlessTheirReadFromIsHidden(t *testing.T) {
	for name, c := range map[string]struct {
		wrap  func(io.Writer) io.WriteCloser
		hides bool
	}{
		"s2":     {func(w io.Writer) io.WriteCloser { return s2.NewWriter(w) }, true},
		"snappy": {func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) }, true},
		"gzip":   {func(w io.Writer) io.WriteCloser { return kgzip.NewWriter(w) }, false},
		"zstd": {func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w, zstd.WithConcurrentBlocks(true)) // as pipe -z has it
			require.NoError(t, err)
			return z
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			z := c.wrap(io.Discard)
			_, err := io.Copy(z, cutOff(testutil.Content(200_000)))
			require.Equal(t, c.hides, err == nil)
			_ = z.Close()

			b := memorybackend.New(nil)
			_, err = sluice.Upload(t.Context(), b, "f", nil, func(w io.Writer) error {
				z := c.wrap(w)
				if _, err := io.Copy(struct{ io.Writer }{z}, cutOff(testutil.Content(200_000))); err != nil {
					return err
				}
				return z.Close()
			})
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			requireNothingLeft(t, b)
		})
	}
}

// A request body that ends early must not become a file that looks whole. This
// compressor's own ReadFrom takes io.ErrUnexpectedEOF for the end, so it is hidden
// from io.Copy.
func ExampleUpload_compressor() {
	backend := memorybackend.New(nil)
	body := io.MultiReader(strings.NewReader("half a dump"), failing{})

	_, err := sluice.Upload(context.Background(), backend, "dump.s2", nil, func(w io.Writer) error {
		z := s2.NewWriter(w)
		if _, err := io.Copy(struct{ io.Writer }{z}, body); err != nil {
			return err // without z.Close, which would make half a dump look whole
		}
		return z.Close()
	})
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF), backend.Names())
	// Output: true []
}

func TestZstdDecoder_TakesACutOffBodyForTheEndBetweenFrames(t *testing.T) {
	var frame bytes.Buffer
	z, err := zstd.NewWriter(&frame)
	require.NoError(t, err)
	_, err = z.Write(testutil.Content(1000))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	d, err := zstd.NewReader(cutOff(frame.Bytes()))
	require.NoError(t, err)
	defer d.Close()
	n, err := io.Copy(io.Discard, d)
	require.NoError(t, err)
	require.EqualValues(t, 1000, n)
}

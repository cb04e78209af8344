package s3backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// stream sends data through a writer with parts of the smallest size.
func stream(ctx context.Context, b sluice.Backend, name string, data []byte) (sluice.File, error) {
	return sluice.Upload(ctx, b, name, &sluice.Options{PartSize: minPart, MemoryLimit: 64 << 20}, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
}

func TestStreamsOfEverySizeComeBack(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	for _, size := range []int{0, 1, minPart - 1, minPart, minPart + 1, 2 * minPart, 2*minPart + 1, 17<<20 + 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			name := fmt.Sprintf("streams/%d", size)
			data := testutil.Content(size)
			file, err := stream(t.Context(), b, name, data)
			require.NoError(t, err)
			got, header := contents(t, b, name)
			require.True(t, bytes.Equal(data, got), "other bytes")
			parts := (size + minPart - 1) / minPart
			if size <= minPart {
				parts = 0
			}
			require.Equal(t, parts, file.Parts)
			require.Equal(t, int64(size), file.Size)
			require.Equal(t, name, file.Name)
			require.Equal(t, strings.Trim(header.Get("Etag"), `"`), file.ID)
			require.Equal(t, wantChecksum(data, parts), header.Get("X-Amz-Checksum-Sha256"), "the store's digest")
		})
	}
	require.Empty(t, leftovers(t, b))
}

// wantChecksum is the SHA-256 that the store gives a file: of a large one, of its parts'.
func wantChecksum(data []byte, parts int) string {
	if parts == 0 {
		sum := sha256.Sum256(data)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	h := sha256.New()
	for i := range parts {
		sum := sha256.Sum256(data[i*minPart : min(len(data), (i+1)*minPart)])
		h.Write(sum[:])
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), parts)
}

func TestFailedSourceLeavesNothing(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	failure := errors.New("pg_dump: connection to server was lost")
	for _, size := range []int{0, 100, 3 * minPart} {
		_, err := sluice.Upload(t.Context(), b, "dump", &sluice.Options{PartSize: minPart}, func(w io.Writer) error {
			if _, err := w.Write(testutil.Content(size)); err != nil {
				return err
			}
			return failure
		})
		require.ErrorIs(t, err, failure)
		requireAbsent(t, b, "dump")
		require.Empty(t, leftovers(t, b))
	}
}

func TestKeptLargeFileIsResumed(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	data := testutil.Content(2*minPart + 7)
	_, err := sluice.Upload(t.Context(), b, "kept", &sluice.Options{PartSize: minPart, KeepOnFailure: true}, func(w io.Writer) error {
		if _, err := w.Write(data[:minPart+1]); err != nil {
			return err
		}
		return waitForPart(t, b)
	})
	failed, ok := errors.AsType[*sluice.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []string{failed.LargeFile}, leftovers(t, b))

	f, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "kept", Size: int64(len(data))}, "")
	require.NoError(t, err)
	require.Equal(t, failed.LargeFile, f.Info().ID)
	receipts := f.Info().Stored
	require.Len(t, receipts, 1)
	sum := sha256.Sum256(data[:minPart])
	require.Equal(t, sum[:], receipts[0].Digests.Get("sha256"), "the part that is there is known by its digest")
	for number := 2; number <= 3; number++ {
		r, err := f.UploadPart(t.Context(), part(number, data[(number-1)*minPart:min(len(data), number*minPart)]))
		require.NoError(t, err)
		receipts = append(receipts, r)
	}
	_, err = f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	got, _ := contents(t, b, "kept")
	require.True(t, bytes.Equal(data, got))
}

// waitForPart returns an error once a part is stored.
func waitForPart(t *testing.T, b *Backend) error {
	for {
		for u, err := range b.Unfinished(t.Context(), "") {
			if err != nil {
				return err
			}
			f, err := b.ResumeLargeFile(t.Context(), u.Spec, u.ID)
			if err != nil {
				return err
			}
			if len(f.Info().Stored) > 0 {
				return errors.New("the machine lost its power")
			}
		}
	}
}

// part is a part with its digest.
func part(number int, data []byte) *sluice.Part {
	sum := sha256.Sum256(data)
	return sluice.NewPart(number, data, sluice.Digests{{Name: "sha256", Sum: sum[:]}})
}

// A stream that is replayed after a crash sends only what is missing.
func TestReplayedStreamGoesOn(t *testing.T) {
	p := newProxy(t, false)
	b := newBackend(t, p.URL, newBucket(t), nil)
	data := testutil.Content(2*minPart + 7)
	_, err := sluice.Upload(t.Context(), b, "a", &sluice.Options{PartSize: minPart, KeepOnFailure: true}, func(w io.Writer) error {
		if _, err := w.Write(data[:minPart+1]); err != nil {
			return err
		}
		return waitForPart(t, b)
	})
	require.Error(t, err)
	before := p.count("UploadPart")
	file, err := sluice.Upload(t.Context(), b, "a", &sluice.Options{PartSize: minPart, Resume: true}, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 3, file.Parts)
	require.Equal(t, 1, p.count("CreateMultipartUpload"))
	require.Equal(t, before+2, p.count("UploadPart"), "the stored part is not sent again")
	got, _ := contents(t, b, "a")
	require.True(t, bytes.Equal(data, got))
	require.Empty(t, leftovers(t, b))
}

// Several uploaders, one for each source, need nothing but the store: two of
// them, four streams each under one memory limit.
func TestManyUploadersToOneStore(t *testing.T) {
	bucket := newBucket(t)
	data := testutil.Content(2*minPart + 7)
	var group errgroup.Group
	for uploader := range 2 {
		b := newBackend(t, server.URL, bucket, nil)
		pool, err := sluice.NewPool(64<<20, 0)
		require.NoError(t, err)
		for source := range 4 {
			group.Go(func() error {
				_, err := sluice.Upload(t.Context(), b, fmt.Sprintf("%d/%d", uploader, source), &sluice.Options{Pool: pool, PartSize: minPart}, func(w io.Writer) error {
					_, err := w.Write(data[source:])
					return err
				})
				return err
			})
		}
	}
	require.NoError(t, group.Wait())
	b := newBackend(t, server.URL, bucket, nil)
	for uploader := range 2 {
		for source := range 4 {
			got, _ := contents(t, b, fmt.Sprintf("%d/%d", uploader, source))
			require.True(t, bytes.Equal(data[source:], got))
		}
	}
	require.Empty(t, leftovers(t, b))
}

// Stores that want parts of one size get them from a PartSize that carries MaxSize.
func TestEqualParts(t *testing.T) {
	p := newProxy(t, false)
	b := newBackend(t, p.URL, newBucket(t), &Options{MaxParts: 4})
	_, err := sluice.Upload(t.Context(), b, "a", &sluice.Options{PartSize: minPart, MaxSize: 4 * minPart}, func(w io.Writer) error {
		_, err := w.Write(testutil.Content(4*minPart - 1))
		return err
	})
	require.NoError(t, err)
	sizes := map[string]int64{}
	for _, r := range p.requests {
		if r.call == "UploadPart" {
			sizes[r.URL.Query().Get("partNumber")] = r.ContentLength
		}
	}
	require.Equal(t, map[string]int64{"1": minPart, "2": minPart, "3": minPart, "4": minPart - 1}, sizes)
}

// Names that a URL or XML could mangle come back as they were given, in files and in lists.
func TestNamesComeBack(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	for _, name := range []string{
		"plain", "with space", "a+b", "50%", "%41", "q?x=1&y", "hash#tag", `quote"'`, "ünïcödé/日本", "tilde~-_.", "semi;colon,comma=at@", "dir.with/..dots../x", "<&>",
	} {
		t.Run(name, func(t *testing.T) {
			data := []byte("of " + name)
			_, err := stream(t.Context(), b, name, data)
			require.NoError(t, err)
			got, _ := contents(t, b, name)
			require.Equal(t, data, got)
			f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: name, Size: sluice.UnknownSize})
			require.NoError(t, err)
			var listed []string
			for u, err := range b.Unfinished(t.Context(), name) {
				require.NoError(t, err)
				listed = append(listed, u.Spec.Name)
			}
			require.Equal(t, []string{name}, listed)
			require.NoError(t, f.Cancel(t.Context()))
		})
	}
}

// What the requests of a stream carry: the digest in a header and in the
// signature, the length, and nothing that a store without aws-chunked would
// refuse.
func TestDigestsGoInHeaders(t *testing.T) {
	p := newProxy(t, false)
	b := newBackend(t, p.URL, newBucket(t), nil)
	data := testutil.Content(minPart + 1)
	_, err := stream(t.Context(), b, "large", data)
	require.NoError(t, err)
	_, err = stream(t.Context(), b, "small", data[:10])
	require.NoError(t, err)
	require.Equal(t, "SHA256", p.last(t, "CreateMultipartUpload").Header.Get("X-Amz-Checksum-Algorithm"))
	sums := map[string]int64{}
	for _, r := range p.requests {
		if r.call == "UploadPart" || r.call == "PutObject" {
			sums[r.Header.Get("X-Amz-Checksum-Sha256")] = r.ContentLength
			sum, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Amz-Checksum-Sha256"))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%x", sum), r.Header.Get("X-Amz-Content-Sha256"), "one digest serves both")
		}
		require.Empty(t, r.TransferEncoding)
		require.Empty(t, r.Trailer)
		require.Empty(t, r.Header.Get("Content-Encoding"))
		require.Empty(t, r.Header.Get("X-Amz-Trailer"))
	}
	require.Equal(t, map[string]int64{
		wantChecksum(data[:minPart], 0): minPart, wantChecksum(data[minPart:], 0): 1, wantChecksum(data[:10], 0): 10,
	}, sums)
}

func TestStoreOfOtherLimits(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), &Options{MaxParts: 1000, MaxFile: 1 << 40})
	require.Equal(t, 1000, b.Limits().MaxParts)
	require.Equal(t, int64(1<<40), b.Limits().MaxFile)
	require.ErrorIs(t, b.Check(sluice.FileSpec{Name: "a", Size: 1<<40 + 1}), sluice.ErrTooLarge)
	w, err := sluice.New(t.Context(), b, "a", &sluice.Options{MemoryLimit: 128 << 20})
	require.NoError(t, err)
	require.LessOrEqual(t, w.Settings().MaxStreamSize, int64(1000*64<<20))
	w.Abort(nil)
}

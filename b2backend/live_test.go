package b2backend_test

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
)

// TestLive runs against the service that the environment names: B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY, B2_BUCKET and,
// for another than the real one, B2_ENDPOINT. The key needs writeFiles and listFiles, readFiles for the copy. It uploads
// some 40 MB under sluice-live-test/ and leaves finished files there, but no unfinished ones.
func TestLive(t *testing.T) {
	key := b2backend.Credentials{KeyID: os.Getenv("B2_APPLICATION_KEY_ID"), Key: os.Getenv("B2_APPLICATION_KEY")}
	bucket := os.Getenv("B2_BUCKET")
	if key.KeyID == "" || key.Key == "" || bucket == "" {
		t.Skip("SKIPPED, NOTHING WAS SHOWN ABOUT THE REAL SERVICE: set B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY and B2_BUCKET to run")
	}
	b, err := b2backend.New(t.Context(), key, bucket, &b2backend.Options{Endpoint: os.Getenv("B2_ENDPOINT")})
	require.NoError(t, err)
	prefix := "sluice-live-test/" + rand.Text() + "/"
	t.Cleanup(func() {
		// The prefix is this run's alone.
		_, err := b.CancelStale(context.Background(), b2backend.Stale{Prefix: prefix, Before: time.Now().Add(time.Hour)})
		require.NoError(t, err)
	})
	upload := func(t *testing.T, name string, data []byte, o *sluice.Options) (sluice.File, error) {
		return sluice.Upload(t.Context(), b, prefix+name, o, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	}
	data := content(12_345_678)

	for _, size := range []int{0, 1, len(data)} {
		t.Run(fmt.Sprintf("%d bytes in one call", size), func(t *testing.T) {
			f, err := upload(t, fmt.Sprint("single ü+%", size), data[:size], &sluice.Options{MemoryLimit: 256 << 20})
			require.NoError(t, err)
			sum := sha1.Sum(data[:size])
			require.Equal(t, sum[:], f.Digests.Get("sha1"))
			require.Zero(t, f.Parts)
		})
	}
	small := &sluice.Options{MemoryLimit: 32 << 20, PartSize: 5 << 20}
	var large sluice.File
	t.Run("a large file", func(t *testing.T) {
		var err error
		large, err = upload(t, "large", data, small)
		require.NoError(t, err)
		require.EqualValues(t, len(data), large.Size)
		require.GreaterOrEqual(t, large.Parts, 2)
	})
	t.Run("a large file that is given up leaves nothing", func(t *testing.T) {
		w, err := sluice.New(t.Context(), b, prefix+"aborted", small)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		w.Abort(nil)
		require.ErrorIs(t, w.Close(), sluice.ErrAborted)
		require.Empty(t, unfinished(t, b, prefix))
	})
	t.Run("a large file is gone on with", func(t *testing.T) {
		stored := make(chan struct{}, 100)
		o := *small
		o.OnFailure, o.Resume = sluice.Keep, true
		o.Hooks = &sluice.Hooks{PartDone: func(sluice.PartEvent, error) { stored <- struct{}{} }}
		w, err := sluice.New(t.Context(), b, prefix+"resumed", &o)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		<-stored
		w.Abort(errors.New("cut off"))
		require.Len(t, unfinished(t, b, prefix), 1)
		w, err = sluice.New(t.Context(), b, prefix+"resumed", &o)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Positive(t, w.Stats().Reused)
		require.Empty(t, unfinished(t, b, prefix))
	})
	t.Run("a copy", func(t *testing.T) {
		f, err := b.CopyFile(t.Context(), sluice.FileSpec{Name: prefix + "copy", Size: sluice.UnknownSize}, b2backend.Source{FileID: large.ID})
		require.NoError(t, err)
		require.Equal(t, large.Size, f.Size)
	})
}

func unfinished(t *testing.T, b *b2backend.Backend, prefix string) (files []sluice.UnfinishedFile) {
	for f, err := range b.Unfinished(t.Context(), prefix) {
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

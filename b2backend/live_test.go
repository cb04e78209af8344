package b2backend_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// TestLive runs against the service that the environment names:
// B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY, B2_BUCKET and, for another than
// the real one, B2_ENDPOINT. The key needs writeFiles, listFiles, readFiles and
// deleteFiles. It uploads some 40 MB under sluice-live-test/, reads them back and
// removes them.
func TestLive(t *testing.T) {
	keyID, key, bucket := os.Getenv("B2_APPLICATION_KEY_ID"), os.Getenv("B2_APPLICATION_KEY"), os.Getenv("B2_BUCKET")
	if keyID == "" || key == "" || bucket == "" {
		t.Skip("SKIPPED, NOTHING WAS SHOWN ABOUT THE REAL SERVICE: set B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY and B2_BUCKET to run")
	}
	b, err := b2backend.New(t.Context(), b2backend.NewCredentials(keyID, key), bucket, &b2backend.Options{Endpoint: os.Getenv("B2_ENDPOINT")})
	require.NoError(t, err)
	prefix := "sluice-live-test/" + rand.Text() + "/"
	t.Cleanup(func() {
		// The prefix is this run's alone.
		_, err := b.CancelStale(context.Background(), b2backend.StaleFilter{Prefix: prefix, OlderThan: -1})
		require.NoError(t, err)
		for f, err := range b.List(context.Background(), prefix) {
			require.NoError(t, err)
			require.NoError(t, b.Remove(context.Background(), f))
		}
	})
	upload := func(t *testing.T, name string, data []byte, o *sluice.Options) (sluice.File, error) {
		return sluice.Upload(t.Context(), b, prefix+name, o, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	}
	data := testutil.Content(12_345_678)

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
		o.KeepOnFailure, o.Resume = true, true
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
	t.Run("files are read back", func(t *testing.T) {
		for f, err := range b.List(t.Context(), prefix) {
			require.NoError(t, err)
			var got bytes.Buffer
			_, err := sluice.Download(t.Context(), b, f.Name, &got, &sluice.ReadOptions{RangeSize: 1 << 20})
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[:f.Size], got.Bytes()), f.Name)
		}
	})
	t.Run("a copy", func(t *testing.T) {
		f, err := b.CopyFile(t.Context(), sluice.FileSpec{Name: prefix + "copy", Size: sluice.UnknownSize}, b2backend.CopySource{FileID: large.ID})
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

package blendvisionbackend_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// A smallest part that is one page keeps streams of many parts small.
const (
	page    = 4 << 10
	planned = 10 * page
)

var small = bvtest.Options{PartSize: planned, MinPart: page}

// stream opens a writer for a file of the declared size; over small's plans at
// most four parts fit its memory.
func (w world) stream(size int64) *sluice.LargeFileWriter {
	w.Helper()
	s, err := sluice.New(w.Context(), w.backend.WithMinPart(page), "talk.mp4", &sluice.Options{
		Size: size, PageSize: page, MemoryLimit: 4 * planned, Metadata: map[string]string{"k": "v"},
	})
	require.NoError(w, err)
	return s
}

func TestUpload_SendsNothingWhereAnOptionIsIgnored(t *testing.T) {
	for ignored, what := range map[string]string{"type": "type", "source": "source", "attrs": "attributes"} {
		o := small
		o.Ignore = []string{ignored}
		inWorld(t, &o, func(w world) {
			s := w.stream(3 * planned)
			_, err := s.Write(testutil.Content(3 * planned))
			if err == nil {
				err = s.Close()
			}
			s.Abort(nil)
			require.ErrorIs(w, err, sluice.ErrOptionIgnored, ignored)
			require.ErrorContains(w, err, "the file has another "+what+" than asked for")
			failure, ok := errors.AsType[*sluice.Error](err)
			require.True(w, ok)
			require.Empty(w, failure.LargeFile)
			sessions := w.server.Sessions()
			require.Len(w, sessions, 1)
			require.Equal(w, bvtest.Cancelled, sessions[0].State)
			for _, part := range sessions[0].Parts {
				require.Empty(w, part.ETag, "part %d was sent", part.Number)
			}
			require.NoError(w, w.server.Check())
		})
	}
	inWorld(t, &small, func(w world) {
		s := w.stream(planned)
		_, err := s.Write(testutil.Content(planned))
		require.NoError(w, err)
		require.NoError(w, s.Close())
	})
}

func TestStreamBecomesAFile(t *testing.T) {
	for _, size := range []int{1, planned - 1, planned, planned + 1, 7*planned + 123, 40 * planned} {
		inWorld(t, &small, func(w world) {
			data := testutil.Content(size)
			s := w.stream(int64(size))
			n, err := io.Copy(s, bytes.NewReader(data))
			require.NoError(w, err)
			require.EqualValues(w, size, n)
			require.NoError(w, s.Close())
			got, ok := w.server.Content(s.File().ID)
			require.True(w, ok)
			require.True(w, bytes.Equal(data, got))
			require.Equal(w, map[string]string{"k": "v"}, w.session().Attrs)
			require.NoError(w, w.server.Check())
		})
	}
}

func TestStreamGoesOnOverPassingFailures(t *testing.T) {
	inWorld(t, &small, func(w world) {
		for _, call := range []bvtest.Call{bvtest.CallUpload, bvtest.CallPut, bvtest.CallComplete} {
			for i, kind := range []bvtest.FaultKind{bvtest.Refuse, bvtest.RefuseEarly, bvtest.Drop, bvtest.LoseAnswer, bvtest.Garbage, bvtest.StallEarly} {
				// a lost answer to complete is the last one
				if call != bvtest.CallComplete || i < 4 {
					w.inject(bvtest.Fault{Call: call, Kind: kind})
				}
			}
		}
		data := testutil.Content(9*planned + 5)
		s := w.stream(int64(len(data)))
		_, err := s.Write(data)
		require.NoError(w, err)
		require.NoError(w, s.Close())
		got, _ := w.server.Content(s.File().ID)
		require.True(w, bytes.Equal(data, got))
		require.NotZero(w, s.Stats().Retries)
		require.NoError(w, w.server.Check())
	})
}

func TestUnknownSizeIsRefusedBeforeAnythingIsSent(t *testing.T) {
	inWorld(t, nil, func(w world) {
		_, err := sluice.New(w.Context(), w.backend, "talk.mp4", nil)
		require.ErrorIs(w, err, sluice.ErrSizeRequired)
		_, err = w.backend.StartLargeFile(w.Context(), sluice.FileSpec{Name: "talk.mp4", Size: sluice.UnknownSize})
		require.ErrorIs(w, err, sluice.ErrSizeRequired)
		require.Empty(w, w.server.Sessions())
	})
}

func TestStreamOfAnotherLengthIsCancelled(t *testing.T) {
	for name, v := range map[string]struct {
		written int
		err     error
	}{
		"short by a byte":  {3*planned - 1, sluice.ErrShortStream},
		"short by a part":  {2 * planned, sluice.ErrShortStream},
		"nothing came":     {0, sluice.ErrShortStream},
		"longer by a byte": {3*planned + 1, sluice.ErrLongStream},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &small, func(w world) {
				s := w.stream(3 * planned)
				_, _ = s.Write(testutil.Content(v.written))
				require.ErrorIs(w, s.Close(), v.err)
				for _, session := range w.server.Sessions() {
					require.Equal(w, bvtest.Cancelled, session.State)
				}
				require.NoError(w, w.server.Check())
			})
		})
	}
}

func TestPartTooLargeForTheMemoryFailsAtTheFirstByte(t *testing.T) {
	inWorld(t, &bvtest.Options{Parts: 1}, func(w world) {
		s, err := sluice.New(w.Context(), w.backend, "talk.mp4", &sluice.Options{Size: 40 * mebi, MemoryLimit: 64 * mebi})
		require.NoError(w, err)
		_, err = s.Write([]byte("x"))
		require.ErrorContains(w, err, "set MemoryLimit to at least 80 MiB")
		require.Error(w, s.Close())
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

func TestAbortCancels(t *testing.T) {
	inWorld(t, &small, func(w world) {
		s := w.stream(9 * planned)
		why := errors.New("why")
		w.inject(bvtest.Fault{Call: bvtest.CallPut, Kind: bvtest.StallEarly, Fired: func() { go s.Abort(why) }})
		_, err := s.Write(testutil.Content(9 * planned))
		require.ErrorIs(w, err, why)
		require.ErrorIs(w, s.Close(), why)
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

func TestExpiredURLsEndTheStream(t *testing.T) {
	inWorld(t, &small, func(w world) {
		s := w.stream(9 * planned)
		_, err := s.Write(testutil.Content(planned))
		require.NoError(w, err)
		w.server.Advance(24 * time.Hour)
		_, _ = s.Write(testutil.Content(8 * planned))
		err = s.Close()
		var refused *blendvisionbackend.Error
		require.ErrorAs(w, err, &refused)
		require.Equal(w, 403, refused.Status)
		require.ErrorContains(w, err, "the service renews none")
		require.Equal(w, bvtest.Cancelled, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

func TestUnknownOutcomeNamesTheUpload(t *testing.T) {
	inWorld(t, nil, func(w world) {
		w.inject(bvtest.Fault{Call: bvtest.CallComplete, Kind: bvtest.LoseAnswer})
		w.inject(bvtest.Fault{Call: bvtest.CallDownload, Count: -1, Kind: bvtest.Refuse, Status: 403})
		s := w.stream(1)
		_, err := s.Write([]byte("x"))
		require.NoError(w, err)
		err = s.Close()
		require.ErrorIs(w, err, sluice.ErrFinishUnknown)
		var failure *sluice.Error
		require.ErrorAs(w, err, &failure)
		require.Equal(w, w.session().FileID+"/"+w.session().UploadID, failure.LargeFile)
		require.Equal(w, bvtest.Completed, w.session().State)
		require.NoError(w, w.server.Check())
	})
}

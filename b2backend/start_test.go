package b2backend_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestALostStartIsFoundByItsTag(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	other := start(t, b, "file") // of the same name, and not to be taken for it
	inject(t, s, b2test.Fault{Call: "b2_start_large_file", Kind: b2test.LoseAnswer})
	f, err := b.StartLargeFile(t.Context(), spec("file"))
	require.NoError(t, err)
	require.NotEqual(t, other.Info().ID, f.Info().ID)
	require.Equal(t, 2, s.Count("b2_start_large_file"), "gone on with, not started again")
	require.Len(t, s.Unfinished(), 2)
	require.NoError(t, f.Cancel(t.Context()))
	require.NoError(t, other.Cancel(t.Context()))
}

func TestAStartLeavesNothingWhenItsContextEnds(t *testing.T) {
	for name, fault := range map[string]b2test.Fault{
		"the answer comes late": {Kind: b2test.Wait, Delay: 30 * time.Millisecond},
		"the answer is lost":    {Kind: b2test.LoseAnswer, Delay: 30 * time.Millisecond},
		"it is refused":         {Kind: b2test.Refuse, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSending(t, "b2_start_large_file", cancel)})
			fault.Call = "b2_start_large_file"
			inject(t, s, fault)
			_, err := b.StartLargeFile(ctx, spec("file"))
			require.ErrorIs(t, err, context.Canceled)
			require.Empty(t, s.Unfinished())
			require.Equal(t, 1, s.Count("b2_start_large_file"))
		})
	}
}

// The stream's error names a large file that a start leaves behind after the
// stream has failed for another reason.
func TestAStartThatCannotBeUndoneIsHandedOver(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectUnfinished("file")
	broken, began, answer := errors.New("source broke"), make(chan struct{}), make(chan struct{})
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: whenSending(t, "b2_start_large_file", func() { close(began) })})
	inject(
		t, s,
		b2test.Fault{Call: "b2_start_large_file", Kind: b2test.Wait, Hold: answer},
		b2test.Fault{Call: "b2_cancel_large_file", Kind: b2test.Refuse, Status: 403, Count: -1},
	)
	opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000 * minPart, MemoryLimit: 64 * minPart}
	w, err := sluice.New(t.Context(), b, "file", opts)
	require.NoError(t, err)
	_, err = w.Write(testutil.Content(2*minPart + 1))
	require.NoError(t, err)
	<-began
	go func() {
		<-w.Done()
		close(answer)
	}()
	w.Abort(broken)
	e, ok := errors.AsType[*sluice.Error](w.Close())
	require.True(t, ok)
	require.ErrorIs(t, e, broken)
	require.Len(t, s.Unfinished(), 1)
	require.Equal(t, s.Unfinished()[0].ID, e.LargeFile)
	require.ErrorContains(t, e.Cleanup, "403")
}

// A start whose answer was lost, and whose large file can be neither listed nor
// cancelled, is named beside what failed before it.
func TestALostStartThatCannotBeUndoneIsNamedBesideTheFirstFailure(t *testing.T) {
	writer := []string{"writeFiles"}
	for want, c := range map[string]struct {
		capabilities []string
		fault        b2test.Fault
	}{
		"b2_list_unfinished_large_files: 403":                             {nil, b2test.Fault{Call: "b2_list_unfinished_large_files", Kind: b2test.Refuse, Status: 403, Count: -1}},
		"it cannot be looked for: the key lacks the capability listFiles": {writer, b2test.Fault{}},
		"none is listed, and the service may still be at work on it":      {nil, b2test.Fault{Call: "b2_start_large_file", Kind: b2test.Drop}},
	} {
		t.Run(want, func(t *testing.T) {
			s := newServer(t, nil)
			s.ExpectUnfinished("file")
			key := mainKey(s)
			if c.capabilities != nil {
				key = limitedKey(t, s, c.capabilities)
			}
			broken, began, gone := errors.New("source broke"), make(chan struct{}), make(chan struct{})
			rt := whenSending(t, "b2_start_large_file", func() { close(began) })
			b := dialAs(t, s, key, &b2backend.Options{Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "b2_start_large_file") {
					// the answer's loss is learnt of once the stream has failed
					defer func() { <-gone }()
				}
				return rt.RoundTrip(req)
			})})
			lose := b2test.Fault{Call: "b2_start_large_file", Kind: b2test.LoseAnswer}
			if c.fault.Call == lose.Call {
				lose = c.fault
			} else if c.fault.Call != "" {
				inject(t, s, c.fault)
			}
			inject(t, s, lose)
			opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000 * minPart, MemoryLimit: 64 * minPart}
			w, err := sluice.New(t.Context(), b, "file", opts)
			require.NoError(t, err)
			_, err = w.Write(testutil.Content(2*minPart + 1))
			require.NoError(t, err)
			<-began
			go func() {
				<-w.Done()
				close(gone)
			}()
			w.Abort(broken)
			err = w.Close()
			require.ErrorIs(t, err, broken)
			require.ErrorIs(t, err, sluice.ErrLeftBehind)
			require.ErrorContains(t, err, "a large file may be left unfinished")
			require.ErrorContains(t, err, want)
			if c.fault.Call != lose.Call {
				require.Len(t, s.Unfinished(), 1)
			}
		})
	}
}

func TestStart_UsesALostOneThatIsFoundAtTheSecondLook(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	inject(
		t, s,
		b2test.Fault{Call: "b2_start_large_file", Kind: b2test.LoseAnswer},
		b2test.Fault{Call: "b2_list_unfinished_large_files", Kind: b2test.Refuse, Status: 400},
	)
	f, err := b.StartLargeFile(t.Context(), spec("file"))
	require.NoError(t, err)
	require.Equal(t, 1, s.Count("b2_start_large_file"))
	require.Equal(t, s.Unfinished()[0].ID, f.Info().ID)
	require.NoError(t, f.Cancel(t.Context()))
}

func TestWithoutListFilesALostStartStaysBehind(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectUnfinished("file")
	var log bytes.Buffer
	b := dialAs(t, s, limitedKey(t, s, []string{"writeFiles"}), &b2backend.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	inject(t, s, b2test.Fault{Call: "b2_start_large_file", Kind: b2test.LoseAnswer})
	f, err := b.StartLargeFile(t.Context(), spec("file"))
	require.NoError(t, err)
	require.Len(t, s.Unfinished(), 2)
	require.Contains(t, log.String(), "an unfinished large file may be left")
	require.NoError(t, f.Cancel(t.Context()))
	require.Len(t, s.Unfinished(), 1)
}

func TestCallsWithADoneContextSendNothing(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(s.Requests())
	_, err := b.StartLargeFile(ctx, spec("file"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.UploadFile(ctx, sized("file", 0), part(0, nil))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.ResumeLargeFile(ctx, spec("file"), "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.CopyFile(ctx, spec("file"), b2backend.CopySource{FileID: "x"})
	require.ErrorIs(t, err, context.Canceled)
	for _, err := range b.Unfinished(ctx, "") {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Len(t, s.Requests(), before)
}

func TestWhatCheckRefusesIsNotSent(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	before := len(s.Requests())
	_, err := b.StartLargeFile(t.Context(), spec(""))
	require.EqualError(t, err, "b2backend: file name is empty")
	_, err = b.UploadFile(t.Context(), sluice.FileSpec{}, part(0, nil))
	require.EqualError(t, err, "b2backend: file name is empty")
	require.Len(t, s.Requests(), before)
}

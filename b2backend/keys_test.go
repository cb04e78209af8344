package b2backend_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestNew_RejectsEmptyCredentialsByName(t *testing.T) {
	s := newServer(t, nil)
	for want, c := range map[string]b2backend.Credentials{
		"b2backend: credentials: the key ID is empty":          b2backend.NewCredentials("", s.Key()),
		"b2backend: credentials: the application key is empty": b2backend.NewCredentials(s.KeyID(), ""),
	} {
		_, err := connect(t, s, c, nil)
		require.EqualError(t, err, want)
	}
	require.Empty(t, s.Requests())
}

// everyNeed is each call that needs a capability beyond writeFiles, and each
// that needs that.
func everyNeed(ctx context.Context, b *b2backend.Backend) map[string]error {
	errs := map[string]error{}
	_, errs["listFiles, Unfinished"] = first(b.Unfinished(ctx, ""))
	_, errs["listFiles, CancelStale"] = b.CancelStale(ctx, b2backend.StaleFilter{OlderThan: 1})
	_, errs["listFiles, ResumeLargeFile"] = b.ResumeLargeFile(ctx, spec("file"), "")
	_, errs["readFiles, Stat"] = b.Stat(ctx, "file")
	_, errs["writeFiles, UploadFile"] = b.UploadFile(ctx, sized("file", 0), part(0, nil))
	_, errs["writeFiles, StartLargeFile"] = b.StartLargeFile(ctx, spec("file"))
	_, errs["writeFiles, CopyFile"] = b.CopyFile(ctx, spec("file"), b2backend.CopySource{FileID: "x"})
	_, errs["writeFiles, Parts"] = b.Parts(ctx, sluice.UnfinishedFile{ID: "x"})
	errs["writeFiles, Check"] = b.Check(spec("file"))
	errs["writeFileRetentions, Check"] = b.With(b2backend.FileOptions{
		Retention: b2backend.Retention{Mode: b2backend.Governance, Until: time.Now()},
	}).Check(spec("file"))
	return errs
}

func first(list func(func(sluice.UnfinishedFile, error) bool)) (f sluice.UnfinishedFile, err error) {
	list(func(found sluice.UnfinishedFile, failure error) bool {
		f, err = found, failure
		return false
	})
	return f, err
}

func TestMissingCapability_IsNamed(t *testing.T) {
	s := newServer(t, nil)
	_, err := connect(t, s, newKey(t, s, b2test.Key{Capabilities: []string{"writeFiles"}}), nil)
	require.EqualError(t, err, `b2backend: bucket "`+s.Bucket()+`": b2_list_buckets: the key lacks the capability listBuckets`)

	for _, may := range []string{"writeFiles", "shareFiles"} {
		s := newServer(t, nil)
		b := dialAs(t, s, limitedKey(t, s, []string{may}), nil)
		for call, err := range everyNeed(t.Context(), b) {
			if need, _, _ := strings.Cut(call, ","); need != may && (may == "writeFiles" || need == "writeFiles") {
				require.ErrorContains(t, err, "the key lacks the capability "+need, call)
			}
		}
		for _, r := range s.Requests() {
			require.NotEqual(t, 401, r.Status, r.Call)
		}
		_, err := dial(t, s).CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: -1})
		require.NoError(t, err)
	}
}

func TestRestrictedKey_CannotSeeOutsideOfItsPrefix(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectUnfinished("b/file")
	start(t, dial(t, s), "b/file")
	b := dialAs(t, s, newKey(t, s, b2test.Key{Buckets: []string{s.Bucket()}, NamePrefix: "a/"}), nil)
	start(t, b, "a/file")
	const want = `b2backend: names that begin with "b/" are outside of "a/", to which the key is restricted`
	before := len(s.Requests())
	_, err := first(b.Unfinished(t.Context(), "b/"))
	require.EqualError(t, err, want)
	_, err = b.CancelStale(t.Context(), b2backend.StaleFilter{Prefix: "b/", OlderThan: -1})
	require.EqualError(t, err, want)
	_, err = b.ResumeLargeFile(t.Context(), spec("b/file"), "")
	require.ErrorContains(t, err, `file name "b/file" does not begin with "a/", to which the key is restricted`)
	require.Len(t, s.Requests(), before)
	require.Len(t, listed(t, b, ""), 1, "all that the key may see")
	require.Len(t, listed(t, b, "a/f"), 1)
	gone, err := b.CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: -1})
	require.NoError(t, err)
	require.Len(t, gone, 1)
}

func TestRenew_ReadsKeysThatWereReplaced(t *testing.T) {
	s := newServer(t, nil)
	old := newKey(t, s, b2test.Key{ID: "old"})
	next := newKey(t, s, b2test.Key{ID: "next"})
	var read atomic.Int64
	b := dialAs(t, s, old, &b2backend.Options{Renew: func(context.Context) (b2backend.Credentials, error) {
		switch read.Add(1) {
		case 1:
			return old, nil // they are not replaced yet
		case 2:
			return b2backend.Credentials{}, errors.New("the file is being replaced")
		}
		return next, nil
	}})
	require.Zero(t, read.Load())

	source, feed := io.Pipe()
	done := make(chan error)
	data := testutil.Content(5 * minPart)
	go func() {
		opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000, MemoryLimit: 64 * minPart}
		_, err := sluice.Upload(t.Context(), b, "file", opts, func(w io.Writer) error {
			_, err := io.Copy(w, source)
			return err
		})
		done <- err
	}()
	_, err := feed.Write(data[:3*minPart])
	require.NoError(t, err)
	require.NoError(t, s.RemoveKey("old")) // with its tokens
	s.ExpireUploadTokens()
	_, err = feed.Write(data[3*minPart:])
	require.NoError(t, err)
	require.NoError(t, feed.Close())
	require.NoError(t, <-done)
	requireStored(t, s, "file", data)
	require.EqualValues(t, 3, read.Load())
}

func TestRenew_SaysWhyItFailed(t *testing.T) {
	s := newServer(t, nil)
	failing := func(context.Context) (b2backend.Credentials, error) {
		return b2backend.Credentials{}, errors.New("the file is being replaced")
	}
	b := dialAs(t, s, newKey(t, s, b2test.Key{ID: "old"}), &b2backend.Options{
		Renew: failing, Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond},
	})
	require.NoError(t, s.RemoveKey("old"))
	_, err := b.StartLargeFile(t.Context(), spec("file"))
	require.ErrorContains(t, err, "b2_authorize_account: 401 bad_auth_token (reading the credentials again: the file is being replaced)")
	require.NotErrorIs(t, err, sluice.ErrLeftBehind)
	require.Equal(t, 1+3, s.Count("b2_authorize_account"))
}

package b2backend_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// policies are those of an interactive program and of an unattended job.
var policies = map[string]sluice.Retry{"attempts": {}, "budget": {Budget: time.Hour}}

// A token that is dead as soon as it is there is not a key that is refused: the
// call goes on, within its policy.
func TestEveryCallSurvivesATokenThatExpiresTwiceInARow(t *testing.T) {
	for name, retry := range policies {
		for _, call := range []string{
			"b2_start_large_file", "b2_get_upload_part_url", "b2_finish_large_file", "b2_cancel_large_file",
			"b2_list_unfinished_large_files", "b2_list_parts", "b2_copy_part", "b2_copy_file", "b2_upload_part",
			"b2_get_upload_url", "b2_upload_file", byName, byID, "b2_get_file_info", "b2_list_file_names", "b2_delete_file_version",
		} {
			t.Run(name+" "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPiped(t)
					defer p.close(t)
					b, err := p.dialWith(t, retry)
					require.NoError(t, err)
					inject(t, p.Server, b2test.Fault{Kind: b2test.ExpireToken, Call: call, Count: 3})
					requireEveryCall(t, b)
					require.Equal(t, []int{3}, p.Fired())
				})
			})
		}
	}
}

// requireEveryCall makes the calls of an upload, of a resumed one, of copies,
// and of a download.
func requireEveryCall(t *testing.T, b *b2backend.Backend) {
	small, err := b.UploadFile(t.Context(), sized("small", minPart), part(0, testutil.Content(minPart)))
	require.NoError(t, err)
	for f, err := range b.List(t.Context(), "") {
		require.NoError(t, err)
		requireRead(t, b, f, testutil.Content(minPart))
	}
	require.Equal(t, small.ID, stat(t, b, "small").ID)
	_, err = b.CopyFile(t.Context(), spec("copy"), b2backend.CopySource{FileID: small.ID})
	require.NoError(t, err)
	gone := start(t, b, "gone")
	require.NoError(t, gone.Cancel(t.Context()))
	large := start(t, b, "large")
	receipts := []sluice.Receipt{put(t, large, 1, testutil.Content(minPart))}
	again, err := b.ResumeLargeFile(t.Context(), spec("large"), "")
	require.NoError(t, err)
	require.Len(t, again.Info().Stored, 1)
	r, err := large.CopyPart(t.Context(), 2, b2backend.CopySource{FileID: small.ID})
	require.NoError(t, err)
	_, err = large.Finish(t.Context(), append(receipts, r), nil)
	require.NoError(t, err)
	require.NoError(t, b.Remove(t.Context(), stat(t, b, "large")))
}

// Every nth request finds the account's token dead, or all tokens. A storm in
// step with the three requests that replace all of them would go on for ever,
// so those come every four requests at most.
func TestAStreamSurvivesAStormOfExpiredTokens(t *testing.T) {
	for name, retry := range policies {
		for _, storm := range []struct {
			nth int64
			all bool
		}{{2, false}, {3, false}, {4, true}, {5, true}, {7, true}} {
			for _, concurrency := range []int{1, 4} {
				t.Run(fmt.Sprint(name, " ", storm, " ", concurrency), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						// as many logins as the storm takes
						p := newPipedWith(t, &b2test.Options{MaxAuthorize: -1})
						defer p.close(t)
						b, err := p.dialWith(t, retry)
						require.NoError(t, err)
						var requests atomic.Int64
						p.before = func(req *http.Request) {
							upload := strings.Contains(req.URL.Path, "b2_upload_")
							if strings.HasSuffix(req.URL.Path, "b2_authorize_account") || upload && !storm.all || requests.Add(1)%storm.nth > 0 {
								return
							}
							p.ExpireAccountTokens()
							if storm.all {
								p.ExpireUploadTokens()
							}
						}
						data := testutil.Content(20*minPart + 1)
						opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 30 * minPart, MemoryLimit: 8 * minPart, Concurrency: concurrency}
						_, err = sluice.Upload(t.Context(), b, "stormy", opts, func(w io.Writer) error {
							_, err := io.Copy(w, bytes.NewReader(data))
							return err
						})
						require.NoError(t, err)
						requireStored(t, p.Server, "stormy", data)
						require.Len(t, p.Files(p.Bucket()), 1)
						require.Greater(t, p.Count("b2_authorize_account"), 1)
					})
				})
			}
		}
	}
}

// Where no token ever works the policy ends the call, and says why.
func TestTokensThatNeverWorkEndTheCallWithinItsPolicy(t *testing.T) {
	startLarge := func(ctx context.Context, b *b2backend.Backend) error {
		_, err := b.StartLargeFile(ctx, spec("file"))
		return err
	}
	uploadFile := func(ctx context.Context, b *b2backend.Backend) error {
		_, err := b.UploadFile(ctx, sized("file", minPart), part(0, testutil.Content(minPart)))
		return err
	}
	for name, retry := range policies {
		for call, do := range map[string]func(context.Context, *b2backend.Backend) error{
			"b2_start_large_file": startLarge, "b2_get_upload_url": uploadFile, "b2_upload_file": uploadFile,
		} {
			t.Run(name+" "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPiped(t)
					defer p.close(t)
					b, err := p.dialWith(t, retry)
					require.NoError(t, err)
					inject(t, p.Server, b2test.Fault{Kind: b2test.ExpireToken, Call: call, Count: -1})
					began := time.Now()
					require.ErrorContains(t, do(t.Context(), b), call+": 401 expired_auth_token")
					require.Less(t, time.Since(began), 61*time.Minute)
					require.LessOrEqual(t, p.Count("b2_authorize_account"), 100, "logins are rated")
				})
			})
		}
	}
}

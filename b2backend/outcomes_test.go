package b2backend_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// act is a server in a bubble and a backend whose requests pass what is set.
type act struct {
	*piped
	*b2backend.Backend
	rt http.RoundTripper
}

func newAct(t *testing.T, capabilities []string) *act {
	began := time.Now()
	// The clock stands, so that no token ends before what is done late.
	p := newPipedWith(t, &b2test.Options{Now: func() time.Time { return began }, MaxAuthorize: -1})
	t.Cleanup(func() {
		p.transport.CloseIdleConnections()
		p.Close()
	})
	a := &act{piped: p, rt: p.transport}
	var err error
	a.Backend, err = b2backend.New(t.Context(), limitedKey(t, p.Server, capabilities), p.Bucket(), &b2backend.Options{
		Endpoint: p.URL(), Retry: sluice.Retry{Attempts: 3},
		Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) { return a.rt.RoundTrip(req) }),
	})
	require.NoError(t, err)
	return a
}

// callName is the name of the call of a request.
func callName(req *http.Request) string {
	for segment := range strings.SplitSeq(req.URL.Path, "/") {
		if strings.HasPrefix(segment, "b2_") {
			return segment
		}
	}
	return ""
}

// stage is a stage for a call. The looks are what looks for its outcome, with
// their requests. run makes the call.
func (a *act) stage(t *testing.T, change string, looks map[string]map[string]any, run func(context.Context) error) *hostile.Stage {
	past := map[string]func(*http.Request) *http.Response{}
	for call, request := range looks {
		past[call] = a.recorded(t, call, request)
	}
	return &hostile.Stage{
		Store: a.transport, Doubt: sluice.ErrFinishUnknown,
		Past:    testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) { return past[callName(req)](req), nil }),
		Changes: func(req *http.Request) bool { return callName(req) == change },
		Looks:   func(req *http.Request) bool { return past[callName(req)] != nil },

		LooksForUpload: func(req *http.Request) bool { return callName(req) == "b2_get_file_info" },
		Removes: func(req *http.Request) bool {
			return callName(req) == "b2_cancel_large_file" || callName(req) == "b2_delete_file_version"
		},
		Own: func(req *http.Request, status int) *http.Response {
			code := map[int]string{400: "bad_request", 403: "access_denied", 500: "internal_error", 503: "service_unavailable"}[status]
			return answer(req, status, fmt.Sprintf(`{"status":%d,"code":%q,"message":"no"}`, status, code))
		},
		Run: func(ctx context.Context, rt http.RoundTripper) error {
			a.rt = rt
			return run(ctx)
		},
	}
}

func answer(req *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}
}

// recorded makes a call now and returns its answer later.
func (a *act) recorded(t *testing.T, call string, request map[string]any) func(*http.Request) *http.Response {
	ask := func(url string, body any, authorize func(*http.Request)) (int, []byte) {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(text))
		require.NoError(t, err)
		authorize(req)
		resp, err := a.transport.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, said
	}
	_, said := ask(a.URL()+"/b2api/v4/b2_authorize_account", struct{}{}, func(r *http.Request) { r.SetBasicAuth(a.KeyID(), a.Key()) })
	var account struct {
		AuthorizationToken string
		APIInfo            struct{ StorageAPI struct{ APIURL string } }
	}
	require.NoError(t, json.Unmarshal(said, &account))
	status, said := ask(account.APIInfo.StorageAPI.APIURL+"/b2api/v4/"+call, request, func(r *http.Request) {
		r.Header.Set("Authorization", account.AuthorizationToken)
	})
	return func(req *http.Request) *http.Response { return answer(req, status, string(said)) }
}

// addOlder stores an older file of the same name and size.
func addOlder(t *testing.T, p *piped, trial hostile.Trial, data []byte) {
	if !trial.Sight.Old() {
		return
	}
	if !trial.Sight.Same() {
		data = bytes.Repeat([]byte("o"), len(data))
	}
	b, err := p.dial(t)
	require.NoError(t, err)
	_, err = b.UploadFile(t.Context(), sized("file", len(data)), part(0, data))
	require.NoError(t, err)
}

// has returns a function that reports whether a version of the file has the data,
// other than those that are there now.
func (a *act) has(t *testing.T, data []byte) func() bool {
	older := a.Files(a.Bucket())
	return func() bool {
		return slices.ContainsFunc(a.Files(a.Bucket()), func(f *b2test.File) bool {
			stored, err := io.ReadAll(f.Reader())
			require.NoError(t, err)
			isOld := slices.ContainsFunc(older, func(o *b2test.File) bool { return o.ID == f.ID })
			return !isOld && bytes.Equal(stored, data)
		})
	}
}

// versionsRequest looks for the versions of the file.
func (a *act) versionsRequest() map[string]any {
	return map[string]any{"bucketId": a.BucketID(), "startFileName": "file", "prefix": "file", "maxFileCount": 1000}
}

func TestOutcomesOfAFinish(t *testing.T) {
	for name, key := range limitedKeys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
				a := newAct(t, key.capabilities)
				f, receipts, data := twoParts(t, a.Backend, "file")
				addOlder(t, a.piped, trial, data)
				s := a.stage(t, "b2_finish_large_file", map[string]map[string]any{
					"b2_get_file_info":      {"fileId": f.Info().ID},
					"b2_list_file_versions": a.versionsRequest(),
					"b2_list_parts":         {"fileId": f.Info().ID, "maxPartCount": 1},
				}, func(ctx context.Context) error {
					_, err := f.Finish(ctx, receipts, nil)
					if err != nil {
						_ = f.Cancel(context.WithoutCancel(ctx))
					}
					return err
				})
				s.Known = key.look != ""
				s.There = a.has(t, data)
				s.Conflict = func(req *http.Request) *http.Response {
					return answer(req, http.StatusBadRequest, `{"status":400,"code":"bad_request","message":"No active upload for: `+f.Info().ID+`"}`)
				}
				return s
			}, hostile.Conflicts, hostile.Uploads)
		})
	}
}

func TestOutcomesOfASingleUpload(t *testing.T) {
	for name, c := range map[string]struct {
		capabilities []string
		options      b2backend.FileOptions
		known        bool
	}{
		"tagged":           {[]string{"writeFiles", "listFiles"}, b2backend.FileOptions{}, true},
		"untagged":         {[]string{"writeFiles", "listFiles"}, b2backend.FileOptions{OmitSluiceID: true}, false},
		"cannot be listed": {[]string{"writeFiles"}, b2backend.FileOptions{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
				a, data := newAct(t, c.capabilities), testutil.Content(50)
				addOlder(t, a.piped, trial, data)
				s := a.stage(t, "b2_upload_file", map[string]map[string]any{"b2_list_file_versions": a.versionsRequest()},
					func(ctx context.Context) error {
						_, err := a.With(c.options).UploadFile(ctx, sluice.FileSpec{Name: "file", Size: 50}, part(0, data))
						return err
					})
				s.Known = c.known
				s.There = a.has(t, data)
				return s
			})
		})
	}
}

func TestOutcomesOfAStart(t *testing.T) {
	for name, capabilities := range map[string][]string{
		"found again":      {"writeFiles", "listFiles"},
		"cannot be listed": {"writeFiles"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
				a := newAct(t, capabilities)
				if trial.Sight.Old() {
					other, err := a.dial(t)
					require.NoError(t, err)
					start(t, other, "file")
				}
				before := len(a.Server.Unfinished())
				s := a.stage(t, "b2_start_large_file", map[string]map[string]any{
					"b2_list_unfinished_large_files": {"bucketId": a.BucketID(), "namePrefix": "file", "maxFileCount": 100},
				}, func(ctx context.Context) error {
					f, err := a.StartLargeFile(ctx, spec("file"))
					// what cannot be cancelled is returned, to be named
					if err == nil && ctx.Err() != nil {
						err = errors.Join(sluice.ErrLeftBehind, f.Cancel(context.WithoutCancel(ctx)))
					}
					return err
				})
				s.Repeats = true
				s.Doubt = sluice.ErrLeftBehind
				// what carries the start's own tag may be cancelled
				s.Removes = func(*http.Request) bool { return false }
				s.There = func() bool { return len(a.Server.Unfinished()) > before }
				return s
			})
		})
	}
}

func TestOutcomesOfACopy(t *testing.T) {
	t.Parallel()
	hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
		a, data := newAct(t, nil), testutil.Content(50)
		addOlder(t, a.piped, trial, data)
		source, err := a.UploadFile(t.Context(), sized("source", len(data)), part(0, data))
		require.NoError(t, err)
		s := a.stage(t, "b2_copy_file", nil, func(ctx context.Context) error {
			_, err := a.CopyFile(ctx, spec("file"), b2backend.CopySource{FileID: source.ID})
			return err
		})
		s.There = func() bool {
			f, err := a.File(a.Bucket(), "file")
			return err == nil && f.SHA1 == hexOf(part(0, data).Digests[0].Sum)
		}
		return s
	})
}

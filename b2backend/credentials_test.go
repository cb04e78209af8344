package b2backend_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestNewResolvesTheBucketWithEveryKindOfKey(t *testing.T) {
	s := newServer(t, nil)
	_, err := s.AddBucket(b2test.Bucket{Name: "other-bucket"})
	require.NoError(t, err)
	for name, key := range map[string]b2test.Key{
		"everything":                 {},
		"restricted":                 {Buckets: []string{s.Bucket()}},
		"restricted to several":      {Buckets: []string{"other-bucket", s.Bucket()}, MultiBucket: true},
		"restricted, may not list":   {Buckets: []string{s.Bucket()}, Capabilities: []string{"writeFiles"}},
		"restricted to a prefix":     {Buckets: []string{s.Bucket()}, NamePrefix: "a/"},
		"all buckets, may list them": {Capabilities: []string{"writeFiles", "listBuckets"}},
	} {
		t.Run(name, func(t *testing.T) {
			listed := s.Count("b2_list_buckets")
			b := dialAs(t, s, newKey(t, s, key), nil)
			require.Equal(t, "b2://"+s.Bucket(), b.String())
			_, err := b.UploadFile(t.Context(), sized("a/file", len(name)), part(0, []byte(name)))
			require.NoError(t, err)
			if key.Buckets != nil {
				require.Equal(t, listed, s.Count("b2_list_buckets"), "a restricted key is told its buckets at login")
			}
		})
	}
}

func TestLimitsAreTheServices(t *testing.T) {
	l := dial(t, newServer(t, &b2test.Options{MinPartSize: 123})).Limits()
	require.EqualValues(t, 123, l.MinPart)
	require.Equal(t, int64(5_000_000_000), l.MaxPart)
	require.Equal(t, int64(5_000_000_000), l.MaxSingle)
	require.Equal(t, int64(10_000_000_000_000), l.MaxFile)
	require.Equal(t, 2, l.MinParts)
	require.Equal(t, 10_000, l.MaxParts)
	require.True(t, l.Resumable)
	require.Equal(t, "sha1", l.PartDigests[0].Name)
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	s := newServer(t, nil)
	_, err := s.AddBucket(b2test.Bucket{Name: "other-bucket"})
	require.NoError(t, err)
	key := mainKey(s)
	at := func(change func(*b2backend.Options)) *b2backend.Options {
		o := &b2backend.Options{Endpoint: s.URL(), Retry: swift}
		change(o)
		return o
	}
	fine := at(func(*b2backend.Options) {})
	for _, c := range []struct {
		want    string
		key     b2backend.Credentials
		bucket  string
		options *b2backend.Options
	}{
		{`b2backend: logging in with key "nobody": b2_authorize_account: 401 bad_auth_token`, b2backend.NewCredentials("nobody", "SECRET"), "x", fine},
		{`b2backend: bucket "nowhere": there is none of that name in account ` + s.AccountID(), key, "nowhere", fine},
		{`b2backend: bucket "nowhere": the key is restricted to other buckets: ["other-bucket"]`, newKey(t, s, b2test.Key{Buckets: []string{"other-bucket"}}), "nowhere", fine},
		{`b2backend: bucket "x": b2_list_buckets: the key lacks the capability listBuckets`, newKey(t, s, b2test.Key{Capabilities: []string{"writeFiles"}}), "x", fine},
		{"b2backend: endpoint: URL http://b2.test: plain http would show the credentials to the network; use https", key, "x", at(func(o *b2backend.Options) { o.Endpoint = "http://b2.test" })},
		{`b2backend: endpoint: "b2.test" is not a URL with a host`, key, "x", at(func(o *b2backend.Options) { o.Endpoint = "b2.test" })},
		{"b2backend: endpoint: URL https://b2.test/ has a query or a fragment", key, "x", at(func(o *b2backend.Options) { o.Endpoint = "https://b2.test/?key=SECRET" })},
		{"b2backend: bucket name is empty", key, "", fine},
		{"b2backend: retry policy: Attempts -1 is negative", key, "x", at(func(o *b2backend.Options) { o.Retry.Attempts = -1 })},
		{"b2backend: retry policy: Stall -1 is negative", key, "x", at(func(o *b2backend.Options) { o.Retry.Stall = -1 })},
	} {
		_, err := b2backend.New(t.Context(), c.key, c.bucket, c.options)
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestARefusedLoginIsNotRepeated(t *testing.T) {
	s := newServer(t, nil)
	_, err := connect(t, s, b2backend.NewCredentials("nobody", "x"), nil)
	require.Error(t, err)
	require.Equal(t, 1, s.Count("b2_authorize_account"))
}

// A stream longer than a day meets the end of its account token and of its
// upload URLs.
func TestAStreamOutlivesItsTokens(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f, receipts, data := twoParts(t, b, "file")
	for day := range 3 {
		s.Advance(25 * time.Hour)
		more := testutil.Content(minPart)
		receipts = append(receipts, put(t, f, day+3, more))
		if day == 0 {
			// of full size, now that it is not the last
			receipts[1] = put(t, f, 2, testutil.Content(minPart))
			data = append(testutil.Content(2 * minPart)[:minPart:minPart], testutil.Content(minPart)...)
		}
		data = append(data, more...)
	}
	s.Advance(25 * time.Hour)
	_, err := f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	requireStored(t, s, "file", data)
	require.Equal(t, 5, s.Count("b2_authorize_account"), "one login a day")
}

func TestAnyNumberOfCallsShareOneLogin(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	for range 3 {
		logins := s.Count("b2_authorize_account")
		s.ExpireAccountTokens()
		s.ExpireUploadTokens()
		var uploads sync.WaitGroup
		for n := range 32 {
			uploads.Go(func() {
				if _, err := f.UploadPart(t.Context(), part(n+1, testutil.Content(minPart))); err != nil {
					t.Error(err)
				}
			})
		}
		uploads.Wait()
		require.Equal(t, logins+1, s.Count("b2_authorize_account"))
	}
	require.NoError(t, f.Cancel(t.Context()))
}

// fake is a service in memory, for virtual time and for answers that no service
// gives.
type fake struct {
	mu    sync.Mutex
	calls []string
	// answers by the name of the call; a missing one is fakeAnswers'.
	answers map[string]func(*http.Request) (int, string)
}

var fakeAnswers = map[string]string{
	"b2_authorize_account": `{"accountId":"acc","authorizationToken":"TOKEN","apiInfo":{"storageApi":{"apiUrl":"https://api001.backblazeb2.com","downloadUrl":"https://f001.backblazeb2.com","absoluteMinimumPartSize":100,` +
		`"allowed":{"capabilities":null,"buckets":[{"id":"bid","name":"bucket"}],"namePrefix":null}}}}`,
	"b2_start_large_file":    `{"fileId":"large","fileName":"file"}`,
	"b2_cancel_large_file":   `{"fileId":"large"}`,
	"b2_get_upload_part_url": `{"fileId":"large","uploadUrl":"https://pod-000.backblaze.com/b2_upload_part","authorizationToken":"UPTOKEN"}`,
	"b2_get_upload_url":      `{"uploadUrl":"https://pod-000.backblaze.com/b2_upload_file","authorizationToken":"UPTOKEN"}`,
}

func (f *fake) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	call := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	f.mu.Lock()
	f.calls = append(f.calls, call)
	answer := f.answers[call]
	f.mu.Unlock()
	status, body := http.StatusOK, fakeAnswers[call]
	if answer != nil {
		status, body = answer(req)
	}
	if status == 0 {
		return nil, errors.New(body)
	}
	header := http.Header{}
	if after, rest, ok := strings.Cut(body, "|"); ok {
		header.Set("Retry-After", after)
		header.Set("Location", rest)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (f *fake) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func dialFake(t *testing.T, f *fake, o *b2backend.Options) (*b2backend.Backend, error) {
	if o == nil {
		o = &b2backend.Options{}
	}
	o.Transport = f
	return b2backend.New(t.Context(), b2backend.NewCredentials("id", "KEY"), "bucket", o)
}

// times answers with each of the bodies in turn, and then as a service would.
func times(call string, status int, bodies ...string) func(*http.Request) (int, string) {
	n := 0
	return func(*http.Request) (int, string) {
		if n++; n <= len(bodies) {
			return status, bodies[n-1]
		}
		return http.StatusOK, fakeAnswers[call]
	}
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_authorize_account": times("b2_authorize_account", 429, "7|", "90000|"),
		}}
		_, err := dialFake(t, f, nil)
		require.NoError(t, err)
		require.Equal(t, 7*time.Second+2*time.Minute, time.Since(began))
	})
}

// Retry.Budget is for unattended jobs: an outage of half an hour is outlasted.
func TestABudgetOutlastsAnOutageOfHalfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		down := func(*http.Request) (int, string) {
			if time.Since(began) < 30*time.Minute {
				return http.StatusServiceUnavailable, ""
			}
			return http.StatusOK, fakeAnswers["b2_authorize_account"]
		}
		f := &fake{answers: map[string]func(*http.Request) (int, string){"b2_authorize_account": down}}
		_, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Budget: time.Hour}})
		require.NoError(t, err)

		began = time.Now()
		_, err = dialFake(t, f, nil)
		require.ErrorContains(t, err, "b2_authorize_account: 503")
		require.Less(t, time.Since(began), 10*time.Minute, "by default somebody waits")
	})
}

func TestAnUploadURLIsGivenUpBeforeTheServiceEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sum := part(1, testutil.Content(100)).Digests[0].Sum
		stored, err := json.Marshal(map[string]any{"fileId": "large", "partNumber": 1, "contentLength": 100, "contentSha1": hexOf(sum)})
		require.NoError(t, err)
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_upload_part": func(*http.Request) (int, string) { return 200, string(stored) },
		}}
		b, err := dialFake(t, f, nil)
		require.NoError(t, err)
		large := start(t, b, "file")
		put(t, large, 1, testutil.Content(100))
		time.Sleep(22 * time.Hour)
		put(t, large, 1, testutil.Content(100))
		require.Equal(t, 1, f.count("b2_get_upload_part_url"))
		time.Sleep(2 * time.Hour)
		put(t, large, 1, testutil.Content(100))
		require.Equal(t, 2, f.count("b2_get_upload_part_url"))
	})
}

func TestAnotherAccountAtTheNextLoginIsRefused(t *testing.T) {
	other := strings.Replace(fakeAnswers["b2_authorize_account"], `"acc"`, `"other"`, 1)
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_start_large_file": func(*http.Request) (int, string) { return 401, `{"code":"expired_auth_token"}` },
	}}
	b, err := dialFake(t, f, &b2backend.Options{Retry: swift})
	require.NoError(t, err)
	f.mu.Lock()
	f.answers["b2_authorize_account"] = func(*http.Request) (int, string) { return 200, other }
	f.mu.Unlock()
	_, err = b.StartLargeFile(t.Context(), spec("file"))
	require.EqualError(t, err, "b2backend: logging in again gave another account: other, not acc")
}

// The call that logs in for all gives up; the others are not failed by it.
func TestAnAbandonedLoginIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string]func(*http.Request) (int, string){}}
		b, err := dialFake(t, f, nil)
		require.NoError(t, err)
		f.mu.Lock()
		f.answers["b2_get_upload_part_url"] = times("b2_get_upload_part_url", 401, `{"code":"expired_auth_token"}`, `{"code":"expired_auth_token"}`)
		f.answers["b2_authorize_account"] = times("b2_authorize_account", 503, "60|")
		f.mu.Unlock()
		large := start(t, b, "file")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		first := make(chan error)
		go func() {
			_, err := large.UploadPart(ctx, part(1, testutil.Content(100)))
			first <- err
		}()
		synctest.Wait()
		second := make(chan error)
		go func() {
			_, err := large.CopyPart(t.Context(), 2, b2backend.CopySource{FileID: "x"})
			second <- err
		}()
		require.ErrorIs(t, <-first, context.DeadlineExceeded)
		require.ErrorContains(t, <-second, "b2_copy_part: unusable answer", "it got as far as the call itself")
		require.Equal(t, 3, f.count("b2_authorize_account"))
	})
}

func TestUnusableLoginsAreRefused(t *testing.T) {
	fine := fakeAnswers["b2_authorize_account"]
	for want, body := range map[string]string{
		"no account or no token":              strings.Replace(fine, "TOKEN", "", 1),
		"plain http would show":               strings.Replace(fine, "https://api001.backblazeb2.com", "http://api001.backblazeb2.com", 1),
		"is not a URL with a host":            strings.Replace(fine, "https://api001.backblazeb2.com", "api", 1),
		"absoluteMinimumPartSize is 0 bytes":  strings.Replace(fine, ":100,", ":0,", 1),
		"absoluteMinimumPartSize is -5 bytes": strings.Replace(fine, ":100,", ":-5,", 1),
		"not of the form expected":            "no",
	} {
		f := &fake{answers: map[string]func(*http.Request) (int, string){"b2_authorize_account": func(*http.Request) (int, string) { return 200, body }}}
		_, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
		require.ErrorContains(t, err, want)
		require.Equal(t, 2, f.count("b2_authorize_account"))
	}
}

func TestAnUploadURLOfPlainHTTPIsRefused(t *testing.T) {
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_get_upload_url": func(*http.Request) (int, string) {
			return 200, `{"uploadUrl":"http://pod-000.backblaze.com/b2_upload_file","authorizationToken":"UPTOKEN"}`
		},
	}}
	b, err := dialFake(t, f, &b2backend.Options{Retry: swift})
	require.NoError(t, err)
	_, err = b.UploadFile(t.Context(), sized("file", 0), part(0, nil))
	require.EqualError(t, err, "b2_get_upload_url: unusable answer: URL http://pod-000.backblaze.com/b2_upload_file: plain http would show the credentials to the network; use https")
	require.Zero(t, f.count("b2_upload_file"))
}

func TestRequestsSayWhoSendsThem(t *testing.T) {
	var agents []string
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_authorize_account": func(req *http.Request) (int, string) {
			agents = append(agents, req.UserAgent())
			return 200, fakeAnswers["b2_authorize_account"]
		},
	}}
	_, err := dialFake(t, f, nil)
	require.NoError(t, err)
	_, err = dialFake(t, f, &b2backend.Options{UserAgent: "backup/1.0"})
	require.NoError(t, err)
	require.Equal(t, []string{"sluice-b2backend", "backup/1.0 sluice-b2backend"}, agents)
}

func TestRetriesAndLoginsAreLogged(t *testing.T) {
	var log bytes.Buffer
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_authorize_account": times("b2_authorize_account", 503, `{"code":"service_unavailable","message":"busy"}`),
	}}
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, err := dialFake(t, f, &b2backend.Options{Retry: swift, Logger: logger})
	require.NoError(t, err)
	require.Contains(t, log.String(), `msg="b2: logging in" key=id`)
	require.Contains(t, log.String(), `msg="b2: retrying" after="b2_authorize_account: 503 service_unavailable: busy" wait=`)
}

func TestARedirectIsAnErrorAndNotFollowed(t *testing.T) {
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_upload_part": func(req *http.Request) (int, string) {
			require.Equal(t, "pod-000.backblaze.com", req.URL.Host)
			return 307, "0|https://evil.test/b2_upload_part"
		},
	}}
	b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 2}})
	require.NoError(t, err)
	_, err = start(t, b, "file").UploadPart(t.Context(), part(1, testutil.Content(minPart)))
	require.EqualError(t, err, "b2_upload_part: 307 Temporary Redirect")
	require.Equal(t, 2, f.count("b2_upload_part"))
}

func TestLogin_FailsAtOnceWhereNoServiceAnswers(t *testing.T) {
	for _, status := range []int{301, 401, 403, 404, 405} {
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_authorize_account": func(*http.Request) (int, string) { return status, "<html>hello</html>" },
		}}
		_, err := dialFake(t, f, nil)
		require.ErrorContains(t, err, fmt.Sprintf("b2_authorize_account: %d %s", status, http.StatusText(status)))
		require.Equal(t, 1, f.count("b2_authorize_account"))
	}
}

func TestAnAnswerOfUnboundedSizeIsCut(t *testing.T) {
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_start_large_file":            func(*http.Request) (int, string) { return 200, strings.Repeat(" ", 5<<20) },
		"b2_list_unfinished_large_files": func(*http.Request) (int, string) { return 200, `{"files":[]}` },
	}}
	b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
	require.NoError(t, err)
	_, err = b.StartLargeFile(t.Context(), spec("file"))
	require.ErrorContains(t, err, "b2_start_large_file: unusable answer: not of the form expected: it has a token of more than 32768 bytes")
}

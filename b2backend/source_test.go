package b2backend_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/testutil"
)

const (
	byName = "b2_download_file_by_name"
	byID   = "b2_download_file_by_id"
)

func stat(t *testing.T, b *b2backend.Backend, name string) sluice.StoredFile {
	t.Helper()
	f, err := b.Stat(t.Context(), name)
	require.NoError(t, err)
	return f
}

// readAll reads a version in one range.
func readAll(ctx context.Context, b *b2backend.Backend, f sluice.StoredFile) ([]byte, error) {
	r := sluice.NewRange(0, f.Size)
	err := b.ReadRange(ctx, f, r)
	return r.Bytes(), err
}

func requireRead(t *testing.T, b *b2backend.Backend, f sluice.StoredFile, want []byte) {
	t.Helper()
	got, err := readAll(t.Context(), b, f)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes came of %d", len(got), len(want))
}

func names(list func(func(sluice.StoredFile, error) bool)) (names []string, err error) {
	for f, err := range list {
		if err != nil {
			return names, err
		}
		names = append(names, f.Name)
	}
	return names, nil
}

func TestStat_ReturnsWhatTheFileWasStoredWith(t *testing.T) {
	s := newServer(t, nil)
	info := map[string]string{"made-by": "ä test, 100 % +", "b2-content-language": "de", "src_last_modified_millis": "1700000000000"}
	b := dial(t, s)
	for _, n := range []int{0, 1, minPart, 5*minPart + 7} {
		data := testutil.Content(n)
		sum := sha1.Sum(data)
		opts := &sluice.Options{PageSize: minPart, PartSize: minPart, MaxSize: 1000, ContentType: "text/x-test", Metadata: info}
		stored, err := sluice.Upload(t.Context(), b, "dir/näme +%?#&.tar", opts, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		require.NoError(t, err)
		f := stat(t, b, stored.Name)
		require.Equal(t, stored.ID, f.ID)
		require.Equal(t, stored.Name, f.Name)
		require.EqualValues(t, n, f.Size)
		require.Equal(t, "text/x-test", f.ContentType)
		require.Equal(t, info, f.Metadata)
		require.WithinDuration(t, s.Now(), f.Modified, time.Hour)
		if n <= minPart {
			require.Equal(t, sluice.Digests{{Name: "sha1", Sum: sum[:]}}, f.Digests)
		} else {
			require.Nil(t, f.Digests, "the service does not know it")
		}
		requireRead(t, b, f, data)
	}
}

// Names that clients have got wrong (mtbentley/duplicity_b2#11, and by
// resolving paths).
func TestSource_FindsFilesByOddNames(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	odd := []string{"a+b", "a b", "a%2Fb", "a%b", "a?b=c&d", "a#b", "a//b", "/a", "a/../b", "./a", "日本/ä", `a\b`, "a;b:c@d", "~!$'()*"}
	for i, name := range odd {
		store(t, b, name, testutil.Content(i))
	}
	for i, name := range odd {
		f := stat(t, b, name)
		require.Equal(t, name, f.Name)
		require.EqualValues(t, i, f.Size)
		found, err := names(b.List(t.Context(), name))
		require.NoError(t, err)
		require.Contains(t, found, name)
		require.NoError(t, b.Remove(t.Context(), f))
	}
	require.Empty(t, s.Files(s.Bucket()))
}

func TestStat_ReturnsTheDigestThatTheUploaderDeclared(t *testing.T) {
	s := newServer(t, nil)
	data := testutil.Content(3 * minPart)
	sum := sha1.Sum(data)
	b := dial(t, s)
	store(t, b.With(b2backend.FileOptions{LargeFileSHA1: hexOf(sum[:])}), "right", data)
	store(t, b.With(b2backend.FileOptions{LargeFileSHA1: strings.Repeat("0", 40)}), "wrong", data)
	require.Equal(t, sum[:], stat(t, b, "right").Digests.Get("sha1"))
	_, err := sluice.Download(t.Context(), b, "right", io.Discard, nil)
	require.NoError(t, err)
	_, err = sluice.Download(t.Context(), b, "wrong", io.Discard, nil)
	require.ErrorIs(t, err, sluice.ErrDamaged)
	require.ErrorContains(t, err, "have the sha1 "+hexOf(sum[:])+", those stored have 0000")
	undeclared := stat(t, b, "wrong")
	undeclared.Digests = nil
	_, err = sluice.Download(t.Context(), b, "wrong", io.Discard, &sluice.ReadOptions{Version: &undeclared})
	require.NoError(t, err, "the file can be had all the same")
}

func TestStat_MatchesErrNotExistOnlyIfTheServiceSaysSo(t *testing.T) {
	s := newServer(t, nil)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
	start(t, b, "unfinished")
	s.ExpectUnfinished("unfinished")
	store(t, b, "file", testutil.Content(1))
	for _, name := range []string{"nothing", "unfinished", "fil", "file/"} {
		_, err := b.Stat(t.Context(), name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, name)
	}
	_, err := b.Stat(t.Context(), "")
	require.ErrorContains(t, err, "file name is empty")

	inject(t, s, b2test.Fault{Call: byName, Kind: b2test.Refuse, Status: 404, Gateway: true, Count: -1})
	_, err = b.Stat(t.Context(), "file")
	require.ErrorContains(t, err, "404")
	require.NotErrorIs(t, err, fs.ErrNotExist)
}

func TestStat_IsOfNoOtherFile(t *testing.T) {
	for want, answer := range map[string]string{
		"about another file":      `{"action":"upload","fileId":"other","fileName":"file","contentLength":1}`,
		"it is about another":     `{"action":"upload","fileId":"id","fileName":"other","contentLength":1}`,
		"a file of -1 bytes":      `{"action":"upload","fileId":"id","fileName":"file","contentLength":-1}`,
		"not of the form expect":  `[]`,
		"not an integer":          `{"contentLength":"x"}`,
		"b2_get_file_info: unusa": `{}`,
	} {
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_get_file_info": func(*http.Request) (int, string) { return 200, answer },
		}}
		b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "KEY"), "bucket", &b2backend.Options{
			Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}, Transport: withFileID(f),
		})
		require.NoError(t, err)
		_, err = b.Stat(t.Context(), "file")
		require.ErrorContains(t, err, want)
	}
}

// withFileID answers reads by name with the file id "id", and the rest as f
// does.
func withFileID(f *fake) http.RoundTripper {
	return testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := f.RoundTrip(req)
		if err == nil && strings.HasPrefix(req.URL.Path, "/file/") {
			resp.Header.Set("X-Bz-File-Id", "id")
		}
		return resp, err
	})
}

func TestReadRange_ResumesWhereAConnectionBroke(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := testutil.Content(10_000)
	store(t, b, "file", data)
	f := stat(t, b, "file")
	inject(t, s, b2test.Fault{Call: byID, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Status: 503},
		b2test.Fault{Call: byID, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Kind: b2test.Drop})
	requireRead(t, b, f, data)
	require.Equal(t, []int{1, 1, 1, 1}, s.Fired())
	require.Equal(t, 5, s.Count(byID))
}

func TestReadRange_ReadsTheVersionThatItWasGiven(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	old, data := testutil.Content(10_000), testutil.Content(9_000)
	store(t, b, "file", old)
	f := stat(t, b, "file")
	store(t, b, "file", data)
	newest := stat(t, b, "file")
	requireRead(t, b, f, old)
	requireRead(t, b, newest, data)

	require.NoError(t, b.Remove(t.Context(), f))
	_, err := readAll(t.Context(), b, f)
	require.ErrorIs(t, err, sluice.ErrReplaced)
	require.NotErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, b.Remove(t.Context(), newest))
	for _, f := range []sluice.StoredFile{f, newest} {
		_, err := readAll(t.Context(), b, f)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NotErrorIs(t, err, sluice.ErrReplaced)
	}
}

func TestReadRange_NeedsAVersion(t *testing.T) {
	s := newServer(t, nil)
	_, err := readAll(t.Context(), dial(t, s), sluice.StoredFile{File: sluice.File{Name: "file", Size: 1}})
	require.EqualError(t, err, `b2backend: "file": no file id`)
	require.Zero(t, s.Count(byID))
}

func TestReadRange_OutlivesItsToken(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := testutil.Content(10_000)
	store(t, b, "file", data)
	f := stat(t, b, "file")
	s.Advance(25 * time.Hour)
	inject(t, s, b2test.Fault{Call: byID, Kind: b2test.Truncate, Skip: 1}, b2test.Fault{Call: byID, Kind: b2test.ExpireToken, Skip: 1})
	requireRead(t, b, f, data)
	require.Equal(t, []int{1, 1}, s.Fired())
}

func TestReadRange_EndsWhereNothingComes(t *testing.T) {
	s := newServer(t, nil)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond}})
	store(t, b, "file", testutil.Content(10_000))
	f := stat(t, b, "file")
	inject(t, s, b2test.Fault{Call: byID, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Kind: b2test.Drop, Count: -1})
	got, err := readAll(t.Context(), b, f)
	require.ErrorContains(t, err, `"file": b2_download_file_by_id`)
	require.Equal(t, testutil.Content(10_000)[:5000], got)
	require.Equal(t, 1+3, s.Count(byID))
}

// A stall costs the time of Retry.Stall, and not more.
func TestReadRange_ResumesWhatStalls(t *testing.T) {
	const stall = time.Minute
	for name, c := range map[string]struct {
		stalled func(*piped)
		faults  []b2test.Fault
	}{
		"before the answer": {faults: []b2test.Fault{{Call: byID, Kind: b2test.Stall}}},
		"within it": {stalled: func(p *piped) {
			first := true
			p.after = func(req *http.Request, resp *http.Response) {
				if strings.HasSuffix(req.URL.Path, byID) && first {
					first = false
					resp.Body = stalling{io.LimitReader(resp.Body, 3000), req, resp.Body}
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPiped(t)
				defer p.close(t)
				b, err := p.dialWith(t, sluice.Retry{Stall: stall, MaxWait: time.Second})
				require.NoError(t, err)
				data := testutil.Content(10_000)
				store(t, b, "file", data)
				f := stat(t, b, "file")
				if c.stalled != nil {
					c.stalled(p)
				}
				inject(t, p.Server, c.faults...)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				got, err := readAll(ctx, b, f)
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got))
				require.GreaterOrEqual(t, time.Since(began), stall)
				require.Less(t, time.Since(began), stall+10*time.Second)
			})
		})
	}
}

// stalling is the body of an answer that moves no byte any more after its first
// ones.
type stalling struct {
	io.Reader
	req *http.Request
	io.Closer
}

func (s stalling) Read(q []byte) (int, error) {
	n, err := s.Reader.Read(q)
	if err == io.EOF {
		<-s.req.Context().Done()
		err = s.req.Context().Err()
	}
	return n, err
}

func TestReadRange_ReadsWhatIsStoredThoughItSaysGzip(t *testing.T) {
	s := newServer(t, nil)
	data := []byte("not gzip at all")
	store(t, dial(t, s).With(b2backend.FileOptions{ContentEncoding: "gzip"}), "file", data)
	// which would unpack
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: &http.Transport{}})
	requireRead(t, b, stat(t, b, "file"), data)
}

func TestSource_NeedsACustomersKey(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	e, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	with := b.With(b2backend.FileOptions{Encryption: e})
	data := testutil.Content(3 * minPart)
	store(t, with, "file", data)
	f := stat(t, with, "file")
	requireRead(t, with, f, data)
	_, err = b.Stat(t.Context(), "file")
	require.ErrorContains(t, err, "400 bad_request")
	_, err = readAll(t.Context(), b, f)
	require.ErrorContains(t, err, "400 bad_request")
	found, err := names(b.List(t.Context(), "")) // which needs none
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, found)
}

// An answer that is not about the bytes asked for is tried again, and never
// taken.
func TestReadRange_TakesNoOtherBytes(t *testing.T) {
	for want, change := range map[string]func(*http.Response){
		"about another file":       func(r *http.Response) { r.Header.Del("X-Bz-File-Id") },
		"it is about another file": func(r *http.Response) { r.Header.Set("X-Bz-File-Id", "other") },
		`the range "bytes 0-9999/`: func(r *http.Response) { r.StatusCode = 200 },
		`not "bytes 0-9999/10000"`: func(r *http.Response) { r.Header.Set("Content-Range", "bytes 0-9998/9999") },
		`the range ""`:             func(r *http.Response) { r.Header.Del("Content-Range") },
		"9999 bytes, not 10000":    func(r *http.Response) { r.ContentLength-- },
		"no length":                func(r *http.Response) { r.ContentLength = -1 },
	} {
		t.Run(want, func(t *testing.T) {
			s := newServer(t, nil)
			store(t, dial(t, s), "file", testutil.Content(10_000))
			rt := httpx.NewTransport()
			t.Cleanup(rt.CloseIdleConnections)
			asked := 0
			b := dialAs(t, s, mainKey(s), &b2backend.Options{
				Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond},
				Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
					resp, err := rt.RoundTrip(req)
					if err == nil && strings.HasSuffix(req.URL.Path, byID) {
						asked++
						change(resp)
					}
					return resp, err
				}),
			})
			got, err := readAll(t.Context(), b, stat(t, b, "file"))
			require.ErrorContains(t, err, "unusable answer")
			require.ErrorContains(t, err, want)
			require.Empty(t, got)
			require.Equal(t, 3, asked)
		})
	}
}

// The service leaves out the range where all of the file is asked for
// (reported, of "bytes=0-": backblaze-b2-samples/cloudflare-b2#7).
func TestReadRange_TakesTheWholeFileWithoutARange(t *testing.T) {
	s := newServer(t, nil)
	data := testutil.Content(10_000)
	store(t, dial(t, s), "file", data)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{
		Retry:     sluice.Retry{Attempts: 2, MaxWait: time.Millisecond},
		Transport: transport(t, func(req *http.Request) { req.Header.Del("Range") }),
	})
	f := stat(t, b, "file")
	requireRead(t, b, f, data)
	r := sluice.NewRange(0, 9_999)
	require.ErrorContains(t, b.ReadRange(t.Context(), f, r), "status 200, not 206")
	require.Empty(t, r.Bytes())
}

// transport changes each request on its way.
func transport(t *testing.T, change func(*http.Request)) http.RoundTripper {
	rt := httpx.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	return testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		change(req)
		return rt.RoundTrip(req)
	})
}

// What other clients, and the service's other interface, store
// (Backblaze/B2_Command_Line_Tool#657, rclone/rclone#678 and #4153).
func TestStat_KnowsTheDigestsOfOtherClients(t *testing.T) {
	const sum = "81fe8bfe87576c3ecb22426f8e57847382917acf" // of "abcd"
	for name, c := range map[string]struct{ said, want string }{
		"verified":           {`"contentSha1":"` + sum + `"`, sum},
		"in upper case":      {`"contentSha1":"` + strings.ToUpper(sum) + `"`, sum},
		"by S3":              {`"contentSha1":"unverified:` + sum + `"`, sum},
		"large":              {`"contentSha1":"none"`, ""},
		"large, declared":    {`"contentSha1":"none","fileInfo":{"large_file_sha1":"` + sum + `"}`, sum},
		"large, as of 2019":  {`"contentSha1":null,"fileInfo":{"large_file_sha1":"` + sum + `"}`, sum},
		"declared otherwise": {`"contentSha1":"` + sum + `","fileInfo":{"large_file_sha1":"0000000000000000000000000000000000000000"}`, sum},
		"no digest":          {`"contentSha1":"none","fileInfo":{"large_file_sha1":"abcd"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{answers: map[string]func(*http.Request) (int, string){
				"b2_get_file_info": func(*http.Request) (int, string) {
					return 200, `{"action":"upload","fileId":"id","fileName":"file","contentLength":4,` + c.said + `}`
				},
			}}
			b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "KEY"), "bucket", &b2backend.Options{Transport: withFileID(f)})
			require.NoError(t, err)
			require.Equal(t, c.want, hexOf(stat(t, b, "file").Digests.Get("sha1")))
		})
	}
}

// Large files that the service encrypts (Backblaze/B2_Command_Line_Tool#702).
func TestSource_ReadsWhatTheServiceEncrypts(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := testutil.Content(5*minPart + 7)
	store(t, b.With(b2backend.FileOptions{Encryption: b2backend.EncryptB2()}), "file", data)
	requireRead(t, b, stat(t, b, "file"), data)
}

func TestSource_AsksOnlyWhereCredentialsMayGo(t *testing.T) {
	f := &fake{answers: map[string]func(*http.Request) (int, string){"b2_authorize_account": func(*http.Request) (int, string) {
		return 200, strings.Replace(fakeAnswers["b2_authorize_account"], "https://f001.backblazeb2.com", "http://evil.test", 1)
	}}}
	b, err := dialFake(t, f, nil)
	require.NoError(t, err)
	_, err = b.Stat(t.Context(), "file")
	require.ErrorContains(t, err, "plain http would show the credentials")
	_, err = readAll(t.Context(), b, sluice.StoredFile{File: sluice.File{ID: "id", Name: "file", Size: 1}})
	require.ErrorContains(t, err, "plain http would show the credentials")
	require.Equal(t, []string{"b2_authorize_account"}, f.calls)
}

func TestReadRange_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped(t)
		defer p.close(t)
		b, err := p.dial(t)
		require.NoError(t, err)
		store(t, b, "file", testutil.Content(10_000))
		f := stat(t, b, "file")
		inject(t, p.Server, b2test.Fault{Call: byID, Kind: b2test.Truncate}, b2test.Fault{Call: byID, Kind: b2test.Stall, Count: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		got, err := readAll(ctx, b, f)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, testutil.Content(10_000)[:5000], got)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

// page is an answer of a list.
func page(next string, names ...string) string {
	var files []string
	for _, name := range names {
		files = append(files, fmt.Sprintf(`{"action":"upload","contentLength":1,"contentSha1":"none","fileId":"id","fileName":%q,"fileInfo":{}}`, name))
	}
	return `{"files":[` + strings.Join(files, ",") + `],"nextFileName":` + next + `}`
}

func TestList_GoesOnFromPageToPage(t *testing.T) {
	for name, c := range map[string]struct {
		pages []string
		want  []string
		err   string
	}{
		"one page":               {[]string{page("null", "a", "b")}, []string{"a", "b"}, ""},
		"two pages":              {[]string{page(`"b"`, "a"), page("null", "b")}, []string{"a", "b"}, ""},
		"an empty page":          {[]string{page(`"b"`, "a"), page(`"c"`), page("null", "c")}, []string{"a", "c"}, ""},
		"the same page":          {[]string{page(`"b"`, "a"), page(`"b"`, "b"), page(`"b"`, "b")}, []string{"a"}, "the next page is one that came before"},
		"a file of no ID":        {[]string{`{"files":[{"fileName":"a"}]}`}, nil, "no file id"},
		"a size out of range":    {[]string{`{"files":[{"fileName":"a","fileId":"id","contentLength":-5},{"fileName":"b","fileId":"id"}]}`}, []string{"a", "b"}, ""},
		"a name out of place":    {[]string{page("null", "x", "a")}, []string{"a"}, ""},
		"more than is asked for": {[]string{page("null", slices.Repeat([]string{"a"}, 1001)...)}, nil, "a list of more than 1000 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			f := &fake{}
			f.answers = map[string]func(*http.Request) (int, string){"b2_list_file_names": func(*http.Request) (int, string) {
				asked = append(asked, "")
				return 200, c.pages[min(len(asked), len(c.pages))-1]
			}}
			b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 1}})
			require.NoError(t, err)
			prefix := ""
			if name == "a name out of place" {
				prefix = "a"
			}
			got, err := names(b.List(t.Context(), prefix))
			require.Equal(t, c.want, got)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestList_YieldsWhatIsVisible(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	for _, name := range []string{"b/2", "a/1", "b/1", "c", "b/1"} {
		store(t, b, name, testutil.Content(10))
	}
	start(t, b, "b/unfinished")
	s.ExpectUnfinished("b/unfinished")
	got, err := names(b.List(t.Context(), ""))
	require.NoError(t, err)
	require.Equal(t, []string{"a/1", "b/1", "b/2", "c"}, got)
	for f, err := range b.List(t.Context(), "b/1") {
		require.NoError(t, err)
		whole := stat(t, b, "b/1")
		f.Algorithms, whole.Algorithms = nil, nil
		require.Equal(t, whole, f)
	}
	limited := dialAs(t, s, newKey(t, s, b2test.Key{Buckets: []string{s.Bucket()}, NamePrefix: "b/"}), nil)
	for prefix, want := range map[string][]string{"": {"b/1", "b/2"}, "b/2": {"b/2"}} {
		got, err := names(limited.List(t.Context(), prefix))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = names(limited.List(t.Context(), "a/"))
	require.EqualError(t, err, `b2backend: names that begin with "a/" are outside of "b/", to which the key is restricted`)
	_, err = limited.Stat(t.Context(), "a/1")
	require.EqualError(t, err, `b2backend: "a/1": file name "a/1" does not begin with "b/", to which the key is restricted`)
}

func TestSource_NamesTheCapabilityThatAKeyLacks(t *testing.T) {
	s := newServer(t, nil)
	data := testutil.Content(3 * minPart)
	store(t, dial(t, s), "file", data)
	f := stat(t, dial(t, s), "file")
	do := map[string]func(*b2backend.Backend) error{
		"readFiles, Stat": func(b *b2backend.Backend) error { _, err := b.Stat(t.Context(), "file"); return err },
		"readFiles, ReadRange": func(b *b2backend.Backend) error {
			_, err := readAll(t.Context(), b, f)
			return err
		},
		"listFiles, List":     func(b *b2backend.Backend) error { _, err := names(b.List(t.Context(), "")); return err },
		"deleteFiles, Remove": func(b *b2backend.Backend) error { return b.Remove(t.Context(), f) },
	}
	for _, has := range []string{"readFiles", "listFiles", "deleteFiles"} {
		b := dialAs(t, s, newKey(t, s, b2test.Key{ID: has, Capabilities: []string{has, "listBuckets"}}), nil)
		before := len(s.Requests())
		for _, call := range slices.Sorted(maps.Keys(do)) {
			if need, _, _ := strings.Cut(call, ","); need != has {
				require.ErrorContains(t, do[call](b), "the key lacks the capability "+need, call)
			}
		}
		require.Len(t, s.Requests(), before, "nothing was asked")
		for call, do := range do {
			if strings.HasPrefix(call, has) {
				require.NoError(t, do(b), call)
			}
		}
	}
	b := dialAs(t, s, newKey(t, s, b2test.Key{ID: "reader", Capabilities: []string{"readFiles", "listBuckets"}}), nil)
	store(t, dial(t, s), "file", data)
	var got bytes.Buffer
	_, err := sluice.Download(t.Context(), b, "file", &got, nil)
	require.NoError(t, err, "no more than readFiles is needed")
	require.Equal(t, data, got.Bytes())
}

// The cap of an account is final, and said.
func TestReadRange_StopsAtACap(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	store(t, b, "file", testutil.Content(10))
	f := stat(t, b, "file")
	inject(t, s, b2test.Fault{Call: byID, Status: 403, Code: "download_cap_exceeded", Message: "Cannot download file, download bandwidth or transaction (Class B) cap exceeded.", Count: -1})
	_, err := readAll(t.Context(), b, f)
	require.ErrorContains(t, err, "403 download_cap_exceeded: Cannot download file")
	require.Equal(t, 1, s.Count(byID))
}

func TestRemove_RemovesOneVersion(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	store(t, b, "file", testutil.Content(10))
	old := stat(t, b, "file")
	store(t, b, "file", testutil.Content(20))
	require.NoError(t, b.Remove(t.Context(), stat(t, b, "file")))
	f := stat(t, b, "file")
	require.Equal(t, old.ID, f.ID, "the one before is the newest")

	inject(t, s, b2test.Fault{Call: "b2_delete_file_version", Kind: b2test.LoseAnswer})
	require.NoError(t, b.Remove(t.Context(), f), "a repeat does not find what the first attempt removed")
	require.ErrorIs(t, b.Remove(t.Context(), f), fs.ErrNotExist)
	inject(t, s, b2test.Fault{Call: "b2_delete_file_version", Kind: b2test.ExpireToken})
	require.ErrorIs(t, b.Remove(t.Context(), f), fs.ErrNotExist, "the first attempt removed nothing")
}

func TestRemove_LeavesWhatIsLocked(t *testing.T) {
	s := newServer(t, nil)
	locked, err := s.AddBucket(b2test.Bucket{Name: "locked", FileLock: true})
	require.NoError(t, err)
	b, err := b2backend.New(t.Context(), mainKey(s), locked.Name, &b2backend.Options{Endpoint: s.URL(), Retry: swift})
	require.NoError(t, err)
	store(t, b.With(b2backend.FileOptions{LegalHold: b2backend.HoldOn}), "file", testutil.Content(10))
	f := stat(t, b, "file")
	err = b.Remove(t.Context(), f)
	require.ErrorContains(t, err, "access_denied")
	require.ErrorIs(t, err, sluice.ErrLocked)
	requireRead(t, b, f, testutil.Content(10))
}

// The mode of a lock is a text of the service like any other.
func TestRemove_ShowsALockInPrintableCharacters(t *testing.T) {
	mode := strings.Repeat("\u202e", 1<<10)
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_delete_file_version": func(*http.Request) (int, string) {
			return http.StatusForbidden, `{"status":403,"code":"access_denied","message":"no"}`
		},
		"b2_get_file_info": func(*http.Request) (int, string) {
			return http.StatusOK, `{"fileId":"id","fileName":"a","fileRetention":{"isClientAuthorizedToRead":true,"value":{"mode":"` + mode + `","retainUntilTimestamp":32472144000000}}}`
		},
	}}
	b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 1}})
	require.NoError(t, err)
	err = b.Remove(t.Context(), sluice.StoredFile{File: sluice.File{ID: "id", Name: "a"}})
	require.ErrorContains(t, err, "; Object Lock (")
	require.NotContains(t, err.Error(), "\u202e")
	require.Less(t, len(err.Error()), 2<<10)
}

// small has a restore take many ranges of a file of some 100 kB.
var small = sluice.ReadOptions{PageSize: 1 << 10, RangeSize: 4 << 10, MemoryLimit: 64 << 10}

// storeWhole uploads data in one call.
func storeWhole(t *testing.T, b *b2backend.Backend, name string, data []byte) sluice.File {
	f, err := b.UploadFile(t.Context(), sized(name, len(data)), part(0, data))
	require.NoError(t, err)
	return f
}

func TestDownload_SurvivesWhatTheServiceDoes(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := testutil.Content(100_000)
	stored := storeWhole(t, b, "file", data)
	inject(t, s, b2test.Fault{Call: byID, Kind: b2test.Truncate, Skip: 1, Count: 5}, b2test.Fault{Call: byID, Status: 503, Skip: 3, Count: 2},
		b2test.Fault{Call: byID, Kind: b2test.ExpireToken, Skip: 2, Count: 2}, b2test.Fault{Call: byID, Kind: b2test.DropEarly, Skip: 7})
	var got bytes.Buffer
	f, err := sluice.Download(t.Context(), b, "file", &got, &small)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got.Bytes()))
	require.Equal(t, stored.ID, f.ID)
	require.Equal(t, []int{5, 2, 2, 1}, s.Fired())
}

func TestDownload_IsOfOneVersion(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	old := testutil.Content(100_000)
	storeWhole(t, b, "file", old)
	r, err := sluice.NewReader(t.Context(), b, "file", &small)
	require.NoError(t, err)
	defer r.Close()
	got := make([]byte, 10)
	_, err = io.ReadFull(r, got)
	require.NoError(t, err)
	storeWhole(t, b, "file", bytes.Repeat([]byte("new"), 30_000))
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(old, append(got, rest...)))
}

func TestDownload_FailsIfBytesAreNotThoseStored(t *testing.T) {
	s := newServer(t, nil)
	data := testutil.Content(minPart)
	store(t, dial(t, s), "file", data)
	rt := httpx.NewTransport()
	t.Cleanup(rt.CloseIdleConnections)
	b := dialAs(t, s, mainKey(s), &b2backend.Options{Transport: testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(req)
		if err == nil && strings.HasSuffix(req.URL.Path, byID) {
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return nil, err
			}
			body[len(body)/2] ^= 1
			resp.Body = io.NopCloser(bytes.NewReader(body))
		}
		return resp, err
	})})
	_, err := sluice.Download(t.Context(), b, "file", io.Discard, nil)
	require.ErrorIs(t, err, sluice.ErrDamaged)
}

func TestReads_TellTheLastFailureWhenTheirContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped(t)
		defer p.close(t)
		b, err := p.dial(t)
		require.NoError(t, err)
		_, err = b.UploadFile(t.Context(), sized("a", 4), part(0, []byte("data")))
		require.NoError(t, err)
		f, err := b.Stat(t.Context(), "a")
		require.NoError(t, err)
		p.after = func(req *http.Request, resp *http.Response) {
			_ = resp.Body.Close()
			*resp = *answer(req, http.StatusServiceUnavailable, `{"status":503,"code":"service_unavailable","message":"busy"}`)
		}
		hostile.RequireLastFailure(t, b, f, true)
		p.after = nil
	})
}

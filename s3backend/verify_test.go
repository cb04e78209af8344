package s3backend

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// lender is a store that takes everything and keeps what it is told to.
type lender struct {
	confirms bool              // what the request asks for, in the answer to it
	inParts  map[string]string // headers of UploadPart
	shows    map[string]string // headers of HeadObject
	answers  map[string]string // to the questions about a file, by their names
	denies   bool              // to look
	there    bool              // a file is, before anything is stored
	version  string            // of what is stored

	mu    sync.Mutex
	calls []string
	bytes int64 // of files that were sent
}

func (l *lender) RoundTrip(r *http.Request) (*http.Response, error) {
	call := callOf(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Body != nil {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPut {
			l.bytes += n
		}
	}
	for question, answer := range l.answers {
		if r.URL.Query().Has(question) && r.Method == http.MethodGet {
			l.calls = append(l.calls, question)
			return response(http.StatusOK, answer), nil
		}
	}
	stored := len(l.calls) > 0
	l.calls = append(l.calls, call)
	resp := response(http.StatusOK, "")
	switch {
	case call == "HeadObject" && !stored && !l.there:
		return response(http.StatusNotFound, ""), nil
	case call == "HeadObject" && l.denies:
		return response(http.StatusForbidden, ""), nil
	case call == "HeadObject":
		for name, value := range l.shows {
			resp.Header.Set(name, value)
		}
		resp.Header.Set("Content-Length", "1")
		return resp, nil
	case call == "CreateMultipartUpload":
		resp = response(http.StatusOK, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
	case call == "CompleteMultipartUpload":
		resp = response(http.StatusOK, `<CompleteMultipartUploadResult><ETag>"t"</ETag></CompleteMultipartUploadResult>`)
	case call == "UploadPart":
		for name, value := range l.inParts {
			resp.Header.Set(name, value)
		}
	case call == "AbortMultipartUpload":
		resp = response(http.StatusNoContent, "")
	case r.Method == http.MethodGet:
		return response(http.StatusNotFound, fmt.Sprintf(xmlError, "NoSuchUpload")), nil
	}
	if l.version != "" && (call == "PutObject" || call == "CompleteMultipartUpload") {
		resp.Header.Set("X-Amz-Version-Id", l.version)
	}
	if l.confirms {
		echoEncryption(resp.Header, r.Header)
	}
	return resp, nil
}

// store uploads a file of one byte, or one in parts.
func (l *lender) store(t *testing.T, options FileOptions, large bool) error {
	b := canned(t, Options{Retry: quick}, l.RoundTrip).With(options)
	spec := sluice.FileSpec{Name: "a", Size: 1, ContentType: "text/plain", Metadata: map[string]string{"k_1": "v"}}
	if !large {
		_, err := b.UploadFile(t.Context(), spec, part(0, []byte("x")))
		return err
	}
	spec.Size = sluice.UnknownSize
	f, err := b.StartLargeFile(t.Context(), spec)
	if err != nil {
		return err
	}
	receipt, err := f.UploadPart(t.Context(), part(1, []byte("x")))
	require.NoError(t, err)
	_, err = f.Finish(t.Context(), []sluice.Receipt{receipt}, nil)
	return err
}

// A store that takes a large file and confirms no encryption gets no byte of it.
func TestStart_FailsWhereEncryptionIsNotConfirmed(t *testing.T) {
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	for _, e := range []Encryption{EncryptS3(), EncryptKMS("k"), customer} {
		t.Run(e.String(), func(t *testing.T) {
			l := &lender{}
			var refused *OptionsError
			require.ErrorAs(t, l.store(t, FileOptions{Encryption: e}, true), &refused)
			require.Equal(t, sluice.File{}, refused.File)
			require.ErrorIs(t, refused, sluice.ErrOptionIgnored)
			require.ErrorContains(t, refused, "so nothing was sent: Encryption: asked for")
			require.Zero(t, l.bytes)
			require.Contains(t, l.calls, "AbortMultipartUpload")

			require.NoError(t, (&lender{}).store(t, FileOptions{Encryption: e, Unverified: []string{"Encryption"}}, true))
			l = &lender{confirms: true}
			require.NoError(t, l.store(t, FileOptions{Encryption: e}, true))
			require.NotContains(t, l.calls, "HeadObject", "no request is spent")
		})
	}
}

// MinIO confirms encryption in its answers to parts, and not in that to the start.
func TestStart_TakesTheConfirmationOfAPart(t *testing.T) {
	const sse = "X-Amz-Server-Side-Encryption"
	l := &lender{inParts: map[string]string{sse: "AES256"}}
	require.NoError(t, l.store(t, FileOptions{Encryption: EncryptS3()}, true))
	require.EqualValues(t, 1, l.bytes, "the part that asked was empty")

	l = &lender{inParts: map[string]string{sse: "AES256"}}
	err := l.store(t, FileOptions{Encryption: EncryptKMS("k")}, true)
	require.ErrorContains(t, err, "Encryption: asked for aws:kms, the store has AES256")
	require.Zero(t, l.bytes)
}

// An answer that does not come says nothing about the store.
func TestStart_FailsWhereItCannotAskAPart(t *testing.T) {
	l := &lender{}
	b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
		if callOf(r) == "UploadPart" {
			return nil, errors.New("broken pipe")
		}
		return l.RoundTrip(r)
	}).With(FileOptions{Encryption: EncryptS3()})
	_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.ErrorContains(t, err, "cannot be verified, so nothing was sent (FileOptions.Unverified")
	require.ErrorContains(t, err, "broken pipe")
	require.NotErrorIs(t, err, sluice.ErrOptionIgnored)
	require.Contains(t, l.calls, "AbortMultipartUpload")
}

// What the answers do not tell is looked up, and what is not there is an error that names the file.
func TestUpload_FailsWhereOptionsAreNotMet(t *testing.T) {
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	lock := FileOptions{Retention: Retention{Compliance, until}, LegalHold: HoldOn}
	locked := map[string]string{
		"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2030-01-02T03:04:05.000Z",
		"X-Amz-Object-Lock-Legal-Hold": "ON",
	}
	weaker := map[string]string{
		"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2029-01-02T03:04:05Z",
		"X-Amz-Object-Lock-Legal-Hold": "ON",
	}
	answers := map[string]string{
		"retention":  "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-02T03:04:05Z</RetainUntilDate></Retention>",
		"legal-hold": "<LegalHold><Status>ON</Status></LegalHold>",
	}
	all := FileOptions{Verify: true, StorageClass: "COLD", Tags: map[string]string{"x": "y"}, CacheControl: "no-store"}
	for name, c := range map[string]struct {
		options FileOptions
		store   *lender
		unmet   []string
		says    string
	}{
		"encryption": {
			FileOptions{Encryption: EncryptS3()},
			&lender{},
			[]string{"Encryption: asked for AES256, the store has none"},
			"is stored whole, but not as its options ask",
		},
		"encryption, shown":      {FileOptions{Encryption: EncryptS3()}, &lender{shows: map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}}, nil, ""},
		"a lock, shown":          {lock, &lender{shows: locked}, nil, ""},
		"a lock, told if asked":  {lock, &lender{answers: answers}, nil, ""},
		"a lock, taken on trust": {FileOptions{Retention: lock.Retention, LegalHold: HoldOn, Unverified: []string{"LegalHold", "Retention"}}, &lender{}, nil, ""},
		"a weaker lock": {lock, &lender{shows: weaker}, []string{
			"Retention: asked for 2030-01-02T03:04:05Z, the store has 2029-01-02T03:04:05Z",
			"Retention: asked for COMPLIANCE, the store has GOVERNANCE",
		}, ""},
		"no lock": {lock, &lender{}, []string{
			"LegalHold: asked for ON, the store has OFF", "Retention: asked for 2030-01-02T03:04:05Z, the store has none",
			"Retention: asked for COMPLIANCE, the store has none",
		}, `"a" (ID "t") is stored whole`},
		"a lock that may not be seen": {
			FileOptions{LegalHold: HoldOn},
			&lender{denies: true},
			[]string{"LegalHold: asked for ON, the store has OFF"},
			"cannot be verified (FileOptions.Unverified",
		},
		"no hold, none asked for": {FileOptions{LegalHold: HoldOff}, &lender{}, nil, ""},
		"everything": {all, &lender{}, []string{
			"CacheControl: asked for no-store, the store has none", "ContentType: asked for text/plain, the store has none",
			"Metadata k_1: asked for v, the store has none",
			"StorageClass: asked for COLD, the store has STANDARD", "Tags: asked for x=y, the store has none",
		}, ""},
		"everything, shown": {all, &lender{shows: map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/plain", "X-Amz-Meta-K_1": "v", "X-Amz-Storage-Class": "COLD",
			"X-Amz-Tagging-Count": "1",
		}, answers: map[string]string{"tagging": "<Tagging><TagSet><Tag><Key>x</Key><Value>y</Value></Tag></TagSet></Tagging>"}}, nil, ""},
		"nothing to verify": {FileOptions{StorageClass: "COLD"}, &lender{denies: true}, nil, ""},
	} {
		for _, large := range []bool{false, true} {
			if large && strings.HasPrefix(name, "encryption") {
				continue // the start tells
			}
			t.Run(fmt.Sprintf("%s, large %v", name, large), func(t *testing.T) {
				l := &lender{shows: c.store.shows, answers: c.store.answers, denies: c.store.denies}
				err := l.store(t, c.options, large)
				if c.unmet == nil {
					require.NoError(t, err)
					return
				}
				var unmet *OptionsError
				require.ErrorAs(t, err, &unmet)
				require.Equal(t, c.unmet, unmet.Unmet)
				require.Equal(t, unmet.Err == nil, errors.Is(err, sluice.ErrOptionIgnored))
				require.Equal(t, "t", unmet.File.ID)
				require.ErrorContains(t, err, c.says)
			})
		}
	}
}

// The file is found whatever took its name since, and whichever of the version, the sluice-id and
// the ETag the store tells. A version is asked for only if the upload was told one.
func TestUpload_FindsTheFileThatItVerifies(t *testing.T) {
	const versionHeader = "X-Amz-Version-Id"
	shows := func(version, tag, own string) http.Header {
		h := http.Header{"Etag": {tag}}
		for name, value := range map[string]string{versionHeader: version, tagHeader: own} {
			if value != "" {
				h.Set(name, value)
			}
		}
		return h
	}
	for name, c := range map[string]struct {
		told    string      // the version in the answer to the upload
		newest  http.Header // of HeadObject, nil for 404; "own" stands for the upload's sluice-id
		version http.Header // of HeadObject with the version
		heads   int
		found   bool
	}{
		"no versions":                             {"", shows("", `"t"`, "own"), nil, 1, true},
		"no versions and no metadata":             {"", shows("", `"t"`, ""), nil, 1, true},
		"no versions, another file":               {"", shows("", `"u"`, "other"), nil, 1, false},
		"no versions, another file of the bytes":  {"", shows("", `"t"`, "other"), nil, 1, false},
		"no versions, removed":                    {"", nil, nil, 1, false},
		"another form of ETag":                    {"", shows("", `"T-x"`, "own"), nil, 1, true},
		"a version":                               {"v1", shows("v1", `"t"`, "own"), nil, 1, true},
		"a version that HEAD hides":               {"v1", shows("", `"t"`, "own"), nil, 1, true},
		"a version, another file":                 {"v1", shows("v2", `"u"`, "other"), shows("v1", `"t"`, "own"), 2, true},
		"a version, another file of the bytes":    {"v1", shows("v2", `"t"`, ""), shows("v1", `"t"`, ""), 2, true},
		"a version, another file that hides its":  {"v1", shows("", `"u"`, "other"), shows("v1", `"t"`, "own"), 2, true},
		"a version behind a delete marker":        {"v1", nil, shows("v1", `"t"`, "own"), 2, true},
		"a version that is removed":               {"v1", nil, nil, 2, false},
		"a version that the upload was not told":  {"", shows("v1", `"t"`, "own"), nil, 1, true},
		"... without metadata":                    {"", shows("v1", `"t"`, ""), nil, 1, true},
		"... and that another file has replaced":  {"", shows("v2", `"u"`, "other"), nil, 1, false},
		"versions that are suspended":             {"null", shows("null", `"t"`, "own"), nil, 1, true},
		"versions that are suspended, other file": {"null", shows("null", `"u"`, "other"), nil, 1, false},
	} {
		for _, large := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, large %v", name, large), func(t *testing.T) {
				own, heads := "", 0
				l := &lender{}
				b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
					own = cmp.Or(own, r.Header.Get(tagHeader))
					switch call := callOf(r); call {
					case "HeadObject":
						heads++
						h, version := c.newest.Clone(), r.URL.Query().Get("versionId")
						if version != "" {
							require.Equal(t, c.told, version)
							h = c.version.Clone()
						}
						if h == nil {
							return response(http.StatusNotFound, ""), nil
						}
						if h.Get(tagHeader) == "own" {
							h.Set(tagHeader, own)
						}
						return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody}, nil
					default:
						resp, err := l.RoundTrip(r)
						if c.told != "" && (call == "PutObject" || call == "CompleteMultipartUpload") {
							resp.Header.Set(versionHeader, c.told)
						}
						return resp, err
					}
				}).With(FileOptions{Verify: true, StorageClass: "COLD"})
				spec := sluice.FileSpec{Name: "a", Size: 1}
				var file sluice.File
				var err error
				if large {
					var f sluice.LargeFile
					f, err = b.StartLargeFile(t.Context(), spec)
					require.NoError(t, err)
					var receipt sluice.Receipt
					receipt, err = f.UploadPart(t.Context(), part(1, []byte("x")))
					require.NoError(t, err)
					file, err = f.Finish(t.Context(), []sluice.Receipt{receipt}, nil)
				} else {
					file, err = b.UploadFile(t.Context(), spec, part(0, []byte("x")))
				}
				require.Equal(t, id(c.told, `"t"`), file.ID)
				require.Equal(t, c.heads, heads)
				if c.found {
					require.ErrorIs(t, err, sluice.ErrOptionIgnored)
				} else {
					require.ErrorIs(t, err, sluice.ErrOptionUnverified)
					require.ErrorIs(t, err, fs.ErrNotExist)
				}
			})
		}
	}
}

// Some stores answer a question that they do not know with the file itself. An answer that does
// not come is asked for again.
func TestUpload_AsksOnceWhatAStoreDoesNotKnow(t *testing.T) {
	lock := FileOptions{
		Verify: true, Retention: Retention{Compliance, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, LegalHold: HoldOn,
		Tags: map[string]string{"x": "y"},
	}
	questions := []string{"retention", "legal-hold", "tagging"}
	for _, fails := range []bool{false, true} {
		for _, file := range []string{"x", "<Any><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-02T03:04:05Z</RetainUntilDate><Status>ON</Status></Any>", ""} {
			t.Run(fmt.Sprintf("%q, fails at first %v", file, fails), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := &lender{answers: map[string]string{"retention": file, "legal-hold": file, "tagging": file}}
					began, failed := time.Now(), map[string]bool{}
					b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
						for _, q := range questions {
							if fails && r.URL.Query().Has(q) && !failed[q] {
								failed[q] = true
								return response(http.StatusServiceUnavailable, ""), nil
							}
						}
						return l.RoundTrip(r)
					}).With(lock)
					_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1}, part(0, []byte("x")))
					require.ErrorIs(t, err, sluice.ErrOptionIgnored)
					require.ErrorContains(t, err, "LegalHold: asked for ON, the store has OFF")
					require.Equal(t, append([]string{"PutObject", "HeadObject"}, questions...), l.calls)
					if !fails {
						require.Zero(t, time.Since(began))
					}
				})
			})
		}
	}
}

// A store that ignores the condition gets no byte of a file whose name is taken, and no finish of
// one whose name was taken meanwhile.
func TestCreateOnly_LooksForTheName(t *testing.T) {
	l := &lender{there: true}
	require.ErrorIs(t, l.store(t, FileOptions{CreateOnly: true}, true), fs.ErrExist)
	require.Equal(t, []string{"HeadObject"}, l.calls)

	l = &lender{}
	require.ErrorIs(t, l.store(t, FileOptions{CreateOnly: true}, true), fs.ErrExist)
	require.NotContains(t, l.calls, "CompleteMultipartUpload")

	l = &lender{there: true}
	require.ErrorIs(t, l.store(t, FileOptions{CreateOnly: true}, false), fs.ErrExist)
	require.Equal(t, []string{"HeadObject"}, l.calls)
	l = &lender{}
	require.NoError(t, l.store(t, FileOptions{CreateOnly: true}, false))
	require.Equal(t, []string{"HeadObject", "PutObject"}, l.calls)
	l = &lender{there: true, denies: true}
	require.NoError(t, l.store(t, FileOptions{CreateOnly: true}, false), "the store's answer has to do")
	l = &lender{there: true}
	require.NoError(t, l.store(t, FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}}, false))
	require.Equal(t, []string{"PutObject"}, l.calls)

	l = &lender{denies: true}
	require.NoError(t, l.store(t, FileOptions{CreateOnly: true}, true), "the store's answer has to do")
	require.NoError(t, (&lender{there: true}).store(t, FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}}, true))
}

// Only an answer that the name is free, or that it may not be seen, lets CreateOnly go on: the
// store may ignore the condition, and replace the file.
func TestCreateOnly_FailsWhereTheStoreDoesNotAnswer(t *testing.T) {
	broken := errors.New("connection reset")
	for _, c := range []struct {
		status int // 0: the connection breaks
		times  int // it fails; 0 is always
		taken  bool
		says   string
	}{
		{503, 1, true, "is there already"},
		{0, 1, true, "is there already"},
		{400, 1, true, "is there already"}, // credentials that ended
		{503, 1, false, ""},
		{404, 0, false, ""},
		{403, 0, false, ""},
		{400, 0, true, "400"}, // encrypted with another key
		{503, 0, true, "503"},
		{0, 0, true, "connection reset"},
	} {
		for _, finishing := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, %d times, taken %v, at the finish %v", c.status, c.times, c.taken, finishing), func(t *testing.T) {
				failed := 0
				var calls []string
				l := &lender{}
				b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
					call := callOf(r)
					calls = append(calls, call)
					switch started := slices.Contains(calls, "UploadPart"); {
					case call != "HeadObject":
						return l.RoundTrip(r)
					case started != finishing:
						return response(http.StatusNotFound, ""), nil
					case c.times == 0 || failed < c.times:
						if failed++; c.status == 0 {
							return nil, broken
						}
						return response(c.status, ""), nil
					case c.taken:
						return response(http.StatusOK, ""), nil
					default:
						return response(http.StatusNotFound, ""), nil
					}
				}).With(FileOptions{CreateOnly: true})
				var receipt sluice.Receipt
				f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
				if err == nil {
					receipt, err = f.UploadPart(t.Context(), part(1, []byte("x")))
					require.NoError(t, err)
					_, err = f.Finish(t.Context(), []sluice.Receipt{receipt}, nil)
				}
				if c.says == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, calls, "CompleteMultipartUpload")
				require.Equal(t, c.times > 0, errors.Is(err, fs.ErrExist))
				if c.times == 0 {
					require.ErrorContains(t, err, "FileOptions.Unverified")
				}
				require.Equal(t, finishing, slices.Contains(calls, "CreateMultipartUpload"))
			})
		}
	}
}

// An answer to a finish that has no ETag and names the file is one of success: the ETag is looked
// up, once.
func TestFinish_TakesAnAnswerWithoutAnETag(t *testing.T) {
	for _, denied := range []bool{false, true} {
		store := newModel()
		looks := 0
		b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
			switch callOf(r) {
			case "CompleteMultipartUpload":
				if resp, err := store.RoundTrip(r); err != nil || resp.StatusCode != http.StatusOK {
					return resp, err
				}
				return response(http.StatusOK, "<CompleteMultipartUploadResult><Key>a</Key><ETag></ETag></CompleteMultipartUploadResult>"), nil
			case "HeadObject":
				if looks++; denied {
					return response(http.StatusForbidden, ""), nil
				}
			}
			return store.RoundTrip(r)
		})
		f, receipts := filled(t, b, false)
		file, err := f.Finish(t.Context(), receipts, nil)
		require.NoError(t, err)
		require.Equal(t, strings.Trim(store.object("a").tag, `"`), file.ID)
		require.Equal(t, 1, looks)
	}
}

// A file that a look-up finds, because the answer was lost, is compared with its
// options as any other.
func TestOptionsError_OfAFileThatALookUpFound(t *testing.T) {
	for name, o := range map[string]FileOptions{
		"a lock":       {LegalHold: HoldOn},
		"every option": {Verify: true, CacheControl: "no-store"},
	} {
		for _, lost := range []string{"PutObject", "CompleteMultipartUpload"} {
			t.Run(name+" "+lost, func(t *testing.T) {
				store := modelOf("checksums")
				b := canned(t, Options{Retry: quick}, func(r *http.Request) (*http.Response, error) {
					resp, err := store.RoundTrip(r)
					if callOf(r) == lost {
						return response(http.StatusBadGateway, ""), err
					}
					return resp, err
				}).With(o)
				var err error
				if lost == "PutObject" {
					_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: int64(len(wholeFile))}, part(0, wholeFile))
				} else {
					f, receipts := filled(t, b, false)
					_, err = f.Finish(t.Context(), receipts, nil)
				}
				var refused *OptionsError
				require.ErrorAs(t, err, &refused)
				require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
				require.Equal(t, id("", store.object("a").tag), refused.File.ID)
			})
		}
	}
}

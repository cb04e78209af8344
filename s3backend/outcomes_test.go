package s3backend

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/hostile"
)

// stageOf is a stage for a call that fails in no other way than the trial's. run
// makes it.
func stageOf(store *model, change string, b *Backend, run func(context.Context) error) *hostile.Stage {
	past := store.clone()
	return &hostile.Stage{
		Store: store, Past: past, Doubt: sluice.ErrFinishUnknown, Known: true,
		Changes: func(r *http.Request) bool { return callOf(r) == change },
		Looks:   func(r *http.Request) bool { return callOf(r) == "HeadObject" || callOf(r) == "ListParts" },

		LooksForUpload: func(r *http.Request) bool { return callOf(r) == "ListParts" },
		Reject: func(r *http.Request) *http.Response {
			if len(about(r)) == 0 {
				return nil
			}
			return response(http.StatusBadRequest, "<Error><Code>InvalidArgument</Code><Message>unsupported checksum</Message></Error>")
		},
		Removes: func(r *http.Request) bool {
			return callOf(r) == "AbortMultipartUpload" || r.Method == http.MethodDelete
		},
		Own: func(r *http.Request, status int) *http.Response {
			return modelError(r, status, map[int]string{400: "InvalidRequest", 403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}[status])
		},
		Run: func(ctx context.Context, rt http.RoundTripper) error {
			b.client.transport = rt
			return run(ctx)
		},
	}
}

var (
	threeParts = [][]byte{[]byte("the first part"), []byte("the second part"), []byte("third")}
	wholeFile  = bytes.Join(threeParts, nil)
)

// addOlder stores an older file of the same size and number of parts.
func addOlder(store *model, trial hostile.Trial, parts int) {
	data := slices.Clone(threeParts)
	if !trial.Sight.Same() {
		data[1] = bytes.ToUpper(data[1])
	}
	switch {
	case !trial.Sight.Old():
	case parts == 1:
		store.put("a", nil, bytes.Join(data, nil))
	default:
		store.put("a", http.Header{tagHeader: {"yesterday's"}}, data...)
	}
}

// withConflict has a store answer a second request with a code.
func withConflict(s *hostile.Stage, code string) {
	status := map[string]int{"NoSuchUpload": http.StatusNotFound, "PreconditionFailed": http.StatusPreconditionFailed}[code]
	s.Conflict = func(r *http.Request) *http.Response { return modelError(r, cmp.Or(status, http.StatusConflict), code) }
}

// kinds are stores that differ in what they tell.
var kinds = map[string]func(*model){
	"checksums":        func(m *model) { m.checksums = true },
	"ETags":            func(*model) {},
	"ETags of its own": func(m *model) { m.opaque = true },
}

// modelOf makes a store of a kind.
func modelOf(kind string) *model {
	m := newModel()
	kinds[kind](m)
	return m
}

func TestOutcomesOfASingleUpload(t *testing.T) {
	for _, c := range []struct {
		kind    string
		options FileOptions
		known   bool
		code    string // of a conflict
	}{
		{"ETags of its own", FileOptions{}, true, "OperationAborted"},
		{"checksums", FileOptions{OmitSluiceID: true}, true, "ConditionalRequestConflict"},
		{"ETags", FileOptions{OmitSluiceID: true}, false, "OperationAborted"},
		{"ETags of its own", FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}}, true, "PreconditionFailed"},
		{"checksums", FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}, OmitSluiceID: true}, false, "ConditionalRequestConflict"},
	} {
		t.Run(fmt.Sprintf("%s, untagged %v, create only %v", c.kind, c.options.OmitSluiceID, c.options.CreateOnly), func(t *testing.T) {
			t.Parallel()
			hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
				store := modelOf(c.kind)
				addOlder(store, trial, 1)
				b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, store.RoundTrip).With(c.options)
				s := stageOf(store, "PutObject", b, func(ctx context.Context) error {
					_, err := b.UploadFile(ctx, sluice.FileSpec{Name: "a", Size: int64(len(wholeFile))}, part(0, wholeFile))
					return err
				})
				s.Known, s.Refuses = c.known, c.options.CreateOnly && trial.Sight.Old()
				older := store.object("a")
				// Where files carry no tag, an older one of the same bytes is as good.
				s.There = func() bool {
					return there(store) && (store.object("a") != older || c.options.OmitSluiceID && !c.options.CreateOnly)
				}
				withConflict(s, c.code)
				return s
			}, hostile.Conflicts, hostile.Checksums)
		})
	}
}

// there reports whether the store has the file.
func there(store *model) bool {
	o := store.object("a")
	return o != nil && bytes.Equal(o.data, wholeFile)
}

func TestOutcomesOfAFinish(t *testing.T) {
	for _, c := range []struct {
		kind    string
		resumed bool
		options FileOptions
		known   bool
		code    string // of a conflict
	}{
		{"ETags of its own", false, FileOptions{}, true, "NoSuchUpload"},
		{"ETags of its own", false, FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}}, true, "PreconditionFailed"},
		{"ETags of its own", true, FileOptions{}, false, "OperationAborted"},
		{"ETags", false, FileOptions{OmitSluiceID: true}, true, "ConditionalRequestConflict"},
		{"checksums", true, FileOptions{}, true, "NoSuchUpload"},
	} {
		t.Run(fmt.Sprintf("%s, resumed %v, untagged %v, create only %v", c.kind, c.resumed, c.options.OmitSluiceID, c.options.CreateOnly), func(t *testing.T) {
			t.Parallel()
			hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
				store := modelOf(c.kind)
				addOlder(store, trial, 3)
				b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, store.RoundTrip).With(c.options)
				f, receipts := filled(t, b, c.resumed)
				s := stageOf(store, "CompleteMultipartUpload", b, func(ctx context.Context) error {
					_, err := f.Finish(ctx, receipts, nil)
					if err != nil {
						_ = f.Cancel(context.WithoutCancel(ctx))
					}
					return err
				})
				s.Known, s.Refuses = c.known, c.options.CreateOnly && trial.Sight.Old()
				older := store.object("a")
				s.There = func() bool { return there(store) && store.object("a") != older }
				withConflict(s, c.code)
				return s
			}, hostile.Conflicts, hostile.Checksums, hostile.Uploads)
		})
	}
}

// The file is stored in every case, and the error is about its manifest alone.
func TestOutcomesOfAManifest(t *testing.T) {
	t.Parallel()
	hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
		store := modelOf("checksums")
		b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, store.RoundTrip)
		const name = "a" + sluice.ManifestSuffix
		s := stageOf(store, "", b, func(ctx context.Context) error {
			f, err := sluice.Upload(ctx, b, "a", &sluice.Options{Manifest: true}, func(w io.Writer) error {
				_, err := w.Write(wholeFile)
				return err
			})
			require.True(t, there(store))
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			if err == nil {
				require.Contains(t, string(store.object(name).data), f.ID)
				return nil
			}
			require.ErrorIs(t, err, sluice.ErrNoManifest)
			if strings.Contains(err.Error(), "outcome of finish unknown") {
				return sluice.ErrFinishUnknown
			}
			return err
		})
		s.Changes = func(r *http.Request) bool { return callOf(r) == "PutObject" && strings.HasSuffix(r.URL.Path, name) }
		s.There = func() bool { return store.object(name) != nil }
		withConflict(s, "OperationAborted")
		return s
	}, hostile.Conflicts, hostile.Checksums)
}

// An older file of the very same bytes is there, and no finish arrives: the file
// has another age and other options than what was asked for.
func TestFinish_TakesNoOlderFileOfTheSameBytesWhileTheUploadIsOpen(t *testing.T) {
	for _, resumed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := modelOf("checksums")
			store.put("a", nil, threeParts...)
			b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
				if callOf(r) == "CompleteMultipartUpload" {
					return nil, io.EOF
				}
				return store.RoundTrip(r)
			})
			f, receipts := filled(t, b, resumed)
			_, err := f.Finish(t.Context(), receipts, nil)
			require.ErrorIs(t, err, sluice.ErrFinishUnknown)
		})
	}
}

// filled is a large file with all its parts.
func filled(t *testing.T, b *Backend, resumed bool) (sluice.LargeFile, []sluice.Receipt) {
	spec := sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}
	f, err := b.StartLargeFile(t.Context(), spec)
	require.NoError(t, err)
	var receipts []sluice.Receipt
	for i, data := range threeParts {
		r, err := f.UploadPart(t.Context(), part(i+1, data))
		require.NoError(t, err)
		receipts = append(receipts, r)
	}
	if resumed {
		f, err = b.ResumeLargeFile(t.Context(), spec, f.Info().ID)
		require.NoError(t, err)
		receipts = f.Info().Stored
	}
	return f, receipts
}

func TestOutcomesOfAStart(t *testing.T) {
	t.Parallel()
	hostile.TestOutcomes(t, func(t *testing.T, trial hostile.Trial) *hostile.Stage {
		store := newModel()
		addOlder(store, trial, 3)
		b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, store.RoundTrip)
		s := stageOf(store, "CreateMultipartUpload", b, func(ctx context.Context) error {
			f, err := b.StartLargeFile(ctx, sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
			if err == nil && ctx.Err() != nil { // what cannot be cancelled is returned, to be named
				err = errors.Join(sluice.ErrLeftBehind, f.Cancel(context.WithoutCancel(ctx)))
			}
			return err
		})
		s.Repeats = true
		s.Doubt, s.Known = sluice.ErrLeftBehind, false
		// a start that was answered may be cancelled
		s.Removes = func(*http.Request) bool { return false }
		s.There = func() bool { return store.unfinished() > 0 }
		return s
	}, hostile.Checksums)
}

// altered is a store whose answers to a call are changed on their way.
func altered(t *testing.T, store *model, call string, change func(*http.Response) *http.Response) *Backend {
	return canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
		resp, err := store.RoundTrip(r)
		if err == nil && callOf(r) == call {
			resp = change(resp)
		}
		return resp, err
	})
}

// A store drops a part, or puts them together in another order, and says so in
// its answer.
func TestFinish_ComparesTheAnswerWithTheParts(t *testing.T) {
	for name, wrong := range map[string][][]byte{
		"dropped": {threeParts[0], threeParts[1]},
		"swapped": {threeParts[1], threeParts[0], threeParts[2]},
		"damaged": {threeParts[0], threeParts[1], []byte("Third")},
	} {
		for _, c := range []struct {
			kind, text string
			sum        checksum
		}{{"checksums", "checksum", crc64Checksum}, {"checksums", "checksum", sha256Checksum}, {"ETags", "ETag", crc64Checksum}} {
			t.Run(name+", "+c.kind+" by "+c.sum.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := modelOf(c.kind)
					b := altered(t, store, "CompleteMultipartUpload", func(resp *http.Response) *http.Response {
						if store.object("a") == nil {
							return resp
						}
						o := store.put("a", store.object("a").header, wrong...)
						return o.completed()
					})
					b.client.protection.list[0] = c.sum
					f, receipts := filled(t, b, false)
					_, err := f.Finish(t.Context(), receipts, nil)
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					require.NotNil(t, store.object("a"))
					if name != "dropped" {
						require.ErrorContains(t, err, "the file that is there has the "+c.text)
					} else {
						require.ErrorContains(t, err, "bytes, not")
					}
				})
			})
		}
	}
}

// The store has begun to answer when it finds that there is a file.
func TestFinish_IsRefusedUnderAStatusOfSuccess(t *testing.T) {
	store := newModel()
	b := altered(t, store, "CompleteMultipartUpload", func(*http.Response) *http.Response {
		return response(http.StatusOK, fmt.Sprintf(xmlError, "PreconditionFailed"))
	}).With(FileOptions{CreateOnly: true})
	f, receipts := filled(t, b, false)
	store.put("a", nil, []byte("older"))
	_, err := f.Finish(t.Context(), receipts, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	require.NoError(t, f.Cancel(t.Context()))
}

// A proxy lost the answer, asked again by itself, and passes on what the store
// said to that.
func TestFinish_SeesThroughAProxyThatAsksTwice(t *testing.T) {
	store := newModel()
	b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
		if callOf(r) == "CompleteMultipartUpload" {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			_, err = store.RoundTrip(r)
			require.NoError(t, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		return store.RoundTrip(r)
	})
	f, receipts := filled(t, b, false)
	_, err := f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	require.True(t, there(store))
}

// So does one for a file that must not exist yet: the store refuses the second
// request because of the first.
func TestCreateOnly_SeesThroughAProxyThatAsksTwice(t *testing.T) {
	for name, c := range map[string]struct {
		older, denied, untagged bool
		want                    error
	}{
		"its own file":                 {},
		"another file":                 {older: true, want: fs.ErrExist},
		"a file that cannot be seen":   {denied: true, want: sluice.ErrFinishUnknown},
		"a file that may be another's": {untagged: true, want: sluice.ErrFinishUnknown},
		"another file, and no own tag": {older: true, untagged: true, want: fs.ErrExist},
		"another file, cannot be seen": {older: true, denied: true, want: sluice.ErrFinishUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newModel()
				if c.older {
					store.put("a", nil, []byte("older"))
				}
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					switch {
					case callOf(r) == "HeadObject" && c.denied:
						return response(http.StatusForbidden, ""), nil
					case callOf(r) == "PutObject":
						body, err := io.ReadAll(r.Body)
						require.NoError(t, err)
						r.Body = io.NopCloser(bytes.NewReader(body))
						_, err = store.RoundTrip(r)
						require.NoError(t, err)
						r.Body = io.NopCloser(bytes.NewReader(body))
					}
					return store.RoundTrip(r)
				}).With(FileOptions{CreateOnly: true, OmitSluiceID: c.untagged})
				began := time.Now()
				_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: 4}, part(0, []byte("data")))
				require.Equal(t, !c.older, bytes.Equal(store.object("a").data, []byte("data")))
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.want == sluice.ErrFinishUnknown, errors.Is(err, sluice.ErrFinishUnknown))
				if c.want != nil {
					require.ErrorIs(t, err, fs.ErrExist)
				}
				if c.want == fs.ErrExist {
					require.Zero(t, time.Since(began), "it is known at once")
				}
			})
		})
	}
}

// Some stores make ETags in their own way, which are no contradiction if that is
// known.
func TestFinish_TakesOpaqueETagsIfTold(t *testing.T) {
	for _, opaque := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			own := func(resp *http.Response) *http.Response {
				return response(resp.StatusCode, `<CompleteMultipartUploadResult><ETag>"0123456789ABCDEF0123456789ABCDEF-3"</ETag></CompleteMultipartUploadResult>`)
			}
			b := altered(t, modelOf("ETags"), "CompleteMultipartUpload", own)
			b.opaqueTags = opaque
			f, receipts := filled(t, b, false)
			file, err := f.Finish(t.Context(), receipts, nil)
			require.NoError(t, err, "the file that is there is right")
			require.Equal(t, opaque, file.ID == "0123456789ABCDEF0123456789ABCDEF-3", "without, it is looked up")
		})
	}
}

// A proxy that compresses answers makes ETags weak ones. The store knows its own
// only.
func TestWeakETags_AreTakenForTheStoresOwn(t *testing.T) {
	store := modelOf("ETags")
	b := altered(t, store, "UploadPart", func(resp *http.Response) *http.Response {
		resp.Header.Set("Etag", "W/"+resp.Header.Get("Etag"))
		return resp
	})
	f, receipts := filled(t, b, false)
	_, err := f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	require.True(t, there(store))
}

// A look-up that goes through such a proxy, too.
func TestWeakETags_AreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := modelOf("ETags")
		b := canned(t, Options{Retry: sluice.Retry{Attempts: 2}}, func(r *http.Request) (*http.Response, error) {
			resp, err := store.RoundTrip(r)
			if callOf(r) == "CompleteMultipartUpload" {
				return nil, io.EOF
			}
			if callOf(r) == "HeadObject" {
				resp.Header.Set("Etag", "W/"+resp.Header.Get("Etag"))
			}
			return resp, err
		})
		f, receipts := filled(t, b, true)
		_, err := f.Finish(t.Context(), receipts, nil)
		require.NoError(t, err)
	})
}

// The store has cancelled the upload, and its list shows it for some time more.
func TestCancel_WaitsForAListThatLags(t *testing.T) {
	for name, c := range map[string]struct {
		lag  time.Duration
		text string
	}{
		"a while":  {900 * time.Millisecond, ""},
		"for ever": {time.Hour, "still there after it was cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newModel()
				var past *model
				var began time.Time
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if callOf(r) == "AbortMultipartUpload" && past == nil {
						past, began = store.clone(), time.Now()
					}
					if callOf(r) == "ListParts" && time.Since(began) < c.lag {
						return past.RoundTrip(r)
					}
					return store.RoundTrip(r)
				})
				f, _ := filled(t, b, false)
				err := f.Cancel(t.Context())
				if c.text == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.text)
				}
				require.Zero(t, store.unfinished())
			})
		})
	}
}

package s3backend

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// noTag is the answer of Ceph 16 to a finish: it has no ETag.
const noTag = `<CompleteMultipartUploadResult><Key>a</Key><ETag></ETag></CompleteMultipartUploadResult>`

// The answer to the finish says nothing of the file, and the look-up that follows contradicts it.
func TestFinish_WithoutAnETagLooksAtTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		parts    [][]byte // of the file that is there
		others   bool     // another writer has replaced it
		untagged bool
		unknown  bool
	}{
		"whole":                         {threeParts, false, false, false},
		"a part dropped":                {threeParts[:2], false, false, true},
		"parts swapped":                 {[][]byte{threeParts[1], threeParts[0], threeParts[2]}, false, false, true},
		"whole, untagged":               {threeParts, false, true, false},
		"a part dropped, untagged":      {threeParts[:2], false, true, true},
		"replaced since":                {threeParts, true, false, false},
		"replaced since by another one": {threeParts[:2], true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := modelOf("ETags")
				b := altered(t, store, "CompleteMultipartUpload", func(*http.Response) *http.Response {
					header := store.object("a").header
					if c.others {
						header = http.Header{tagHeader: {"another's"}}
					}
					store.put("a", header, c.parts...)
					return response(http.StatusOK, noTag)
				}).With(FileOptions{OmitSluiceID: c.untagged})
				f, receipts := filled(t, b, false)
				_, err := f.Finish(t.Context(), receipts, nil)
				if !c.unknown {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
			})
		})
	}
}

// Another writer has stored a file of the same size, which has its own tag.
func TestCreateOnly_FinishIsRefusedForAnothersFileOfTheSameSize(t *testing.T) {
	for name, kind := range map[string]string{"by checksums": "checksums", "by ETags": "ETags"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := modelOf(kind)
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if callOf(r) == "ListParts" {
						return modelError(r, http.StatusForbidden, "AccessDenied"), nil
					}
					return store.RoundTrip(r)
				}).With(FileOptions{CreateOnly: true, Unverified: []string{"CreateOnly"}})
				f, receipts := filled(t, b, false)
				store.put("a", http.Header{tagHeader: {"another's"}}, threeParts[1], threeParts[0], threeParts[2])
				_, err := f.Finish(t.Context(), receipts, nil)
				require.ErrorIs(t, err, fs.ErrExist)
				require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
				require.NoError(t, f.Cancel(t.Context()))
				require.Zero(t, store.unfinished())
			})
		})
	}
}

// An older file of the very same bytes is there, no finish arrives, and whether the upload is still
// unfinished cannot be seen.
func TestFinish_TakesNoOlderFileOfTheSameBytesUnlessTheUploadIsGone(t *testing.T) {
	for _, code := range []struct {
		status int
		name   string
	}{{http.StatusForbidden, "AccessDenied"}, {http.StatusServiceUnavailable, "SlowDown"}, {http.StatusNotFound, ""}} {
		for _, untagged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s, untagged %v", code.status, code.name, untagged), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := modelOf("checksums")
					store.put("a", nil, threeParts...)
					asked := false
					b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
						switch call := callOf(r); {
						case call == "CompleteMultipartUpload":
							asked = true
							return nil, io.EOF
						case call == "ListParts" && asked:
							return modelError(r, code.status, code.name), nil
						}
						return store.RoundTrip(r)
					}).With(FileOptions{OmitSluiceID: untagged})
					f, receipts := filled(t, b, !untagged)
					_, err := f.Finish(t.Context(), receipts, nil)
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
					require.Equal(t, 1, store.unfinished())
				})
			})
		}
	}
}

// The answer to the first request is lost, the store rejects the checksum of
// the second, and refuses the third, which has none: the first may have been
// done.
func TestChecksumAuto_IsGivenUpInDoubt(t *testing.T) {
	spec := sluice.FileSpec{Name: "a", Size: int64(len(wholeFile))}
	for call, c := range map[string]struct {
		run   func(t *testing.T, b *Backend) error
		doubt error
	}{
		"PutObject": {func(t *testing.T, b *Backend) error {
			_, err := b.UploadFile(t.Context(), spec, part(0, wholeFile))
			return err
		}, sluice.ErrFinishUnknown},
		"CreateMultipartUpload": {func(t *testing.T, b *Backend) error {
			_, err := b.StartLargeFile(t.Context(), spec)
			return err
		}, sluice.ErrLeftBehind},
		"CompleteMultipartUpload": {func(t *testing.T, b *Backend) error {
			f, receipts := filled(t, b, false)
			_, err := f.Finish(t.Context(), receipts, nil)
			require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
			return err
		}, sluice.ErrFinishUnknown},
	} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := modelOf("ETags")
				rejecting := rejects(store, http.StatusBadRequest, "InvalidArgument", "unsupported", in(call))
				n := 0
				b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
					if callOf(r) == "HeadObject" {
						return response(http.StatusForbidden, ""), nil
					}
					if callOf(r) != call {
						return store.RoundTrip(r)
					}
					if n++; n == 1 {
						_, err := store.RoundTrip(r)
						require.NoError(t, err)
						return nil, io.EOF
					}
					if resp, err := rejecting(r); n == 2 || len(about(r)) > 0 {
						return resp, err
					}
					return modelError(r, http.StatusForbidden, "AccessDenied"), nil
				})
				err := c.run(t, b)
				require.ErrorIs(t, err, c.doubt)
				require.ErrorContains(t, err, "AccessDenied")
			})
		})
	}
}

// The same, and the third request starts an upload: the first may have started another.
func TestStart_WarnsOfALostAnswerBeforeTheChecksumWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := modelOf("ETags")
		rejecting := rejects(store, http.StatusBadRequest, "InvalidArgument", "unsupported", in("CreateMultipartUpload"))
		var log bytes.Buffer
		lost := false
		b := canned(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(r *http.Request) (*http.Response, error) {
			if !lost {
				lost = true
				_, err := store.RoundTrip(r)
				require.NoError(t, err)
				return nil, io.EOF
			}
			return rejecting(r)
		})
		_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		require.NoError(t, err)
		require.Equal(t, 2, store.unfinished())
		require.Contains(t, log.String(), "an unfinished upload may be left")
	})
}

// A proxy sends a request twice, and passes on that the second one found the first at work.
func TestConflict_OfARequestThatAProxySentTwiceIsNoCertainFailure(t *testing.T) {
	for _, code := range []string{"ConditionalRequestConflict", "OperationAborted"} {
		for call, run := range map[string]func(t *testing.T, b *Backend) error{
			"PutObject": func(t *testing.T, b *Backend) error {
				_, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: int64(len(wholeFile))}, part(0, wholeFile))
				return err
			},
			"CompleteMultipartUpload": func(t *testing.T, b *Backend) error {
				f, receipts := filled(t, b, false)
				_, err := f.Finish(t.Context(), receipts, nil)
				if err != nil {
					require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
				}
				return err
			},
		} {
			for _, seen := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, seen %v", code, call, seen), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						store := modelOf("checksums")
						asked := false
						b := canned(t, Options{Retry: sluice.Retry{Attempts: 1}}, func(r *http.Request) (*http.Response, error) {
							if !seen && asked && (callOf(r) == "HeadObject" || callOf(r) == "ListParts") {
								return modelError(r, http.StatusForbidden, "AccessDenied"), nil
							}
							resp, err := store.RoundTrip(r)
							if callOf(r) == call {
								asked = true
								return modelError(r, http.StatusConflict, code), err
							}
							return resp, err
						}).With(FileOptions{CreateOnly: true})
						err := run(t, b)
						require.True(t, there(store))
						if seen {
							require.NoError(t, err)
						} else {
							require.ErrorIs(t, err, sluice.ErrFinishUnknown)
						}
					})
				})
			}
		}
	}
}

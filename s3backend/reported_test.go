package s3backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// Answers to CompleteMultipartUpload that were taken for what they are not, by
// clients or stores, in public reports.
func TestFinish_AfterAnswersThatWereReported(t *testing.T) {
	inner := fmt.Sprintf("<?xml version=\"1.0\"?>\n"+xmlError, "InternalError")
	ok := func(body string) func(*http.Request) *http.Response {
		return func(*http.Request) *http.Response { return response(http.StatusOK, body) }
	}
	fails := func(status int, code string) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response { return modelError(r, status, code) }
	}
	for name, c := range map[string]struct {
		does   bool // the store, the first time
		answer func(*http.Request) *http.Response
		always bool // to every request, not to the first alone
		seen   bool // nil if the key may look
		blind  bool // nil if it may not
	}{
		// aws/aws-sdk-java-v2#7068, scylladb/scylladb#20517: taken for a success.
		"200 with an error, not done": {false, ok(inner), false, true, true},
		"200 with an error, each":     {false, ok(inner), true, false, false},
		"200 with an error, done":     {true, ok(inner), true, true, false},
		"200, blanks and an error":    {false, ok(strings.Repeat(" \n", 5000) + inner), true, false, false},
		// oven-sh/bun#34044: 200 without a result.
		"200 and blanks, not done": {false, ok(" \n \n"), true, false, false},
		"200 and blanks, done":     {true, ok(" \n \n"), true, true, false},
		"200 and half a result":    {true, ok("<CompleteMultipartUploadResult><ETag>"), true, true, false},
		"200, blanks and a cut": {true, func(*http.Request) *http.Response {
			resp := response(http.StatusOK, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(" \n"), testutil.ReaderFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF })))
			return resp
		}, true, true, false},
		// minio/minio#4727: it is completed, and the answer is that there is no such key.
		"NoSuchKey, done": {true, fails(404, "NoSuchKey"), true, true, false},
		// minio/minio#13318, peak/s5cmd#450: a second request is refused.
		"NoSuchUpload, done": {true, fails(404, "NoSuchUpload"), true, true, false},
		// ceph/s3-tests#728: 500 for an upload that is completed already.
		"500, done": {true, fails(500, "InternalError"), true, true, false},
	} {
		for _, look := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, look %v", name, look), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := modelOf("ETags")
					attempts := 0
					b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
						call := callOf(r)
						if !look && (call == "HeadObject" || call == "ListParts") {
							return modelError(r, http.StatusForbidden, "AccessDenied"), nil
						}
						if call != "CompleteMultipartUpload" {
							return store.RoundTrip(r)
						}
						if attempts++; attempts > 1 && !c.always {
							return store.RoundTrip(r)
						}
						if c.does && attempts == 1 {
							if _, err := store.RoundTrip(r); err != nil {
								return nil, err
							}
						}
						return c.answer(r), nil
					})
					f, receipts := filled(t, b, false)
					_, err := f.Finish(t.Context(), receipts, nil)
					want := c.seen
					if !look {
						want = c.blind
					}
					if want {
						require.NoError(t, err)
						require.True(t, there(store))
						return
					}
					require.ErrorIs(t, err, sluice.ErrFinishUnknown)
					before := store.unfinished()
					require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
					require.Equal(t, before, store.unfinished(), "nothing is cancelled in doubt")
				})
			})
		}
	}
}

// Something on the way cuts off the end of what is sent, and the store answers
// success (restic/restic#3023). Its answer tells the checksum of what it has.
func TestUpload_OfBytesThatAreCutOffOnTheWayIsNoSuccess(t *testing.T) {
	for _, large := range []bool{false, true} {
		for _, always := range []bool{false, true} {
			t.Run(fmt.Sprintf("large %v, always %v", large, always), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := modelOf("checksums")
					cut := 0
					b := canned(t, Options{Retry: sluice.Retry{Attempts: 3}}, func(r *http.Request) (*http.Response, error) {
						if call := callOf(r); call == "PutObject" || call == "UploadPart" {
							data, err := io.ReadAll(r.Body)
							require.NoError(t, err)
							if cut == 0 || always {
								cut++
								data = data[:len(data)/2]
							}
							r.Body = io.NopCloser(bytes.NewReader(data))
						}
						return store.RoundTrip(r)
					})
					data := testutil.Content(1000)
					if large {
						data = testutil.Content(2*minPart + 1)
					}
					_, err := sluice.Upload(t.Context(), b, "a", &sluice.Options{PartSize: minPart}, func(w io.Writer) error {
						_, err := w.Write(data)
						return err
					})
					require.Positive(t, cut)
					if always {
						require.Error(t, err)
						return
					}
					require.NoError(t, err)
					require.Equal(t, data, store.object("a").data)
				})
			})
		}
	}
}

// A look-up that tells no size, or another one, was taken for a damaged file, and
// the file deleted (rclone/rclone#9629).
func TestFinish_DeletesNothingBecauseOfASizeThatALookUpTells(t *testing.T) {
	for _, size := range []string{"", "0", "7"} {
		for _, large := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				store := modelOf("checksums")
				b := canned(t, Options{Retry: sluice.Retry{Attempts: 2}}, func(r *http.Request) (*http.Response, error) {
					require.NotEqual(t, http.MethodDelete, r.Method)
					resp, err := store.RoundTrip(r)
					switch callOf(r) {
					case "PutObject", "CompleteMultipartUpload":
						return nil, errors.New("connection reset")
					case "HeadObject":
						if resp.Header.Del("Content-Length"); size != "" {
							resp.Header.Set("Content-Length", size)
						}
					}
					return resp, err
				})
				var err error
				if large {
					f, receipts := filled(t, b, false)
					_, err = f.Finish(t.Context(), receipts, nil)
					require.ErrorIs(t, f.Cancel(t.Context()), sluice.ErrFinishUnknown)
				} else {
					_, err = b.UploadFile(t.Context(), sluice.FileSpec{Name: "a", Size: int64(len(wholeFile))}, part(0, wholeFile))
				}
				require.ErrorIs(t, err, sluice.ErrFinishUnknown)
				require.True(t, there(store))
			})
		}
	}
}

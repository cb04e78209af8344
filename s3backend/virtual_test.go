package s3backend

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// silent answers nothing.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

func TestStalledPartIsSentAgain(t *testing.T) {
	const size = 10
	for name, taken := range map[string]int64{"in the body": size / 2, "before the answer": size} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts, began := 0, time.Now()
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts == 1 {
						_, _ = io.CopyN(io.Discard, r.Body, taken)
						return silent(r)
					}
					_, _ = io.Copy(io.Discard, r.Body)
					return response(http.StatusOK, ""), nil
				})
				f := &largeFile{backend: b, name: "a", info: sluice.LargeFileInfo{ID: "u1"}}
				_, err := f.UploadPart(t.Context(), part(1, random(size)))
				require.NoError(t, err)
				require.Equal(t, 2, attempts)
				require.GreaterOrEqual(t, time.Since(began), 2*time.Minute, "the stall that is borne")
			})
		})
	}
}

// A part whose bytes are all out when the context ends is waited for, so that it does not arrive after the upload was
// cancelled; but not for ever.
func TestPartThatIsOutIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		answers bool
		err     error
		took    time.Duration
	}{
		"answered": {true, nil, time.Second},
		"mute":     {false, context.Canceled, partGrace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					_, _ = io.Copy(io.Discard, r.Body)
					cancel()
					if !c.answers {
						return silent(r)
					}
					time.Sleep(c.took)
					return response(http.StatusOK, ""), nil
				})
				f := &largeFile{backend: b, name: "a", info: sluice.LargeFileInfo{ID: "u1"}}
				began := time.Now()
				_, err := f.UploadPart(ctx, part(1, random(10)))
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.took, time.Since(began))
			})
		})
	}
}

func TestADownloadThatStallsGoesOnElsewhere(t *testing.T) {
	data := "the first half and the second half"
	for name, first := range map[string]roundTrip{
		"before the answer": silent,
		"within it": func(r *http.Request) (*http.Response, error) {
			resp := response(http.StatusOK, data)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(data[:14]), readerFunc(func([]byte) (int, error) {
				_, err := silent(r)
				return 0, err
			})))
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts == 1 {
						return first(r)
					}
					if r.Header.Get("Range") == "" {
						return response(http.StatusOK, data), nil
					}
					return response(http.StatusPartialContent, data[14:], "Content-Range", "bytes 14-33/34"), nil
				})
				requireDownload(t, []byte(data), openFile(t, b, "a"))
				require.Equal(t, 2, attempts)
			})
		})
	}
}

package s3backend

import (
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestResumeLargeFile_PassesOverOneThatIsOlderThanTheFile(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		status   int
		modified string
		outdated bool
	}{
		"newer file":       {http.StatusOK, started.Add(time.Second).Format(http.TimeFormat), true},
		"same second":      {http.StatusOK, started.Format(http.TimeFormat), true},
		"older file":       {http.StatusOK, started.Add(-time.Second).Format(http.TimeFormat), false},
		"no time":          {http.StatusOK, "", false},
		"no file":          {http.StatusNotFound, "", false},
		"may not be read":  {http.StatusForbidden, "", false},
		"cannot be looked": {http.StatusServiceUnavailable, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := canned(t, Options{}, func(r *http.Request) (*http.Response, error) {
				switch {
				case r.Method == http.MethodHead:
					resp := response(c.status, "")
					resp.Header.Set("Content-Length", "3")
					resp.Header.Set("Last-Modified", c.modified)
					return resp, nil
				case r.URL.Query().Has("uploads"):
					return response(http.StatusOK, "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>u1</UploadId><Initiated>2026-01-02T03:04:05.7Z</Initiated></Upload></ListMultipartUploadsResult>"), nil
				}
				return response(http.StatusOK, "<ListPartsResult></ListPartsResult>"), nil
			})
			f, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}, "")
			if c.outdated {
				require.ErrorIs(t, err, fs.ErrNotExist)
				f, err = b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}, "u1")
			}
			require.NoError(t, err)
			require.Equal(t, "u1", f.Info().ID)
		})
	}
}

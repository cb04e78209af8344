package s3backend

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

func TestStat_KnowsThePartsThatTheStoreTells(t *testing.T) {
	sum := sha256.Sum256([]byte("some"))
	text := base64.StdEncoding.EncodeToString(sum[:])
	page := func(truncated bool, next int, part string) string {
		return fmt.Sprintf("<GetObjectAttributesResponse><ObjectParts><IsTruncated>%v</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>%s</ObjectParts></GetObjectAttributesResponse>",
			truncated, next, part)
	}
	first := "<Part><PartNumber>1</PartNumber><Size>4</Size><ChecksumSHA256>" + text + "</ChecksumSHA256></Part>"
	second := "<Part><PartNumber>2</PartNumber><Size>6</Size></Part>"
	for name, c := range map[string]struct {
		status  int
		answers []string
		parts   int
	}{
		"two pages":            {200, []string{page(true, 1, first), page(false, 2, second)}, 2},
		"one page":             {200, []string{page(false, 2, first+second)}, 2},
		"no parts":             {200, []string{page(false, 0, "")}, 0},
		"parts of other bytes": {200, []string{page(false, 1, first)}, 0},
		"parts out of order":   {200, []string{page(false, 2, second+first)}, 0},
		"the file itself":      {200, []string{"0123456789"}, 0},
		"denied":               {403, []string{"<Error><Code>AccessDenied</Code></Error>"}, 0},
		"unknown":              {501, []string{"<Error><Code>NotImplemented</Code></Error>"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			rt := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodHead {
					return response(200, "", "Etag", `"x-2"`, "Content-Length", "10"), nil
				}
				require.True(t, r.URL.Query().Has("attributes"))
				require.Equal(t, `"x-2"`, r.Header.Get("If-Match"))
				asked++
				return response(c.status, c.answers[asked-1]), nil
			})
			b := canned(t, Options{}, rt)
			f, err := b.Stat(t.Context(), "f")
			require.NoError(t, err)
			require.Len(t, f.Receipts, c.parts)
			require.Equal(t, len(c.answers), asked)
			if c.parts > 0 {
				require.Equal(t, sum[:], f.Receipts[0].Digests.Get("sha256"))
			}
		})
	}
}

func TestDownload_RestoresWhatWasUploaded(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	o := &sluice.Options{PartSize: 5 << 20, ContentType: "text/x-test", Metadata: map[string]string{"made-by": "a test"}}
	stored, err := sluice.Upload(t.Context(), b, "f", o, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	require.NoError(t, err)
	var got bytes.Buffer
	f, err := sluice.Download(t.Context(), b, "f", &got, &sluice.ReadOptions{RangeSize: 1 << 20})
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got.Bytes()))
	require.Equal(t, stored.ID, f.ID)
	require.Equal(t, o.ContentType, f.ContentType)
	require.Equal(t, o.Metadata, f.Metadata)
}

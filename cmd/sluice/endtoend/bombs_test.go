//go:build linux

package endtoend

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice/internal/hostile"
)

// mostMemory is what sluice takes at most with -memory 32MiB, whatever a server
// answers, in MiB of resident memory. SECURITY.md states it.
const mostMemory = 64

// site is a call of sluice's, and a command that makes it.
type site struct {
	args    []string
	call    func(*http.Request) bool
	refusal string // final
	passed  bool   // the command does without the answer
}

const (
	b2Refusal = `{"code":"access_denied"}`
	bvRefusal = `{"code":7}`
	s3Refusal = `<Error><Code>AccessDenied</Code></Error>`
)

func sites() map[string]site {
	last := func(name string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return path.Base(r.URL.Path) == name || strings.HasSuffix(r.URL.Path, ":"+name)
		}
	}
	every := func(*http.Request) bool { return true }
	asks := func(what string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.URL.Query().Has(what) }
	}
	list, parts := []string{"unfinished", "b2://bucket/"}, []string{"unfinished", "-parts", "b2://bucket/"}
	upload := func(dest string, args ...string) []string { return append([]string{"-memory", "32MiB", dest}, args...) }
	return map[string]site{
		"b2_authorize_account":           {args: list, call: last("b2_authorize_account"), refusal: b2Refusal},
		"b2_list_buckets":                {args: list, call: last("b2_list_buckets"), refusal: b2Refusal},
		"b2_list_unfinished_large_files": {args: list, call: last("b2_list_unfinished_large_files"), refusal: b2Refusal},
		"b2_list_parts":                  {args: parts, call: last("b2_list_parts"), refusal: b2Refusal},
		"b2_get_upload_url":              {args: upload("b2://bucket/x"), call: last("b2_get_upload_url"), refusal: b2Refusal},
		"ListMultipartUploads":           {args: []string{"unfinished", "s3://bucket/"}, call: every, refusal: s3Refusal},
		"ListParts":                      {args: upload("s3://bucket/x", "-resume-id", "u"), call: every, refusal: s3Refusal},
		"files:upload":                   {args: upload("bv://x", "-size", "1MiB"), call: last("upload"), refusal: bvRefusal},
		"download":                       {args: []string{"get", "bv://x"}, call: last("download"), refusal: bvRefusal},
		"b2_get_file_info":               {args: []string{"get", "--memory", "32MiB", "b2://bucket/x"}, call: last("b2_get_file_info"), refusal: b2Refusal},
		"b2_list_file_names":             {args: []string{"ls", "b2://bucket/"}, call: last("b2_list_file_names"), refusal: b2Refusal},
		"b2_delete_file_version":         {args: []string{"rm", "--yes", "b2://bucket/x"}, call: last("b2_delete_file_version"), refusal: b2Refusal},
		"ListObjectsV2":                  {args: []string{"ls", "s3://bucket/"}, call: every, refusal: s3Refusal},
		"GetObjectAttributes":            {[]string{"stat", "s3://bucket/x"}, asks("attributes"), s3Refusal, true},
		"GetObjectAttributes of verify":  {[]string{"verify", "--memory", "32MiB", "s3://bucket/x"}, asks("attributes"), s3Refusal, true},
		"DeleteObject":                   {[]string{"rm", "--yes", "s3://bucket/x"}, func(r *http.Request) bool { return r.Method == http.MethodDelete }, s3Refusal, true},
	}
}

// serve answers the call with the body once, and then refuses it, so that it is
// not tried again and again. Before the call it answers as the store does.
func (s site) serve(t *testing.T, body func() io.Reader) string {
	var url string
	var met atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch call := path.Base(r.URL.Path); {
		case s.call(r) && met.Swap(true):
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, s.refusal)
		case s.call(r):
			_, _ = io.Copy(w, body())
		case r.Method == http.MethodHead || r.Method == http.MethodGet && !strings.HasPrefix(call, "b2_"):
			h := w.Header()
			h.Set("X-Bz-File-Id", "f")
			h.Set("ETag", `"t-2"`)
			h.Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
			_, _ = io.WriteString(w, "bytes")
		default:
			answer := map[string]string{
				"b2_authorize_account": `{"accountId":"a","authorizationToken":"t","apiInfo":{"storageApi":{"apiUrl":"%[1]s","downloadUrl":"%[1]s",` +
					`"absoluteMinimumPartSize":5000000,"allowed":{"buckets":null}}}}`,
				"b2_list_buckets":                `{"buckets":[{"bucketId":"b","bucketName":"bucket"}]}`,
				"b2_list_unfinished_large_files": `{"files":[{"action":"start","fileId":"f","fileName":"x"}]}`,
				"b2_get_file_info":               `{"fileId":"f","fileName":"x","action":"upload","contentLength":5}`,
				"b2_get_upload_url":              `{"uploadUrl":"%[1]s/b2_upload_file","authorizationToken":"t"}`,
			}[call]
			_, _ = io.WriteString(w, strings.ReplaceAll(answer, "%[1]s", url))
		}
	}))
	t.Cleanup(server.Close)
	url = server.URL
	return url
}

// measure runs sluice and returns its peak of resident memory in MiB, and its output.
func measure(t *testing.T, server string, args []string) (int64, string) {
	file := filepath.Join(t.TempDir(), "peak")
	c := exec.CommandContext(t.Context(), filepath.Join(binaries, "peak"), append([]string{file, filepath.Join(binaries, "sluice")}, args...)...)
	c.Env = append(
		os.Environ(), "B2_ENDPOINT="+server, "B2_APPLICATION_KEY_ID=id", "B2_APPLICATION_KEY=key",
		"AWS_ENDPOINT_URL_S3="+server, "AWS_REGION=r", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key",
		"BV_ENDPOINT="+server, "BV_API_TOKEN=token", "BV_ORG_ID=org",
	)
	c.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	out, _ := c.CombinedOutput()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	peak, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || peak == 0 {
		t.Errorf("peak %q: %v", text, err)
	}
	return peak >> 10, string(out)
}

func TestBombs_TakeNoMoreMemoryThanIsStated(t *testing.T) {
	security, err := os.ReadFile("../../../SECURITY.md")
	require.NoError(t, err)
	require.Contains(t, string(security), fmt.Sprintf("%d MiB", mostMemory))
	for call, s := range sites() {
		t.Run(call, func(t *testing.T) {
			var group errgroup.Group
			for name, bomb := range hostile.Bombs {
				if strings.HasPrefix(bomb.Start, "<") != strings.HasPrefix(s.refusal, "<") {
					continue
				}
				server := s.serve(t, func() io.Reader { return bomb.Reader(64 << 20) })
				group.Go(func() error {
					peak, out := measure(t, server, s.args)
					if !s.passed && !strings.Contains(out, "403") || len(out) > 8<<10 || peak > mostMemory {
						return fmt.Errorf("a bomb of %s takes %d MiB, and sluice says: %.1000s", name, peak, out)
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
		})
	}
}

// A list of unfinished uploads that does not end is cut while it fits the same memory.
func TestEndlessPages_TakeNoMoreMemoryThanIsStated(t *testing.T) {
	page := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page++
		fmt.Fprintf(w, "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k%d</NextKeyMarker>", page)
		for i := range 1000 {
			fmt.Fprintf(w, "<Upload><Key>k%d-%d-%s</Key><UploadId>u</UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload>", page, i, strings.Repeat("x", 900))
		}
		_, _ = io.WriteString(w, "</ListMultipartUploadsResult>")
	}))
	defer server.Close()
	peak, out := measure(t, server.URL, []string{"unfinished", "-json", "s3://bucket/"})
	require.Contains(t, out, "there are more unfinished uploads than")
	require.LessOrEqual(t, peak, int64(mostMemory))
}

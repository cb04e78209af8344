package docs

import (
	"io"
	"net/http"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/blendvisionbackend/bvtest"
	"github.com/c1508ce4/sluice/s3backend"
)

// mostFrames is how many functions of this module may be on the stack when a
// transport gets a part.
const mostFrames = 13

// stackRecorder is a transport that keeps the stack on which it gets a part, of
// this module's functions alone, outermost first.
type stackRecorder struct {
	next   http.RoundTripper
	isPart func(*http.Request) bool

	mu    sync.Mutex
	stack []string // file and function
}

func (r *stackRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.isPart(req) {
		r.mu.Lock()
		if r.stack == nil {
			r.stack = ownFrames()
		}
		r.mu.Unlock()
	}
	return r.next.RoundTrip(req)
}

// ownFrames returns this module's functions on the stack of RoundTrip's caller.
func ownFrames() []string {
	pcs := make([]uintptr, 100)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var own []string
	for {
		f, more := frames.Next()
		if name, ok := strings.CutPrefix(f.Function, module); ok {
			folder, function, _ := strings.Cut(name, ".") // "/b2backend", "(*LargeFile).UploadPart"
			file := path.Join(strings.TrimPrefix(folder, "/"), path.Base(f.File))
			own = append([]string{file + " " + strings.NewReplacer("(*", "", ")", "").Replace(function)}, own...)
		}
		if !more {
			return own
		}
	}
}

// s3Answers is a store that opens multipart uploads and rejects all else.
type s3Answers struct{}

func (s3Answers) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body := http.StatusForbidden, "<Error><Code>AccessDenied</Code></Error>"
	if req.Method == http.MethodPost && req.URL.Query().Has("uploads") {
		status, body = http.StatusOK, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// uploadStack uploads a stream of two parts and returns the stack of the first.
func uploadStack(t *testing.T, r *stackRecorder, b sluice.Backend, size int64) []string {
	_, _ = sluice.Upload(t.Context(), b, "f", &sluice.Options{Size: size}, func(w io.Writer) error {
		_, err := w.Write(make([]byte, size))
		return err
	})
	require.NotEmpty(t, r.stack)
	return r.stack
}

var partPaths = map[string]func(t *testing.T) []string{
	"b2backend": func(t *testing.T) []string {
		s := b2test.NewServer(&b2test.Options{MinPartSize: 100})
		defer s.Close()
		r := &stackRecorder{next: http.DefaultTransport, isPart: func(req *http.Request) bool { return req.Header.Get("X-Bz-Part-Number") != "" }}
		b, err := b2backend.New(t.Context(), b2backend.NewCredentials(s.KeyID(), s.Key()), s.Bucket(), &b2backend.Options{Endpoint: s.URL(), Transport: r})
		require.NoError(t, err)
		return uploadStack(t, r, b, 20<<20)
	},
	"s3backend": func(t *testing.T) []string {
		r := &stackRecorder{next: s3Answers{}, isPart: func(req *http.Request) bool { return req.URL.Query().Has("partNumber") }}
		b, err := s3backend.New(t.Context(), "bucket", &s3backend.Options{
			Endpoint: "http://127.0.0.1:1", Region: "r", PathStyle: true, Transport: r,
			Credentials: s3backend.NewCredentials(credentials.NewStaticCredentialsProvider("k", "s", "")),
		})
		require.NoError(t, err)
		return uploadStack(t, r, b, 20<<20)
	},
	"blendvisionbackend": func(t *testing.T) []string {
		s := bvtest.NewServer(&bvtest.Options{})
		defer s.Close()
		r := &stackRecorder{next: http.DefaultTransport, isPart: func(req *http.Request) bool { return req.Method == http.MethodPut }}
		b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials(s.Token(), s.OrgID()), &blendvisionbackend.Options{Endpoint: s.URL(), Transport: r})
		require.NoError(t, err)
		return uploadStack(t, r, b, 20<<20)
	},
}

func TestPartPath_StaysShort(t *testing.T) {
	for name, stack := range partPaths {
		t.Run(name, func(t *testing.T) {
			frames := stack(t)
			require.LessOrEqual(t, len(frames), mostFrames, "%s", strings.Join(frames, "\n"))
		})
	}
}

func TestPartPath_IsTheOneInTheTable(t *testing.T) {
	_, section, found := strings.Cut(string(read(t, "docs/ARCHITECTURE.md")), "| file | function | does |")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n\n")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(.+?)` \\| `(.+?)` \\|").FindAllStringSubmatch(section, -1) {
		listed = append(listed, row[1]+" "+row[2])
	}
	require.Equal(t, listed, partPaths["b2backend"](t))
}

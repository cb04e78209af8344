//go:build unix

package engines

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/s3backend"
)

var update = flag.Bool("update", false, "write the table of docs/S3.md")

// yes is what is expected of a store, unless differences says otherwise.
const yes = "yes"

// trial is one thing that is tried on every store.
type trial struct {
	name string
	// try does it, and returns yes or what happens in place of it. What must
	// never happen, such as a success that is none, fails the test.
	try func(t *testing.T, s *stage) string
}

// stage is a store with an empty bucket, for one trial.
type stage struct {
	*Server
	bucket string
}

var buckets atomic.Int64

// backend opens the stage's bucket.
func (s *stage) backend(t *testing.T, options s3backend.Options) *s3backend.Backend {
	return s.backendWith(t, AccessKey, SecretKey, options)
}

// backendWith opens it with other keys.
func (s *stage) backendWith(t *testing.T, id, secret string, options s3backend.Options) *s3backend.Backend {
	options.Credentials = s3backend.NewCredentials(credentials.NewStaticCredentialsProvider(id, secret, ""))
	if options.Endpoint == "" {
		options.Endpoint = s.URL
	}
	if options.Region == "" {
		options.Region = Region
	}
	options.Transport = s.Transport
	options.Retry = sluice.Retry{Attempts: 3, MaxWait: 100 * time.Millisecond}
	b, err := s3backend.New(t.Context(), s.bucket, &options)
	require.NoError(t, err)
	return b
}

// lock makes the stage's bucket one with Object Lock.
func (s *stage) lock(t *testing.T) {
	s.bucket += "-locked"
	require.NoError(t, s.MakeLockedBucket(s.bucket))
}

// path is where the store has a file.
func (s *stage) path(name string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	return "/" + s.bucket + "/" + strings.ReplaceAll(escaped, "%2F", "/")
}

// ask asks the store about a file, without the client under test.
func (s *stage) ask(t *testing.T, method, name, query string, header ...string) *Answer {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	a, err := s.Ask(t.Context(), method, s.path(name)+query, h, nil)
	require.NoError(t, err)
	return a
}

// upload stores data.
func upload(ctx context.Context, b sluice.Backend, name string, data []byte, o sluice.Options) (sluice.File, error) {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 64 << 20
	}
	return sluice.Upload(ctx, b, name, &o, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
}

func requireContent(t *testing.T, want []byte, got *Answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, got.Status, "%.300s", got.Body)
	require.True(t, bytes.Equal(want, got.Body), "%d bytes, want %d", len(got.Body), len(want))
}

// large is the length of a stream of several parts.
const large = 12 << 20

// became is how an upload ended, in a few words.
func became(err error) string {
	unmet, notMet := errors.AsType[*s3backend.OptionsError](err)
	refused, isRefused := errors.AsType[*s3backend.Error](err)
	switch {
	case err == nil:
		return yes
	case errors.Is(err, fs.ErrExist):
		return "error: there is a file"
	case notMet && unmet.File.Name == "":
		return "ignored: error, nothing is sent"
	case notMet:
		return "ignored: error, the file is stored"
	case isRefused:
		return fmt.Sprintf("refused: %d %s", refused.Status, refused.Code)
	default:
		return "error: " + err.Error()
	}
}

func TestMatrix(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			server := start(t, kind)
			for name := range differences[kind] {
				require.True(t, known(name), "differences has an entry %q, which is no trial", name)
			}
			if kind != Versitygw && kind != Gofakes3 {
				t.Run("conformance", func(t *testing.T) { conforms(t, server) })
			}
			for _, c := range trials {
				t.Run(c.name, func(t *testing.T) {
					s := &stage{server, fmt.Sprintf("bucket-%d", buckets.Add(1))}
					require.NoError(t, server.MakeBucket(s.bucket))
					want := cmp.Or(differences[kind][c.name], yes)
					got := c.try(t, s)
					if tested := testedVersions[kind]; server.Version != tested {
						t.Skipf("NOT COMPARED with %s %s: %s does: %s", kind, tested, server.Version, got)
					}
					require.Equal(t, want, got, "%s %s: what differences says is out of date", kind, server.Version)
				})
			}
		})
	}
}

// Of another version nothing would be compared.
func TestTestedVersions_AreThoseThatAreBuilt(t *testing.T) {
	for kind, built := range sources {
		require.Equal(t, built.name(), testedVersions[kind])
	}
	require.Len(t, testedVersions, len(sources)+1, "and Ceph, which is installed")
}

func known(name string) bool {
	for _, c := range trials {
		if c.name == name {
			return true
		}
	}
	return false
}

// The page about stores has the table that differences makes.
func TestTheTableOfStoresIsInTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/S3.md")
	require.NoError(t, err)
	if *update {
		text := string(page)
		begin := strings.Index(text, "\n| | ceph ") + 1
		end := begin + strings.Index(text[begin:], "\n\n") + 1
		require.Less(t, begin, end)
		require.NoError(t, os.WriteFile("../../docs/S3.md", []byte(text[:begin]+table()+text[end:]), 0o644))
		return
	}
	require.Contains(t, string(page), table(), "run go test ./internal/engines -run TestTheTable -update")
}

// table is what the trials find, in Markdown.
func table() string {
	all := []Kind{Ceph, MinIO, SeaweedFS, Versitygw, Gofakes3}
	b := new(bytes.Buffer)
	head, line := "|", "|---|"
	for _, kind := range all {
		head += " | " + string(kind) + " " + testedVersions[kind]
		line += "---|"
	}
	fmt.Fprintf(b, "%s |\n%s\n", head, line)
	for _, c := range trials {
		fmt.Fprintf(b, "| %s", c.name)
		for _, kind := range all {
			fmt.Fprintf(b, " | %s", cmp.Or(differences[kind][c.name], yes))
		}
		fmt.Fprint(b, " |\n")
	}
	return b.String()
}

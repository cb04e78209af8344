//go:build unix

package engines

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/s3backend"
)

// trials are the rows of the table in docs/S3.md.
var trials = []trial{
	{"streams of 0 bytes to 20 MiB come back", streams},
	{"parts of 20 MiB have ETags of which the store makes that of the file", largeParts},
	{"a name with a space, `+`, `%` and `ü`", named("a b+c%20d/ü")},
	{"a name with `//`", named("a//b")},
	{"a name with a leading `/`", named("/a")},
	{"a name with a segment of 900 bytes", named("a/" + strings.Repeat("b", 900))},
	{"nothing is left of a source that fails", failedSource},
	{"cache headers, language, type, metadata, single", optionsKept(100, kept, keptProof)},
	{"cache headers, language, type, metadata, large", optionsKept(large, kept, keptProof)},
	{"a metadata key with `_`", metadataKey},
	{"tags, single", optionsKept(100, tagged, tagsProof)},
	{"tags, large", optionsKept(large, tagged, tagsProof)},
	{"storage class `STANDARD_IA`, single", optionsKept(100, infrequent, classProof)},
	{"storage class `STANDARD_IA`, large", optionsKept(large, infrequent, classProof)},
	{"SSE-S3, single", encrypted(100, sseS3, "AES256")},
	{"SSE-S3, large", encrypted(large, sseS3, "AES256")},
	{"SSE-KMS, single", encrypted(100, sseKMS, "aws:kms")},
	{"SSE-KMS, large", encrypted(large, sseKMS, "aws:kms")},
	{"SSE-C, single", customerKey(100)},
	{"SSE-C, large", customerKey(large)},
	{"retention and legal hold, single", locked(100)},
	{"retention and legal hold, large", locked(large)},
	{"`CreateOnly`, single", createOnly(100)},
	{"`CreateOnly`, large", createOnly(large)},
	{"a resumed stream sends only what is missing", resumed("plain")},
	{"… of a name with a space, `+`, `%` and `ü`", resumed("a b+c%20d/ü")},
	{"unfinished files are listed by prefix", listed},
	{wrongPlaceTrial, wrongPlaces},
	{wrongRegionTrial, wrongRegion},
	{"310 MB with `--memory 64MiB` take no more than 100 MiB, and come back in parallel and by rclone", longStream},
	{"files of odd names come back by rclone, s3cmd and aws", foreignClients},
	{"SIGTERM leaves nothing", terminated},
	{"after SIGKILL `--resume` sends only what is missing", killed},
	{"`cancel` by ID, name and prefix", cancels},
	{"four processes upload at once, one is killed and resumes", manyMachines},
}

const (
	wrongPlaceTrial  = "a wrong access key, secret, bucket is an error that says so"
	wrongRegionTrial = "a wrong region is an error that says so"
)

var (
	kept = s3backend.FileOptions{
		CacheControl: "max-age=60", ContentDisposition: `attachment; filename="x"`, ContentEncoding: "zstd", ContentLanguage: "en",
		Verify: true,
	}
	infrequent = s3backend.FileOptions{StorageClass: "STANDARD_IA", Verify: true}

	tagged = s3backend.FileOptions{Tags: map[string]string{"team": "db", "kind": "nightly backup"}, Verify: true}
	sseS3  = s3backend.FileOptions{Encryption: s3backend.EncryptS3()}
	sseKMS = s3backend.FileOptions{Encryption: s3backend.EncryptKMS(KMSKey)}
)

func streams(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{})
	for _, n := range []int{0, 1, 5<<20 - 1, 5 << 20, 5<<20 + 1, 20 << 20} {
		data := testutil.Content(n)
		f, err := upload(t.Context(), b, "a", data, sluice.Options{})
		require.NoError(t, err)
		require.EqualValues(t, n, f.Size)
		requireContent(t, data, s.ask(t, http.MethodGet, "a", ""))
	}
	return yes
}

// largeParts stores parts that some stores divide themselves. The answer to the finish is compared
// with the ETags of the parts.
func largeParts(t *testing.T, s *stage) string {
	data := testutil.Content(50 << 20)
	f, err := upload(t.Context(), s.backend(t, s3backend.Options{}), "a", data, sluice.Options{PartSize: 20 << 20})
	if err != nil {
		return became(err)
	}
	require.Equal(t, 3, f.Parts)
	requireContent(t, data, s.ask(t, http.MethodGet, "a", ""))
	return yes
}

// named stores a file of that name, reads it back and finds it in the store's list.
func named(name string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		b := s.backend(t, s3backend.Options{})
		for _, n := range []int{100, large} {
			data := testutil.Content(n)
			if _, err := upload(t.Context(), b, name, data, sluice.Options{}); err != nil {
				return became(err)
			}
			requireContent(t, data, s.ask(t, http.MethodGet, name, ""))
		}
		list, err := s.Ask(t.Context(), http.MethodGet, "/"+s.bucket+"?list-type=2", nil, nil)
		require.NoError(t, err)
		if !strings.Contains(string(list.Body), "<Key>"+name+"</Key>") {
			return "stored, not listed by that name"
		}
		return yes
	}
}

func failedSource(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{})
	broken := errors.New("broken")
	w, err := sluice.New(t.Context(), b, "a", &sluice.Options{MemoryLimit: 64 << 20})
	require.NoError(t, err)
	_, err = w.Write(testutil.Content(large))
	require.NoError(t, err)
	w.Abort(broken)
	require.ErrorIs(t, w.Close(), broken)
	require.Equal(t, http.StatusNotFound, s.ask(t, http.MethodHead, "a", "").Status)
	require.Empty(t, unfinished(t, b, ""))
	return yes
}

// unfinished lists the names of unfinished files.
func unfinished(t *testing.T, b *s3backend.Backend, prefix string) []string {
	var names []string
	for u, err := range b.Unfinished(t.Context(), prefix) {
		require.NoError(t, err)
		names = append(names, u.Spec.Name)
	}
	return names
}

// optionsKept stores a file with options, which are verified by the client, and by proof.
func optionsKept(n int, o s3backend.FileOptions, proof func(*testing.T, *stage)) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		b := s.backend(t, s3backend.Options{}).With(o)
		metadata := map[string]string{"key": "a value"}
		_, err := upload(t.Context(), b, "a", testutil.Content(n), sluice.Options{ContentType: "text/x-sql", Metadata: metadata})
		if err == nil {
			proof(t, s)
		}
		return became(err)
	}
}

func keptProof(t *testing.T, s *stage) {
	h := s.ask(t, http.MethodHead, "a", "").Header
	for name, want := range map[string]string{
		"Cache-Control": kept.CacheControl, "Content-Disposition": kept.ContentDisposition, "Content-Encoding": kept.ContentEncoding,
		"Content-Language": kept.ContentLanguage, "Content-Type": "text/x-sql", "X-Amz-Meta-Key": "a value",
	} {
		require.Equal(t, want, h.Get(name), name)
	}
}

func classProof(t *testing.T, s *stage) {
	require.Equal(t, infrequent.StorageClass, s.ask(t, http.MethodHead, "a", "").Header.Get("X-Amz-Storage-Class"))
}

func tagsProof(t *testing.T, s *stage) {
	a := s.ask(t, http.MethodGet, "a", "?tagging=")
	require.Contains(t, string(a.Body), "<Value>nightly backup</Value>")
}

// encrypted stores a file encrypted. The store must say so, and Ceph's disks
// must not have the plain bytes of it, which they have of a file that is not
// encrypted.
func encrypted(n int, o s3backend.FileOptions, kind string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		b := s.backend(t, s3backend.Options{})
		mark := "plain of " + s.bucket + "."
		data := bytes.Repeat([]byte(mark), n/len(mark)+1)
		if _, err := upload(t.Context(), b.With(o), "a", data, sluice.Options{}); err != nil {
			return became(err)
		}
		requireContent(t, data, s.ask(t, http.MethodGet, "a", ""))
		require.Equal(t, kind, s.ask(t, http.MethodHead, "a", "").Header.Get("X-Amz-Server-Side-Encryption"))
		if s.Kind != Ceph {
			return yes
		}
		_, err := upload(t.Context(), b, "control", []byte(mark), sluice.Options{})
		require.NoError(t, err)
		objects, err := s.Objects(t.Context())
		require.NoError(t, err)
		var plain []string
		for name, stored := range objects {
			if bytes.Contains(stored, []byte(mark)) {
				plain = append(plain, name)
			}
		}
		require.Len(t, plain, 1)
		require.Contains(t, plain[0], "control")
		return yes
	}
}

func metadataKey(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{}).With(s3backend.FileOptions{Verify: true})
	_, err := upload(t.Context(), b, "a", testutil.Content(10), sluice.Options{Metadata: map[string]string{"a_b": "c"}})
	return became(err)
}

// customerKey stores a file with a customer's key, and reads it with it, without, and with another.
func customerKey(n int) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		key := []byte("a customer's key of 32 bytes ...")
		e, err := s3backend.EncryptCustomer(key)
		require.NoError(t, err)
		b := s.backend(t, s3backend.Options{}).With(s3backend.FileOptions{Encryption: e})
		if _, err := upload(t.Context(), b, "a", testutil.Content(n), sluice.Options{}); err != nil {
			return became(err)
		}
		with := func(key []byte) *Answer {
			sum := md5.Sum(key)
			const prefix = "X-Amz-Server-Side-Encryption-Customer-"
			return s.ask(t, http.MethodGet, "a", "", prefix+"Algorithm", "AES256",
				prefix+"Key", base64.StdEncoding.EncodeToString(key), prefix+"Key-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		}
		requireContent(t, testutil.Content(n), with(key))
		require.GreaterOrEqual(t, s.ask(t, http.MethodGet, "a", "").Status, 400)
		require.GreaterOrEqual(t, with([]byte("another key of 32 bytes ........")).Status, 400)
		return yes
	}
}

// locked stores a file with a lock, whose version cannot be deleted then.
func locked(n int) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		s.lock(t)
		until := time.Now().Add(time.Hour).Truncate(time.Second)
		b := s.backend(t, s3backend.Options{}).With(s3backend.FileOptions{
			Retention: s3backend.Retention{Mode: s3backend.Governance, Until: until}, LegalHold: s3backend.HoldOn,
		})
		f, err := upload(t.Context(), b, "a", testutil.Content(n), sluice.Options{})
		if err == nil {
			version := "?versionId=" + f.ID
			if s.Kind == Versitygw { // started without versions
				version = ""
			}
			require.GreaterOrEqual(t, s.ask(t, http.MethodDelete, "a", version).Status, 400)
			requireContent(t, testutil.Content(n), s.ask(t, http.MethodGet, "a", version))
		}
		return became(err)
	}
}

// createOnly stores a file twice.
func createOnly(n int) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		b := s.backend(t, s3backend.Options{}).With(s3backend.FileOptions{CreateOnly: true})
		_, err := upload(t.Context(), b, "a", testutil.Content(n), sluice.Options{})
		require.NoError(t, err)
		_, err = upload(t.Context(), b, "a", testutil.Content(n-1), sluice.Options{})
		require.Equal(t, "error: there is a file", became(err))
		requireContent(t, testutil.Content(n), s.ask(t, http.MethodGet, "a", ""))
		require.Empty(t, unfinished(t, b, ""))
		return yes
	}
}

// resumed keeps what a failed upload has stored, and resumes it.
func resumed(name string) func(*testing.T, *stage) string {
	return func(t *testing.T, s *stage) string {
		b := s.backend(t, s3backend.Options{})
		data := testutil.Content(40 << 20)
		o := &sluice.Options{MemoryLimit: 64 << 20, PartSize: 5 << 20, KeepOnFailure: true}
		w, err := sluice.New(t.Context(), b, name, o)
		require.NoError(t, err)
		_, err = w.Write(data[:30<<20])
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.Stats().Acknowledged >= 20<<20 }, time.Minute, 10*time.Millisecond)
		w.Abort(errors.New("cut"))
		require.Error(t, w.Close())

		if len(unfinished(t, b, name)) != 1 {
			return "not listed by that name"
		}
		o.Resume = true
		w, err = sluice.New(t.Context(), b, name, o)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		requireContent(t, data, s.ask(t, http.MethodGet, name, ""))
		require.Empty(t, unfinished(t, b, ""))
		if w.Stats().Reused < 20<<20 {
			return "everything is sent again"
		}
		return yes
	}
}

func listed(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{})
	for _, name := range []string{"db/1 a", "db/2+b", "log/1"} {
		_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: name, Size: sluice.UnknownSize})
		require.NoError(t, err)
	}
	all := unfinished(t, b, "")
	require.Len(t, all, 3)
	if !slices.Contains(all, "db/1 a") {
		return "names are escaped"
	}
	require.Equal(t, []string{"log/1"}, unfinished(t, b, "log/1"))
	require.ElementsMatch(t, []string{"db/1 a", "db/2+b"}, unfinished(t, b, "d"))
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		f, err := b.ResumeLargeFile(t.Context(), u.Spec, u.ID)
		require.NoError(t, err)
		require.NoError(t, f.Cancel(t.Context()))
	}
	require.Empty(t, unfinished(t, b, ""))
	return yes
}

func wrongRegion(t *testing.T, s *stage) string {
	b := s.backend(t, s3backend.Options{Region: "nowhere-1"})
	_, err := upload(t.Context(), b, "a", testutil.Content(1), sluice.Options{})
	if err == nil {
		return anyRegion
	}
	require.ErrorContains(t, err, "Options.Region")
	return yes
}

func wrongPlaces(t *testing.T, s *stage) string {
	_, err := upload(t.Context(), s.backendWith(t, "nonesuch", SecretKey, s3backend.Options{}), "a", testutil.Content(1), sluice.Options{})
	if err == nil {
		return "credentials are not checked"
	}
	require.ErrorContains(t, err, "check the credentials")
	_, err = upload(t.Context(), s.backendWith(t, AccessKey, "wrong", s3backend.Options{}), "a", testutil.Content(1), sluice.Options{})
	require.ErrorContains(t, err, "check the credentials")
	require.NotContains(t, err.Error(), SecretKey)
	s.bucket = "nonesuch"
	_, err = upload(t.Context(), s.backend(t, s3backend.Options{}), "a", testutil.Content(large), sluice.Options{})
	if err == nil {
		return "a bucket that is missing is made"
	}
	require.ErrorContains(t, err, "NoSuchBucket")
	return yes
}

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/engines"
	"github.com/c1508ce4/sluice/s3backend"
)

// s3Trial is a real S3 server, found and paid for in the way of the AWS tools, with the bucket
// "backups".
func s3Trial(t *testing.T) *engines.Server {
	server, err := engines.Start(t.Context(), engines.Versitygw)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.MakeBucket("backups"))
	none := filepath.Join(t.TempDir(), "none")
	for variable, value := range map[string]string{
		"AWS_REGION": engines.Region, "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": engines.AccessKey, "AWS_SECRET_ACCESS_KEY": engines.SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
	} {
		t.Setenv(variable, value)
	}
	return server
}

// A stream of each size comes back: of one call, of several parts; one of a command that fails
// is not stored.
func TestAnS3Store(t *testing.T) {
	server := s3Trial(t)
	for _, n := range []int{0, 100, 12_000_000} {
		tr := realTrial(t)
		data := noise(n)
		tr.stdin(data)
		require.Equal(t, exitDone, tr.run("--json", "--memory", "80MiB", "--endpoint", server.URL, "--path-style", "s3://backups/db/x"), tr.stderr())
		got, err := os.ReadFile(filepath.Join(server.Data, "backups", "db", "x"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "%d bytes", n)
		require.Equal(t, "db/x", tr.object()["name"])
		require.NotEmpty(t, tr.object()["id"])

		tr.again()
		require.Equal(t, exitDone, tr.run("get", "--endpoint", server.URL, "--path-style", "--sha256", hexSHA256(data), "s3://backups/db/x"), tr.stderr())
		require.True(t, bytes.Equal(data, tr.stdout.Bytes()))
		how := "checked by its length and the sha256 kept with it and the digest given"
		if n > 5<<20 {
			// the store keeps one of the parts' digests
			how = "checked by its length and the digest given"
		}
		require.Contains(t, tr.stderr(), how)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL) // the other way to say it
	tr := realTrial(t)
	require.Equal(t, exitCommand, tr.run("--memory", "80MiB", "s3://backups/y", "--", "sh", "-c", "head -c 12000000 /dev/zero; exit 7"))
	require.NoFileExists(t, filepath.Join(server.Data, "backups", "y"))

	tr = realTrial(t)
	require.Equal(t, exitFailed, tr.run("s3://missing/y"))
	require.Contains(t, tr.stderr(), `there is no bucket "missing"`)
	require.NotContains(t, tr.stderr(), engines.SecretKey)
}

func TestS3DestinationsThatCannotBe(t *testing.T) {
	for dest, want := range map[string]string{
		"s3://":        "names no bucket",
		"s3://bucket":  "names no file",
		"s3://bucket/": "names no file",
	} {
		t.Setenv("AWS_REGION", "us-east-1")
		t.Setenv("AWS_ACCESS_KEY_ID", "id")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
		tr := realTrial(t)
		require.Equal(t, exitUsage, tr.run(dest), dest)
		require.Contains(t, tr.stderr(), want)
	}
}

func TestS3EncryptionIsWhatTheFlagsSay(t *testing.T) {
	key := []byte("a customer's key of 32 bytes ....")[:32]
	t.Setenv("S3_SSE_C_KEY", base64.StdEncoding.EncodeToString(key))
	customer, err := s3backend.EncryptCustomer(key)
	require.NoError(t, err)
	for args, want := range map[string]s3backend.Encryption{"": {}, "--sse s3": s3backend.EncryptS3(), "--sse kms --sse-kms-key k": s3backend.EncryptKMS("k"), "--sse c": customer} {
		c := parsed(t, append(strings.Fields(args), "mem://x", "--", "true")...)
		got, err := s3FileOptions(&c.store)
		require.NoError(t, err)
		// a key is not compared: it hides itself
		require.Equal(t, fmt.Sprintf("%+v", s3backend.FileOptions{Encryption: want}), fmt.Sprintf("%+v", got), args)
	}
}

// The key goes with the upload and with the download.
func TestACustomersKeyReachesAnS3Store(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600))
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	var mu sync.Mutex
	var asked []string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key"))
		w.Header().Set("Etag", `"t"`)
		w.Header().Set("Content-Length", "0")
		for _, said := range []string{"Algorithm", "Key-Md5"} {
			said = "X-Amz-Server-Side-Encryption-Customer-" + said
			w.Header().Set(said, r.Header.Get(said))
		}
	}))
	defer store.Close()
	tr := realTrial(t)
	require.Equal(t, exitDone, tr.run("--endpoint", store.URL, "--sse", "c", "--sse-key-file", file, "s3://backups/x"), tr.stderr())
	require.Equal(t, exitDone, tr.again().run("get", "--endpoint", store.URL, "--sse", "c", "--sse-key-file", file, "s3://backups/x"), tr.stderr())
	sent := base64.StdEncoding.EncodeToString(key)
	store.Close() // its handlers are done
	require.Equal(t, []string{"HEAD ", "PUT " + sent, "HEAD " + sent}, asked)
	for args, want := range map[string]string{
		"--sse c s3://backups/x":  "--sse c needs a key, in the environment variable S3_SSE_C_KEY",
		"--sse b2 s3://backups/x": "its own key is --sse s3",
	} {
		tr := realTrial(t)
		require.Equal(t, exitUsage, tr.run(strings.Fields(args)...))
		require.Contains(t, tr.stderr(), want)
	}
}

func TestTheUnfinishedFilesOfAnS3StoreAreInspectedAndCancelled(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_S3", s3Trial(t).URL)
	b, err := s3backend.New(t.Context(), "backups", nil)
	require.NoError(t, err)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "y", Size: sluice.UnknownSize})
	require.NoError(t, err)
	sum := sha256.Sum256(noise(100))
	_, err = f.UploadPart(t.Context(), sluice.NewPart(1, noise(100), sluice.Digests{{Name: "sha256", Sum: sum[:]}}))
	require.NoError(t, err)
	tr := realTrial(t)
	require.Equal(t, exitDone, tr.run("unfinished", "--parts", "s3://backups/", f.Info().ID), tr.stderr())
	require.Regexp(t, fmt.Sprintf(`^%s  20\d\d-\S*Z  y\n +1 +100  20\d\d-\S*Z  sha256:%x\n`, f.Info().ID, sum), tr.stdout.String())
	require.Equal(t, exitDone, tr.again().run("cancel", "s3://backups/y"), tr.stderr())
	require.Equal(t, exitFailed, tr.again().run("get", "s3://backups/y"))
	require.Contains(t, tr.stderr(), "file does not exist")
}

func TestS3_FileOptionsAreWhatTheFlagsSay(t *testing.T) {
	c := parsed(t, strings.Fields("--storage-class GLACIER_IR --tag a=1 --tag b=2 --retention compliance:2027-01-31T00:00:00Z --legal-hold on"+
		" --create-only --verify-options --trust-option Retention --trust-option LegalHold mem://x -- true")...)
	got, err := s3FileOptions(&c.store)
	require.NoError(t, err)
	require.Equal(t, s3backend.FileOptions{
		StorageClass: "GLACIER_IR", Tags: map[string]string{"a": "1", "b": "2"},
		Retention: s3backend.Retention{Mode: s3backend.Compliance, Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		LegalHold: s3backend.HoldOn, CreateOnly: true, Verify: true, Unverified: []string{"Retention", "LegalHold"},
	}, got)
}

// Options reach the store, and what is not so is told.
func TestS3_OptionsReachTheStore(t *testing.T) {
	server := s3Trial(t)
	access := []string{"--endpoint", server.URL, "--path-style", "--region", engines.Region, "--memory", "80MiB"}
	run := func(tr *trial, args ...string) int { return tr.run(append(args, access...)...) }
	tr := realTrial(t)
	tr.stdin(noise(100))
	require.Equal(t, exitDone, run(tr, "put", "--tag", "a=1", "--checksum", "sha256", "--max-parts", "1000", "s3://backups/x"), tr.stderr())
	tr.again().stdin(noise(100))
	require.Equal(t, exitFailed, run(tr, "put", "--create-only", "s3://backups/x"))
	require.Contains(t, tr.stderr(), "file already exists")
	require.Equal(t, exitUsage, run(tr.again(), "put", "--sse-kms-key", "k", "s3://backups/x", "--", "true"))
	require.Contains(t, tr.stderr(), "--sse-kms-key is the key of --sse kms, which is not given")
}

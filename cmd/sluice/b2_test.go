package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// newB2Trial runs the program with the destinations that it has, on a server of the test's.
func newB2Trial(t *testing.T, options *b2test.Options) (*trial, *b2test.Server) {
	if options == nil {
		options = &b2test.Options{MinPartSize: 1 << 20}
	}
	s := b2test.NewServer(options)
	t.Cleanup(func() {
		s.Close()
		if !t.Failed() {
			require.NoError(t, s.Check())
		}
	})
	t.Setenv("B2_ENDPOINT", s.URL())
	t.Setenv("B2_APPLICATION_KEY_ID", s.KeyID())
	t.Setenv("B2_APPLICATION_KEY", s.Key())
	tr := newTrial(t)
	tr.sys.schemes = destinations()
	return tr, s
}

func TestB2StoresAStreamInParts(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	data := noise(2_400_000)
	tr.stdin(data)
	require.Equal(t, exitDone, tr.run("--json", "--part-size", "1MiB", "b2://test-bucket/dir/x"), tr.stderr())
	require.Equal(t, data, b2Content(t, s, "dir/x"))
	require.EqualValues(t, 3, tr.object()["parts"])
	require.Equal(t, "dir/x", tr.object()["name"])
	require.NotEmpty(t, tr.limits, "the collector is held to the memory given")
}

func TestB2FileOptionsReachTheStore(t *testing.T) {
	for name, size := range map[string]int{"single": 10, "large": 2_400_000} {
		t.Run(name, func(t *testing.T) {
			tr, s := newB2Trial(t, nil)
			data := noise(size)
			tr.stdin(data)
			require.Equal(t, exitDone, tr.run("--part-size", "1MiB", "--content-type", "application/x-tar", "--info", "host=a",
				"--src-last-modified", "2026-11-20T03:15:00Z", "--cache-control", "no-store", "--content-disposition", "attachment",
				"--content-language", "de", "--content-encoding", "zstd", "--expires", "2027-01-31T00:00:00Z",
				"--large-file-sha1", hexSHA1(data), "b2://test-bucket/x"), tr.stderr())
			f, err := s.File("test-bucket", "x")
			require.NoError(t, err)
			require.Equal(t, "application/x-tar", f.ContentType)
			delete(f.Info, "sluice-id")
			want := map[string]string{
				"host": "a", "src_last_modified_millis": "1795144500000", "b2-cache-control": "no-store",
				"b2-content-disposition": "attachment", "b2-content-language": "de", "b2-content-encoding": "zstd",
				"b2-expires": "Sun, 31 Jan 2027 00:00:00 GMT",
			}
			if name == "large" {
				want["large_file_sha1"] = hexSHA1(data)
			}
			require.Equal(t, want, f.Info)
		})
	}
}

func TestB2ObjectLockReachesTheStore(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	_, err := s.AddBucket(b2test.Bucket{Name: "locked-bucket", FileLock: true})
	require.NoError(t, err)
	require.Equal(t, exitDone, tr.run("--retention", "compliance:30d", "--legal-hold", "on", "b2://locked-bucket/x"), tr.stderr())
	require.Equal(t, exitFailed, tr.run("--retention", "compliance:30d", "b2://test-bucket/x"), "the bucket has no Object Lock")
	require.Len(t, s.Files("locked-bucket"), 1)
}

func TestB2ProtectionIsWhatTheFlagsSay(t *testing.T) {
	key := []byte("a customer's key of 32 bytes ....")[:32]
	t.Setenv("B2_SSE_C_KEY", base64.StdEncoding.EncodeToString(key))
	given, err := customerKey("B2_SSE_C_KEY", "")
	require.NoError(t, err)
	require.Equal(t, key, given)
	customer, err := b2backend.EncryptCustomer(key)
	require.NoError(t, err)
	until := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	for args, want := range map[string]b2backend.FileOptions{
		"--sse b2":        {Encryption: b2backend.EncryptB2()},
		"--sse c":         {Encryption: customer},
		"--legal-hold on": {LegalHold: b2backend.HoldOn},
		"--retention governance:2027-01-31T00:00:00Z": {Retention: b2backend.Retention{Mode: b2backend.Governance, Until: until}},
		"--retention compliance:2027-01-31T00:00:00Z": {Retention: b2backend.Retention{Mode: b2backend.Compliance, Until: until}},
	} {
		c := parsed(t, append(strings.Fields(args), "mem://x", "--", "true")...)
		got, err := b2FileOptions(&c.store)
		require.NoError(t, err)
		// a key is not compared: it hides itself
		require.Equal(t, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got), args)
	}
}

func TestB2KeysComeFromFilesToo(t *testing.T) {
	tr, s := newB2Trial(t, nil)
	for variable, text := range map[string]string{"B2_APPLICATION_KEY_ID": s.KeyID(), "B2_APPLICATION_KEY": s.Key()} {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		t.Setenv(variable, "")
		t.Setenv(variable+"_FILE", path)
	}
	require.Equal(t, exitDone, tr.run("b2://test-bucket/x"), tr.stderr())

	// The key expires while a stream runs, and the files have another one.
	renew := b2Access(opening{flags: &storeFlags{}}).Renew
	require.NotNil(t, renew)
	credentials, err := renew(t.Context())
	require.NoError(t, err)
	require.Equal(t, "b2 key "+s.KeyID(), credentials.String())
	require.NoError(t, os.WriteFile(os.Getenv(b2KeyIDFile), []byte("another"), 0o600))
	credentials, err = renew(t.Context())
	require.NoError(t, err)
	require.Equal(t, "b2 key another", credentials.String())
}

func TestWrongUsageOfB2IsToldAndSendsNothing(t *testing.T) {
	canary := base64.StdEncoding.EncodeToString([]byte("CANARY of 30 bytes, not of 32!"))
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(canary), 0o600))
	for _, c := range []struct {
		unset string
		args  string
		says  string
	}{
		{"", "b2:///x", "names no bucket"},
		{"B2_APPLICATION_KEY_ID", "b2://test-bucket/x", "needs the environment variable B2_APPLICATION_KEY_ID,"},
		{"B2_APPLICATION_KEY", "b2://test-bucket/x", "needs the environment variable B2_APPLICATION_KEY,"},
		{"", "--sse c b2://test-bucket/x", "--sse c needs a key"},
		{"", "--sse c --sse-key-file " + file + " b2://test-bucket/x", "must be 32 bytes in base64"},
		{"", "--sse c --sse-key-file ./nosuch b2://test-bucket/x", "nosuch"},
		{"", "--sse-key-file x b2://test-bucket/x", "--sse c, which is not given"},
		{"", "--sse d b2://test-bucket/x", "--sse"},
		{"", "--sse s3 b2://test-bucket/x", "its own key is --sse b2"},
		{"", "--legal-hold maybe b2://test-bucket/x", "on or off"},
		{"", "--retention compliance b2://test-bucket/x", "MODE:UNTIL"},
		{"", "--retention strict:30d b2://test-bucket/x", "governance or compliance"},
		{"", "--retention compliance:soon b2://test-bucket/x", `"soon"`},
		{"", "--info large_file_sha1=nonsense b2://test-bucket/x", "--info large_file_sha1=nonsense: must be a SHA-1"},
		{"", "--expires tomorrow b2://test-bucket/x", "2027-01-31"},
	} {
		t.Run(c.args, func(t *testing.T) {
			tr, s := newB2Trial(t, nil)
			if c.unset != "" {
				t.Setenv(c.unset, "")
			}
			require.Equal(t, exitUsage, tr.run(strings.Fields(c.args)...))
			require.Contains(t, tr.stderr(), c.says)
			require.NotContains(t, tr.stderr(), canary)
			require.Empty(t, s.Requests())
		})
	}
}

func TestAFlagThatADestinationCannotHonourIsWrongUsage(t *testing.T) {
	for _, flag := range uploadFlags {
		value := map[string]string{
			flagExpires: "=2027-01-31", flagLastModified: "=2027-01-31", flagSSE: "=b2", flagRetention: "=compliance:1d",
			flagInfo: "=a=b", flagLegalHold: "=on", flagResume: "", flagRestart: "", flagPatient: "", flagPlainHTTP: "",
			flagPathStyle: "", flagCreateOnly: "", flagVerifyOptions: "", flagEqualParts: "", flagOpaqueETags: "", flagTag: "=a=b",
			flagChecksum: "=md5", flagMaxParts: "=1", flagMaxFile: "=1", flagMode: "=640",
			flagUploadTimestamp: "=2027-01-31", flagOmitSluiceID: "",
		}
		v, ok := value[flag]
		if !ok {
			v = "=x"
		}
		for _, s := range destinations() {
			if slices.Contains(s.flags, flag) {
				continue
			}
			tr := newTrial(t)
			tr.sys.schemes = destinations()
			require.Equal(t, exitUsage, tr.run("--"+flag+v, s.name+"://x"))
			require.Contains(t, tr.stderr(), s.name+":// cannot honour --"+flag)
		}
	}
}

func TestPatienceIsAnHourOfFailures(t *testing.T) {
	impatient, patient := b2Access(opening{flags: &storeFlags{}}), b2Access(opening{flags: &storeFlags{patient: true}})
	require.Zero(t, impatient.Retry)
	require.Equal(t, sluice.Retry{Budget: time.Hour}, patient.Retry)
}

func TestUntilIsATimeOrAnAge(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 15, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"30d":                  now.AddDate(0, 0, 30),
		"12h":                  now.Add(12 * time.Hour),
		"2027-01-31":           time.Date(2027, 1, 31, 0, 0, 0, 0, time.Local),
		"2027-01-31T10:00:00Z": time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC),
	} {
		var f storeFlags
		require.NoError(t, f.setRetention(now)("governance:"+text))
		require.True(t, want.Equal(f.retentionUntil), "%s: %v", text, f.retentionUntil)
	}
}

// b2Content is what the server holds of the newest file of the name.
func b2Content(t *testing.T, s *b2test.Server, name string) []byte {
	f, err := s.File("test-bucket", name)
	require.NoError(t, err)
	data, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	return data
}

func TestASecretInAFile_IsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	for size, want := range map[int]string{maxSecret: "", maxSecret + 1: "and is no secret", 1 << 24: "and is no secret"} {
		require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("x"), size), 0o600))
		_, err := secret("SLUICE_TEST_NONE", file)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "xxx", "what is in it is not shown")
	}
}

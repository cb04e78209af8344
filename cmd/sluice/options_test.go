package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/s3backend"
)

// optionFlags has for each option of a backend the flag that sets it, or in words what does, or
// why nothing has to.
var optionFlags = map[string]string{
	"b2.Endpoint":           "B2_ENDPOINT",
	"b2.AllowPlainHTTP":     "--" + flagPlainHTTP,
	"b2.Domains":            "--" + flagDomain,
	"b2.Renew":              "files of keys are read again",
	"b2.LastModified":       "--" + flagLastModified,
	"b2.LargeFileSHA1":      "--" + flagLargeFileSHA1,
	"b2.ContentDisposition": "--" + flagContentDisposition,
	"b2.ContentLanguage":    "--" + flagContentLanguage,
	"b2.ContentEncoding":    "--" + flagContentEncoding,
	"b2.CacheControl":       "--" + flagCacheControl,
	"b2.Expires":            "--" + flagExpires,
	"b2.UploadTimestamp":    "--" + flagUploadTimestamp,
	"b2.Retention":          "--" + flagRetention,
	"b2.LegalHold":          "--" + flagLegalHold,
	"b2.Encryption":         "--" + flagSSE,
	"b2.OmitSluiceID":       "--" + flagOmitSluiceID,

	"s3.Endpoint":           "--" + flagEndpoint,
	"s3.Region":             "--" + flagRegion,
	"s3.PathStyle":          "--" + flagPathStyle,
	"s3.Credentials":        "they come from the AWS environment and files",
	"s3.AllowPlainHTTP":     "--" + flagPlainHTTP,
	"s3.Checksum":           "--" + flagChecksum,
	"s3.MaxParts":           "--" + flagMaxParts,
	"s3.MaxFile":            "--" + flagMaxFile,
	"s3.EqualParts":         "--" + flagEqualParts,
	"s3.OpaqueETags":        "--" + flagOpaqueETags,
	"s3.CacheControl":       "--" + flagCacheControl,
	"s3.ContentDisposition": "--" + flagContentDisposition,
	"s3.ContentEncoding":    "--" + flagContentEncoding,
	"s3.ContentLanguage":    "--" + flagContentLanguage,
	"s3.StorageClass":       "--" + flagStorageClass,
	"s3.Tags":               "--" + flagTag,
	"s3.Encryption":         "--" + flagSSE,
	"s3.Retention":          "--" + flagRetention,
	"s3.LegalHold":          "--" + flagLegalHold,
	"s3.CreateOnly":         "--" + flagCreateOnly,
	"s3.Verify":             "--" + flagVerifyOptions,
	"s3.Unverified":         "--" + flagTrustOption,
	"s3.OmitSluiceID":       "--" + flagOmitSluiceID,

	"bv.Endpoint":       "BV_ENDPOINT",
	"bv.AllowPlainHTTP": "--" + flagPlainHTTP,
	"bv.Renew":          "the file of the token is read again",
	"bv.Type":           "--" + flagBVType,
	"bv.Source":         "--" + flagBVSource,
	"bv.Attributes":     "--" + flagInfo,

	"file.NoOverwrite": "--" + flagCreateOnly,
	"file.NoSync":      "a file that is reported stored must outlast a power cut",
	"file.Mode":        "--" + flagMode,
}

// ofTheProgram are options by which the program itself is connected with every backend.
var ofTheProgram = []string{"Transport", "UserAgent", "Logger", "Retry"}

func TestFlags_ReachEveryOptionOfEveryBackend(t *testing.T) {
	cmd, _ := (&program{sys: newTrial(t).sys, now: time.Now()}).putCommand()
	found := make(map[string]bool)
	for name, options := range map[string][]any{
		"b2":   {b2backend.Options{}, b2backend.FileOptions{}},
		"s3":   {s3backend.Options{}, s3backend.FileOptions{}},
		"bv":   {blendvisionbackend.Options{}, blendvisionbackend.FileOptions{}},
		"file": {filebackend.Options{}},
	} {
		for _, o := range options {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(o)) {
				if !field.IsExported() || slices.Contains(ofTheProgram, field.Name) {
					continue
				}
				option := name + "." + field.Name
				found[option] = true
				set, known := optionFlags[option]
				require.True(t, known, "%s has no flag, and no reason for having none", option)
				if flag, ok := strings.CutPrefix(set, "--"); ok {
					require.NotNil(t, cmd.Flags().Lookup(flag), option)
					require.Contains(t, schemeOf(t, name).flags, flag, option)
				}
			}
		}
	}
	for option := range optionFlags {
		require.True(t, found[option], "%s is no option", option)
	}
}

func TestFlags_UploadTimestampAndSluiceIDReachB2(t *testing.T) {
	tr, s := newB2Trial(t, &b2test.Options{MinPartSize: 1 << 20})
	tr.stdin([]byte("x"))
	require.Equal(t, exitDone, tr.run("--omit-sluice-id", "b2://test-bucket/x"), tr.stderr())
	f, err := s.File("test-bucket", "x")
	require.NoError(t, err)
	require.NotContains(t, f.Info, "sluice-id")

	c := parsed(t, "--upload-timestamp", "2020-01-31T00:00:00Z", "mem://x", "--", "true")
	o, err := b2FileOptions(&c.store)
	require.NoError(t, err)
	require.Equal(t, time.Date(2020, 1, 31, 0, 0, 0, 0, time.UTC), o.UploadTimestamp)

	c = parsed(t, "--domain", "example.com", "--domain", "example.org", "mem://x", "--", "true")
	require.Equal(t, []string{"example.com", "example.org"}, b2Access(opening{flags: &c.store}).Domains)
}

func TestFlags_CreateOnlyOfAFolder(t *testing.T) {
	tr := realTrial(t)
	path := "file://" + t.TempDir() + "/x"
	tr.stdin([]byte("first"))
	require.Equal(t, exitDone, tr.run("--create-only", path), tr.stderr())
	tr.stdin([]byte("second"))
	require.Equal(t, exitFailed, tr.again().run("--create-only", path))
	require.Equal(t, exitDone, tr.again().run("get", "-q", path))
	require.Equal(t, "first", tr.stdout.String())
}

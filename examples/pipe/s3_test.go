package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/s3server"
)

// A real S3 server, found and paid for in the way of the AWS tools, and a stream of each size: one call, several
// parts, and a command that fails.
func TestAnS3Store(t *testing.T) {
	server, err := s3server.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.MakeBucket("backups"))
	none := filepath.Join(t.TempDir(), "none")
	for variable, value := range map[string]string{
		"AWS_REGION": s3server.Region, "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": s3server.AccessKey, "AWS_SECRET_ACCESS_KEY": s3server.SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
	} {
		t.Setenv(variable, value)
	}
	for _, n := range []int{0, 100, 12_000_000} {
		tr := realTrial(t)
		data := noise(n)
		tr.stdin(data)
		require.Equal(t, exitDone, tr.run("-json", "-memory", "80MiB", "-endpoint", server.URL, "-path-style", "s3://backups/db/x"), tr.stderr())
		got, err := os.ReadFile(filepath.Join(server.Data, "backups", "db", "x"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "%d bytes", n)
		require.Equal(t, "db/x", tr.object()["name"])
		require.NotEmpty(t, tr.object()["id"])
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL) // the other way to say it
	tr := realTrial(t)
	require.Equal(t, exitCommand, tr.run("-memory", "80MiB", "s3://backups/y", "--", "sh", "-c", "head -c 12000000 /dev/zero; exit 7"))
	require.NoFileExists(t, filepath.Join(server.Data, "backups", "y"))

	tr = realTrial(t)
	require.Equal(t, exitFailed, tr.run("s3://missing/y"))
	require.Contains(t, tr.stderr(), "NoSuchBucket")
	require.NotContains(t, tr.stderr(), s3server.SecretKey)
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

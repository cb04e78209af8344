package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestRestore_ResumesAfterItIsCutOff(t *testing.T) {
	server := b2test.NewServer(nil)
	defer server.Close()
	var stderr bytes.Buffer
	require.Zero(t, run(t.Context(), server, nil, &stderr), &stderr)
	require.Regexp(t, `^restore: first run: .*the connection is broken\nrestore: second run: restored, 20000000 bytes\n$`, stderr.String())
	require.NoError(t, server.Check())
}

func TestRestore_ReportsWhatTheStoreAnswers(t *testing.T) {
	server := b2test.NewServer(nil)
	defer server.Close()
	require.NoError(t, server.Inject(b2test.Fault{Call: "b2_upload_part", Count: -1, Status: 400, Code: "bad_request", Message: "not today"}))
	var stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), server, nil, &stderr))
	require.Contains(t, stderr.String(), "not today")
}

func TestMistakesAreToldWithTheUsage(t *testing.T) {
	for _, args := range [][]string{{"data"}, {"-x"}} {
		var stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), nil, args, &stderr))
		require.Equal(t, usage, stderr.String())
	}
}

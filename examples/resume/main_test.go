package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

func TestTheSecondRunSendsOnlyWhatIsMissing(t *testing.T) {
	server := b2test.NewServer(nil)
	defer server.Close()
	var stderr bytes.Buffer
	require.Zero(t, run(t.Context(), server, nil, &stderr), &stderr)
	require.Regexp(t, `^resume: first run: .*the line is broken; large file \S+ is kept unfinished\n`+
		`resume: second run: stored, 20000000 bytes in \d+ parts; [1-9]\d* bytes were there\n$`, stderr.String())
	file, err := server.File(server.Bucket(), "data")
	require.NoError(t, err)
	want, err := io.ReadAll(source())
	require.NoError(t, err)
	got, err := io.ReadAll(file.Reader())
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.NoError(t, server.Check())
}

func TestAFailureOfTheSecondRunFinishesNothing(t *testing.T) {
	server := b2test.NewServer(nil)
	defer server.Close()
	server.ExpectUnfinished("data")
	require.NoError(t, server.Inject(b2test.Fault{Call: "b2_finish_large_file", Count: -1, Status: 400, Code: "bad_request", Message: "not today"}))
	var stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), server, nil, &stderr))
	require.Contains(t, stderr.String(), "second run: sluice: finish \"data\": b2_finish_large_file: 400 bad_request: not today")
	_, err := server.File(server.Bucket(), "data")
	require.Error(t, err)
	require.Len(t, server.Unfinished(), 1)
	require.NoError(t, server.Check())
}

func TestMistakesAreToldWithTheUsage(t *testing.T) {
	for _, args := range [][]string{{"data"}, {"-x"}} {
		var stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), nil, args, &stderr))
		require.Equal(t, usage, stderr.String())
	}
}

// Another source of the same name is not mixed with what is stored of the first.
func TestSave_RejectsAnotherSource(t *testing.T) {
	store := memorybackend.New(nil)
	broken := faults.New(store, faults.Fail(nil, faults.OnKind(faults.Finish)))
	_, _, err := save(t.Context(), broken, "f", io.LimitReader(source(), 6<<20), func(int) {})
	var e *sluice.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.LargeFile)
	_, _, err = save(t.Context(), store, "f", io.LimitReader(zeros{}, 6<<20), func(int) {})
	require.ErrorIs(t, err, sluice.ErrResumeMismatch)
	require.Len(t, store.Leftovers("f"), 1)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

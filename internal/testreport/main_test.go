package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const events = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"silent\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":0.75}
{"Action":"skip","Package":"p","Test":"TestA/no","Elapsed":0}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.5}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: NOT TESTED: no rclone\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"p","Test":"TestC","Elapsed":1.25}
{"Action":"pass","Package":"p","Elapsed":2}
# q
q.go:1:1: broken
{"Action":"output","Package":"r","Test":"TestD","Output":"    d_test.go:3: wrong\n"}
{"Action":"fail","Package":"r","Test":"TestD","Elapsed":0.1}
{"Action":"output","Package":"r","Output":"FAIL\n"}
{"Action":"fail","Package":"r","Elapsed":0.2}
`

func TestReport(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cover.out")
	require.NoError(t, os.WriteFile(profile, []byte("mode: set\n"+
		"m/p/a.go:1.1,2.2 3 0\nm/p/a.go:3.1,4.2 1 1\nm/a.go:1.1,2.2 4 0\n"+
		"m/p/a.go:1.1,2.2 3 0\nm/p/a.go:3.1,4.2 1 0\nm/a.go:1.1,2.2 4 1\n"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(strings.NewReader(events), &out, profile))
	require.Equal(t, `ok   p 2.0s
# q
q.go:1:1: broken
    d_test.go:3: wrong
FAIL

skipped: 1 tests, and 1 subtests of others
  p TestB: b_test.go:7: NOT TESTED: no rclone

slowest of 2 tests:
   1.25s p TestC
   0.75s p TestA

coverage: 62.5% of 8 statements, in the tests' own processes; least:
   25.0% m/p
  100.0% m
`, out.String())
}

func TestSilenceIsNoReport(t *testing.T) {
	require.EqualError(t, run(strings.NewReader("go: no such tool\n"), &bytes.Buffer{}, ""), "no test has reported")
}

func TestAProfileThatIsNoneIsRefused(t *testing.T) {
	_, err := coverage(strings.NewReader("mode: set\nm/a.go:1.1,2.2 4\n"))
	require.ErrorContains(t, err, `"m/a.go:1.1,2.2 4"`)
}

func TestATestThatItsProgramDiedInIsShown(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cover.out")
	require.NoError(t, os.WriteFile(profile, []byte("mode: set\nm/a.go:1.1,2.2 4 1\n"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":1}
`), &out, profile))
	require.Contains(t, out.String(), "panic: test timed out\nFAIL\n")
}

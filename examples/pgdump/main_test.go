package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/backendtest/faults"
	"github.com/c1508ce4/sluice/memorybackend"
)

// asVariable makes the test binary the command that is run.
const asVariable = "PGDUMP_TEST_AS"

// holdVariable is the address that the silent dump connects to, and whose
// connection it outlives not long.
const holdVariable = "PGDUMP_TEST_HOLD"

func TestMain(m *testing.M) {
	switch os.Getenv(asVariable) {
	case "a dump":
		fmt.Print(dump)
		fmt.Fprint(os.Stderr, "dumping")
		os.Exit(0)
	case "a dump that dies":
		fmt.Print(dump)
		os.Exit(3)
	case "an endless dump":
		for {
			if _, err := fmt.Print(dump); err != nil {
				os.Exit(4)
			}
		}
	case "a silent dump":
		fmt.Print("begun")
		conn, err := net.Dial("tcp", os.Getenv(holdVariable))
		if err != nil {
			os.Exit(4)
		}
		_, _ = io.Copy(io.Discard, conn) // until the test lets go
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var dump = strings.Repeat("INSERT INTO t VALUES (1);\n", 10_000)

// as makes every command that the test runs the one of that name, and returns its command line.
func as(t *testing.T, name string) []string {
	t.Setenv(asVariable, name)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector sleeps for a second at its end
	binary, err := os.Executable()
	require.NoError(t, err)
	return []string{binary}
}

func TestTheOutputOfACommandThatSucceedsIsStored(t *testing.T) {
	store := memorybackend.New(nil)
	var stderr bytes.Buffer
	require.Zero(t, run(t.Context(), store, append([]string{"db.dump"}, as(t, "a dump")...), &stderr), &stderr)
	require.Contains(t, stderr.String(), "dumping")
	require.Contains(t, stderr.String(), "db.dump is stored, 260000 bytes")
	data, err := fs.ReadFile(store.FS(), "db.dump")
	require.NoError(t, err)
	require.True(t, string(data) == dump)
}

func TestACommandThatFailsAfterAllItsOutputLeavesNothing(t *testing.T) {
	store := memorybackend.New(nil)
	var stderr bytes.Buffer
	require.Equal(t, 1, run(t.Context(), store, append([]string{"db.dump"}, as(t, "a dump that dies")...), &stderr))
	require.Contains(t, stderr.String(), "exit status 3")
	require.Empty(t, store.Names())
	require.Empty(t, store.Leftovers(""))
}

func TestAStoreThatFailsEndsTheCommand(t *testing.T) {
	store := memorybackend.New(nil)
	broken := faults.New(store, faults.Fail(nil, faults.OnKind(faults.StartLargeFile)))
	_, err := save(t.Context(), broken, "db.dump", as(t, "an endless dump"), io.Discard)
	require.ErrorIs(t, err, faults.ErrInjected)
	require.Empty(t, store.Names())
}

func TestTheEndOfTheContextEndsASilentCommand(t *testing.T) {
	hold, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer hold.Close()
	t.Setenv(holdVariable, hold.Addr().String())
	store := memorybackend.New(nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	errStop := errors.New("the test has seen enough")
	// The shell is killed. What it started lives on and holds its output until the test is over.
	command := []string{"sh", "-c", `"$0" 2>/dev/null & wait`, as(t, "a silent dump")[0]}
	outcome := make(chan error, 1)
	go func() {
		_, err := save(ctx, store, "db.dump", command, io.Discard)
		outcome <- err
	}()
	conn, err := hold.Accept()
	require.NoError(t, err)
	defer conn.Close()
	cancel(errStop)
	require.ErrorIs(t, <-outcome, errStop)
	require.Empty(t, store.Names())
}

func TestMistakesAreTold(t *testing.T) {
	for text, tc := range map[string]struct {
		args []string
		exit int
	}{
		"usage: pgdump NAME COMMAND": {[]string{"name"}, 2},
		"no-such-program":            {[]string{"name", "no-such-program"}, 1},
	} {
		store := memorybackend.New(nil)
		var stderr bytes.Buffer
		require.Equal(t, tc.exit, run(t.Context(), store, tc.args, &stderr), text)
		require.Contains(t, stderr.String(), text)
		require.Empty(t, store.Names())
	}
}

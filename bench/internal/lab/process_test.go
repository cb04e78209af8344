package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the processes that a test starts be this test's own program.
func TestMain(m *testing.M) {
	if (Roles{"fail": playFailure, "echo": playEcho, "source": PlaySource}).Play(os.Args) {
		return
	}
	os.Exit(m.Run())
}

const complaints = 1000

// playFailure complains at length before it fails.
func playFailure(_ context.Context, spec json.RawMessage) (any, error) {
	for range complaints {
		fmt.Fprintln(os.Stderr, string(spec))
	}
	return nil, errors.New("has had enough")
}

// playEcho returns the spec with what came on stdin.
func playEcho(_ context.Context, spec json.RawMessage) (any, error) {
	in, err := io.ReadAll(os.Stdin)
	return string(spec) + " of " + fmt.Sprint(len(in)), err
}

func TestTheResultOfAPipedProcessIsDecoded(t *testing.T) {
	client, err := Command(t.Context(), "echo", 7)
	require.NoError(t, err)
	source, err := Command(t.Context(), "source", 3<<20)
	require.NoError(t, err)
	var said string
	u, err := Run(client, source, &said)
	require.NoError(t, err)
	require.Equal(t, "7 of 3145728", said)
	require.Positive(t, u.Wall)
}

// Both write to stderr at the same time, which is told apart.
func TestTwoProcessesThatFailAreHeardOneByOne(t *testing.T) {
	consumer, err := Command(t.Context(), "fail", "consumer")
	require.NoError(t, err)
	producer, err := Command(t.Context(), "fail", "producer")
	require.NoError(t, err)
	_, err = Run(consumer, producer, nil)
	require.Error(t, err)
	for _, name := range []string{"consumer", "producer"} {
		require.Contains(t, err.Error(), strings.Repeat(fmt.Sprintf("%q\n", name), complaints)+"role:fail: has had enough")
	}
}

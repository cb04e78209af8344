package httpx

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestTooManyRequestsSlowStreamsDown(t *testing.T) {
	for status, slows := range map[int]bool{429: true, 503: true, 500: false, 408: false, 400: false} {
		require.Equal(t, slows, SlowDown(sluice.ErrSlowDown, status), status)
		require.False(t, SlowDown(io.EOF, status), status)
	}
}

func TestFailedCallsAreNamed(t *testing.T) {
	broken := &TransportError{"upload", io.ErrUnexpectedEOF}
	require.EqualError(t, broken, "upload: unexpected EOF")
	require.ErrorIs(t, broken, io.ErrUnexpectedEOF)
	require.EqualError(t, &AnswerError{"upload", "no file id"}, "upload: unusable answer: no file id")
	require.NoError(t, errors.Unwrap(&AnswerError{"upload", "no file id"}))
}

func TestARefusalSaysWhatIsKnownOfIt(t *testing.T) {
	require.Equal(t, "upload: 503 busy: try later", Refusal("upload", 503, "busy", "try later"))
	require.Equal(t, "upload: 503 busy", Refusal("upload", 503, "busy", ""))
	require.Equal(t, "upload: 502 Bad Gateway", Refusal("upload", 502, "", ""))
}

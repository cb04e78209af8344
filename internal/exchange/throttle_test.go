package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// transportFunc is a transport made of a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// swallow is a transport that reads the request as net/http does, and answers.
func swallow(got *bytes.Buffer) transportFunc {
	return func(r *http.Request) (*http.Response, error) {
		defer r.Body.Close()
		if _, err := io.Copy(got, struct{ io.Reader }{r.Body}); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}
}

func TestEveryByteOfAPartIsReservedBeforeItIsSent(t *testing.T) {
	data := bytes.Repeat([]byte("sluice"), 100_000)
	var got bytes.Buffer
	reserved := 0
	rt := Throttle(swallow(&got), 1000, func(n int) time.Duration {
		require.Equal(t, reserved, got.Len(), "nothing is sent before it is reserved, nor reserved before it is needed")
		require.LessOrEqual(t, n, 1000)
		reserved += n
		return 0
	})
	_, err := send(t.Context(), once, rt, testTarget, sluice.NewPart(1, data, nil))
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got.Bytes()))
	require.Equal(t, len(data), reserved)
}

func TestARequestThatIsNoPartIsNotHeldBack(t *testing.T) {
	var got bytes.Buffer
	rt := Throttle(swallow(&got), 1, func(int) time.Duration {
		t.Error("reserved")
		return time.Hour
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, testTarget, strings.NewReader("small"))
	require.NoError(t, err)
	resp, err := rt.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, "small", got.String())
}

func TestAPartThatIsHeldBackHasNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		rt := Throttle(swallow(&got), 1, func(int) time.Duration { return time.Hour })
		p := once
		p.Stall = 2 * time.Second
		began := time.Now()
		_, err := send(t.Context(), p, rt, testTarget, sluice.NewPart(1, []byte("four"), nil))
		require.NoError(t, err)
		require.Equal(t, 4*time.Hour, time.Since(began))
	})
}

// What holds bytes back lets go at once when the server answers early, and when the context ends.
func TestAWaitEndsWithItsRequest(t *testing.T) {
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		rt   transportFunc
		want error
	}{
		"answered early": {rt: func(r *http.Request) (*http.Response, error) {
			read := make(chan error)
			go func() {
				_, err := r.Body.Read(make([]byte, 10))
				read <- err
			}()
			time.Sleep(time.Second)
			_ = r.Body.Close()
			require.ErrorIs(t, <-read, context.Canceled)
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
		}},
		"given up": {rt: swallow(new(bytes.Buffer)), want: cause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				if c.want != nil {
					time.AfterFunc(time.Second, func() { cancel(c.want) })
				}
				began := time.Now()
				_, err := send(ctx, once, Throttle(c.rt, 10, func(int) time.Duration { return time.Hour }), testTarget, sluice.NewPart(1, []byte("four"), nil))
				require.ErrorIs(t, err, c.want)
				require.Equal(t, time.Second, time.Since(began))
				cancel(nil)
			})
		})
	}
}

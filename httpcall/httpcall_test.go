package httpcall_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/httpcall"
)

// newClient returns a client that makes three attempts, and the URL of a server.
func newClient(t *testing.T, serve http.HandlerFunc) (*httpcall.Client, string) {
	server := httptest.NewServer(serve)
	transport := httpcall.NewTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	client, err := httpcall.New(transport, sluice.Retry{Attempts: 3, MaxWait: 1})
	require.NoError(t, err)
	return client, server.URL
}

func to(address string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodPut, address, nil)
	}
}

func TestDo_SendsThePartAndReadsTheAnswer(t *testing.T) {
	client, address := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %s", r.ContentLength, got)
	})
	var answer []byte
	err := client.Do(t.Context(), sluice.NewPart(1, []byte("content"), nil), to(address), func(resp *http.Response) (err error) {
		answer, err = io.ReadAll(resp.Body)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, "7 content", string(answer))
}

func TestDo_RepeatsWhatMayPass(t *testing.T) {
	for status, attempts := range map[int]int32{
		http.StatusOK: 1, http.StatusFound: 1, http.StatusNotFound: 1, http.StatusPreconditionFailed: 1,
		http.StatusRequestTimeout: 3, http.StatusTooManyRequests: 3, http.StatusInternalServerError: 3, http.StatusServiceUnavailable: 3,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var made atomic.Int32
			client, address := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				made.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "why\x1b[2J")
			})
			err := client.Do(t.Context(), sluice.NewPart(1, []byte("x"), nil), to(address), nil)
			require.Equal(t, attempts, made.Load())
			if status == http.StatusOK {
				require.NoError(t, err)
				return
			}
			refused, ok := errors.AsType[*httpcall.StatusError](err)
			require.True(t, ok)
			require.Equal(t, status, refused.Status)
			require.Equal(t, status == 429 || status == 503, errors.Is(err, sluice.ErrSlowDown))
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func TestDo_RepeatsAnAnswerThatIsNotUsable(t *testing.T) {
	client, address := newClient(t, func(http.ResponseWriter, *http.Request) {})
	attempts := 0
	err := client.Do(t.Context(), nil, to(address), func(*http.Response) error {
		if attempts++; attempts < 3 {
			return errors.New("garbled")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, attempts)
}

// The server answers before it has read the body, and the transport may still be
// reading it then.
func TestDo_LeavesThePartAloneAfterIt(t *testing.T) {
	client, address := newClient(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	data := bytes.Repeat([]byte("x"), 8<<20)
	for range 20 {
		err := client.Do(t.Context(), sluice.NewPart(1, data, nil), to(address), nil)
		require.Error(t, err)
		clear(data) // the race detector sees a goroutine that still reads
	}
}

func TestDo_KeepsCredentialsOfTheURLOutOfErrors(t *testing.T) {
	client, err := httpcall.New(nil, sluice.Retry{Attempts: 1})
	require.NoError(t, err)
	err = client.Do(t.Context(), nil, to("http://user:SECRET@127.0.0.1:1/path?signature=SECRET"), nil)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SECRET")
	require.Contains(t, err.Error(), "127.0.0.1:1/path")
}

// A server may quote what it was sent.
func TestDo_KeepsCredentialsThatTheServerQuotesOutOfErrors(t *testing.T) {
	for name, status := range map[string]int{"a refusal": http.StatusForbidden, "an answer that is not usable": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			client, address := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				_, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				w.WriteHeader(status)
				fmt.Fprintln(w, "quoted:", r.URL.RawQuery, r.URL.Query().Get("signature"), credentials, password, strings.Repeat(" ", 100), r.URL.RawQuery)
			})
			address = strings.TrimPrefix(address, "http://")
			for _, header := range []string{"", "Bearer SECRET-TOKEN", "Basic dXNlcjpTRUNSRVQtUEFTU1dPUkQ="} {
				request := func(ctx context.Context) (*http.Request, error) {
					req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://user:SECRET-PASSWORD@"+address+"/path?signature=SECRET%2BSIGNATURE", nil)
					if header != "" {
						req.Header.Set("Authorization", header)
					}
					return req, err
				}
				err := client.Do(t.Context(), nil, request, func(resp *http.Response) error {
					body, _ := io.ReadAll(resp.Body)
					return errors.New(string(body))
				})
				require.ErrorContains(t, err, "quoted: [redacted]")
				require.NotContains(t, err.Error(), "SECRET")
				require.NotContains(t, err.Error(), "dXNlcjpT")
			}
		})
	}
}

func TestDo_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	client, address := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		cancel(why)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	err := client.Do(ctx, nil, to(address), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, why)
}

func TestNew_RejectsNegativeRetries(t *testing.T) {
	_, err := httpcall.New(nil, sluice.Retry{Attempts: -1})
	require.ErrorContains(t, err, "-1")
}

package b2backend_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
)

// unending is an answer that does not end.
type unending struct{ read int }

func (e *unending) Read(q []byte) (int, error) {
	e.read += len(q)
	return len(q), nil
}

func (*unending) Close() error { return nil }

func TestAnAnswerThatDoesNotEndIsCut(t *testing.T) {
	for _, status := range []int{200, 400, 503} {
		answer := new(unending)
		_, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id", Key: "key"}, "bucket", &b2backend.Options{
			Retry: sluice.Retry{Attempts: 1},
			Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: answer, Request: req}, nil
			}),
		})
		require.Error(t, err)
		require.Less(t, len(err.Error()), 1000)
		require.Less(t, answer.read, 16<<20)
	}
}

// A certificate that nobody vouches for ends the login before anything is sent.
func TestCertificatesAreVerified(t *testing.T) {
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id", Key: "key"}, "bucket",
		&b2backend.Options{Endpoint: server.URL, Retry: sluice.Retry{Attempts: 1}})
	require.ErrorContains(t, err, "certificate")
	require.Zero(t, asked)
}

// A service that sends its clients elsewhere gets the credentials nowhere.
func TestNoCallFollowsARedirect(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	for _, call := range fuzzedCalls {
		real := &fake{answers: map[string]func(*http.Request) (int, string){
			call: func(*http.Request) (int, string) { return http.StatusPermanentRedirect, "0|" + other.URL },
		}}
		hosts := map[string]bool{}
		everyCall(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			hosts[req.URL.Host] = true
			return real.RoundTrip(req)
		}))
		delete(hosts, "api.backblazeb2.com")
		delete(hosts, "api.test")
		delete(hosts, "pod.test")
		require.Empty(t, hosts, call)
	}
	require.Zero(t, asked)
}

// The endpoint of the login, the API and the uploads must all be such that nobody listens.
func TestPlainHTTPIsRefusedOffThisMachine(t *testing.T) {
	_, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id", Key: "key"}, "bucket", &b2backend.Options{Endpoint: "http://api.test"})
	require.ErrorContains(t, err, "plain http would show the credentials")
	for _, call := range []string{"b2_authorize_account", "b2_get_upload_url", "b2_get_upload_part_url"} {
		real := &fake{answers: map[string]func(*http.Request) (int, string){
			call: func(*http.Request) (int, string) {
				return 200, `{"accountId":"acc","authorizationToken":"TOKEN","uploadUrl":"http://pod.test/b2_upload_part","fileId":"large",` +
					`"apiInfo":{"storageApi":{"apiUrl":"http://api.test","absoluteMinimumPartSize":100,"allowed":{"buckets":[{"id":"b","name":"bucket"}]}}}}`
			},
		}}
		errs := everyCall(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			require.Equal(t, "https", req.URL.Scheme)
			return real.RoundTrip(req)
		}))
		require.NotEmpty(t, errs, call)
	}
}

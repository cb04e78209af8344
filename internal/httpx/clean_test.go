package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const canary = "CANARY-SECRET"

func TestCleanCutsWhatAURLCarries(t *testing.T) {
	presigned := "https://user:" + canary + "@store.test/bucket/key?X-Signature=" + canary + "#" + canary
	inner := &url.Error{Op: "Put", URL: presigned, Err: context.DeadlineExceeded}
	for name, err := range map[string]error{
		"alone":   inner,
		"wrapped": fmt.Errorf("part 3: %w", inner),
		"joined":  errors.Join(errors.New("first"), fmt.Errorf("second: %w", inner)),
		"nested":  &url.Error{Op: "Post", URL: "https://proxy.test/?token=" + canary, Err: inner},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, err.Error(), canary, "the test tests something")
			clean := Clean(err)
			for _, text := range []string{clean.Error(), fmt.Sprintf("%v %+v %#v %q", clean, clean, clean, clean)} {
				require.NotContains(t, text, canary)
			}
			require.Contains(t, clean.Error(), "https://store.test/bucket/key")
			require.ErrorIs(t, clean, context.DeadlineExceeded)
			var u *url.Error
			require.NotErrorAs(t, clean, &u, "the uncut error is out of reach")
		})
	}
}

func TestCleanCutsSecretsFromAnyText(t *testing.T) {
	clean := Clean(fmt.Errorf("more than one upload using auth token %s: %w", canary, context.Canceled), "", canary)
	require.EqualError(t, clean, "more than one upload using auth token [redacted]: context canceled")
	require.ErrorIs(t, clean, context.Canceled)
}

func TestCleanLeavesAnInnocentErrorAlone(t *testing.T) {
	require.NoError(t, Clean(nil, canary))
	err := &url.Error{Op: "Get", URL: "https://store.test/path", Err: context.Canceled}
	require.Equal(t, error(err), Clean(err, canary))
}

func TestCheckURLRefusesToSendCredentialsInTheClear(t *testing.T) {
	for _, ok := range []string{
		"https://api.store.test", "https://api.store.test:8443/x",
		"http://127.0.0.1:80", "http://localhost:1234", "http://[::1]:80",
	} {
		_, err := CheckURL(ok, false)
		require.NoError(t, err, ok)
	}
	for raw, want := range map[string]string{
		"http://api.store.test/p?q=" + canary:  "URL http://api.store.test/p: plain http would show the credentials to the network; use https",
		"http://127.0.0.1.evil.test":           "URL http://127.0.0.1.evil.test: plain http would show the credentials to the network; use https",
		"ftp://api.store.test":                 "URL ftp://api.store.test: scheme is neither https nor http",
		"https://me:" + canary + "@store.test": "URL https://store.test carries a user",
		"api.store.test":                       `"api.store.test" is not a URL with a host`,
		"":                                     `"" is not a URL with a host`,
		"https://":                             `"https:" is not a URL with a host`,
		"https://store.test:port?s=" + canary:  `"[unreadable URL]" is not a URL with a host`,
		"me:" + canary + "@store.test:9000":    `"me:store.test:9000" is not a URL with a host`,
		"me:x@" + canary + "@store.test?y":     `"me:store.test" is not a URL with a host`,
		"https:/me:" + canary + "@store.test":  `"https:store.test" is not a URL with a host`,
		"https//me:" + canary + "@store.test":  `"store.test" is not a URL with a host`,
		"localhost:9000":                       `"localhost:9000" is not a URL with a host`,
	} {
		_, err := CheckURL(raw, false)
		require.EqualError(t, err, want, raw)
	}
	_, err := CheckURL("http://api.store.test", true)
	require.NoError(t, err, "asked for")
}

func TestClean_MakesErrorsPrintableAndBounded(t *testing.T) {
	ugly := errors.New("status \x1b[2J\u009b\u202e\n" + strings.Repeat("x", 4<<20) + canary)
	require.EqualError(t, Clean(ugly, canary), `status \u001b[2J\u009b\u202e `+strings.Repeat("x", 4<<10-len(`status \u001b[2J\u009b\u202e `))+"…")
}

// What an error is must be known also where its text had to be cut.
func TestClean_LeavesTheClassOfAnError(t *testing.T) {
	for name, err := range map[string]error{
		"a certificate": &tls.CertificateVerificationError{Err: errors.New("it is valid for \x1b[2J" + canary)},
		"no connection": Unsent(&net.OpError{Op: "dial", Err: errors.New("lookup \u202e" + canary)}),
	} {
		clean := Clean(Clean(fmt.Errorf("call: %w", err)), canary)
		require.NotContains(t, clean.Error(), canary)
		require.True(t, NeverSent(clean), name)
		require.True(t, NeverSent(&TransportError{Call: "call", Err: clean}), name)
		require.Equal(t, name == "a certificate", Untrusted(clean))
	}
	require.False(t, NeverSent(Clean(errors.New("reset \x1b"))))
}

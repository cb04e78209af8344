package httpx

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestHosts_KeepRequestsWhereTheServiceIs(t *testing.T) {
	domains := []string{"store.test", "other.test"}
	for _, c := range []struct {
		endpoint  string
		plainHTTP bool
		domains   []string
		raw       string
		want      string // "": allowed
	}{
		{"https://api.test", false, nil, "https://anywhere.test/x?y", ""},
		{"https://api.test", false, nil, "http://anywhere.test", "plain http would show"},
		{"https://api.test", true, nil, "http://anywhere.test", ""},
		{"https://api.test", false, nil, "http://127.0.0.1:80/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://127.0.0.1:80/x", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://127.8.8.8", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://[::1]:443", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://[::ffff:127.0.0.1]", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://0.0.0.0", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://[::]", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://LocalHost", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://localhost.", "must not send requests to this machine"},
		{"https://api.test", false, nil, "https://x.localhost", "must not send requests to this machine"},
		{"https://api.test", false, nil, "http://x.localhost", "plain http would show"},
		{"https://api.test", true, nil, "http://[::1%25lo]:80/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://[fe80::1%25eth0]/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://127.0.0.1.:80/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://127.1/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://0x7f.1/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://0x7f000001/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://2130706433/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://0177.0.0.1/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://169.254.169.254/x", "must not send requests to this machine"},
		{"https://api.test", true, nil, "http://x.7/x", "must not send requests to this machine"},
		{"https://127.0.0.1.api.test", false, nil, "http://127.0.0.1", "must not send requests to this machine"},
		{"http://127.0.0.1:8080", false, nil, "http://127.0.0.1:9090", ""},
		{"http://localhost:8080", false, nil, "http://[::1]:9090", ""},
		{"http://127.0.0.1:8080", false, nil, "http://anywhere.test", "plain http would show"},
		{"http://127.0.0.1:8080", false, nil, "https://anywhere.test", ""},
		{"https://api.store.test", false, domains, "https://store.test", ""},
		{"https://api.store.test", false, domains, "https://pod-1.STORE.test/x", ""},
		{"https://api.store.test", false, domains, "https://other.test", ""},
		{"https://api.store.test", false, domains, "https://evilstore.test", "outside the service's domains, store.test and other.test"},
		{"https://api.store.test", false, domains, "https://store.test.evil.test", "outside the service's domains"},
		{"https://api.store.test", false, domains, "https://store.test@evil.test", "carries a user"},
		{"https://api.store.test", false, domains, "https://127.0.0.1", "must not send requests to this machine"},
		{"https://api.store.test", true, domains, "http://evil.test", "outside the service's domains"},
		{"http://127.0.0.1", false, domains, "http://127.0.0.1", "outside the service's domains"},
	} {
		_, err := NewHosts(c.endpoint, c.plainHTTP, c.domains).Check(c.raw)
		if c.want == "" {
			require.NoError(t, err, "%+v", c)
			continue
		}
		require.ErrorContains(t, err, c.want, "%+v", c)
	}
}

func TestHosts_RefuseWithPrintableAndBoundedErrors(t *testing.T) {
	for _, raw := range []string{"http://\u202eevil.test/" + strings.Repeat("x", 1<<20), "https://127.0.0.1/\u009b?" + strings.Repeat("x", 1<<20), "\x1b[2J", "\u202e"} {
		_, err := NewHosts("https://api.test", false, nil).Check(raw)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 2000)
		require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsGraphic(r) }), "%q", err)
	}
}

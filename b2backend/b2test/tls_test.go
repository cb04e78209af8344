package b2test_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

func TestEveryEndpointSpeaksTLS(t *testing.T) {
	s := newServer(t, &b2test.Options{TLS: true, Bandwidth: 1 << 30})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/b2api/v2/b2_authorize_account", nil)
	require.NoError(t, err)
	req.SetBasicAuth(s.KeyID(), s.Key())
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var login struct{ APIURL, DownloadURL, AuthorizationToken string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&login))

	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, login.APIURL+"/b2api/v2/b2_get_upload_url",
		strings.NewReader(`{"bucketId":"`+s.BucketID()+`"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", login.AuthorizationToken)
	resp, err = client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var upload struct{ UploadURL string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&upload))

	for _, url := range []string{s.URL(), login.APIURL, login.DownloadURL, upload.UploadURL} {
		require.Regexp(t, "^https://", url)
		resp, err := client.Get(url)
		require.NoError(t, err, "the certificate is good for it")
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 1, resp.ProtoMajor)
	}
}

func TestAServerWithoutTLSHasNoCertificate(t *testing.T) {
	require.Nil(t, newServer(t, nil).Certificate())
}

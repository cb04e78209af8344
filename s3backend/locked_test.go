package s3backend

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

func TestRemove_SaysUntilWhenObjectLockKeepsAFile(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>")
			return
		}
		for name, value := range map[string]string{
			"Etag": `"t"`, "Content-Length": "5", "X-Amz-Version-Id": "v1", "X-Amz-Object-Lock-Mode": "GOVERNANCE",
			"X-Amz-Object-Lock-Retain-Until-Date": "2999-01-31T00:00:00Z", "X-Amz-Object-Lock-Legal-Hold": "ON",
		} {
			w.Header().Set(name, value)
		}
	}))
	defer store.Close()
	b, err := New(t.Context(), "bucket", &Options{Endpoint: store.URL, Region: "r", Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", "key", ""))})
	require.NoError(t, err)
	f, err := b.Stat(t.Context(), "x")
	require.NoError(t, err)
	err = b.Remove(t.Context(), f)
	require.ErrorContains(t, err, "AccessDenied")
	require.ErrorIs(t, err, sluice.ErrLocked)
	require.ErrorContains(t, err, "; Object Lock (governance) keeps it until 2999-01-31T00:00:00Z; a legal hold keeps it")
}

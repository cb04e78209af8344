package b2backend_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
)

func hexOf(sum []byte) string { return hex.EncodeToString(sum) }

// canaries are the secrets of a session: the application key, the account token, an upload token and a customer's
// encryption key, in the forms in which they travel.
var (
	customerKey = []byte("CANARY-CUSTOMER-KEY-32-BYTES-!!!")
	canaries    = []string{
		"CANARY-APPLICATION-KEY", "CANARY-ACCOUNT-TOKEN", "CANARY-UPLOAD-TOKEN",
		base64.StdEncoding.EncodeToString([]byte("id:CANARY-APPLICATION-KEY")),
		base64.StdEncoding.EncodeToString(customerKey), string(customerKey),
	}
)

func requireNoCanary(t *testing.T, text string) {
	t.Helper()
	for _, c := range canaries {
		require.NotContains(t, text, c)
	}
	require.NotContains(t, text, "CANARY")
}

// printed is a value by every verb.
func printed(v any) string {
	var text strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		fmt.Fprintf(&text, verb+"\n", v)
	}
	return text.String()
}

// leaky is a service that quotes everything it was sent, in every way that a failure can show.
type leaky struct {
	way  int
	only string // the call that fails; the others work
}

var leakyWays = []string{"code and message", "transport error", "URL of a transport error", "unusable answer", "concurrent use", "login refused", "Location"}

func (l *leaky) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body.Close()
	}
	call := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Location": {"https://x.test/?" + req.Header.Get("Authorization")}},
			Body: io.NopCloser(strings.NewReader(body)), Request: req,
		}, nil
	}
	if call != l.only {
		known := strings.NewReplacer("TOKEN", "CANARY-ACCOUNT-TOKEN").Replace(fakeAnswers[call])
		if strings.HasPrefix(call, "b2_get_upload") {
			known = strings.Replace(fakeAnswers[call], "UPTOKEN", "CANARY-UPLOAD-TOKEN", 1)
		}
		return answer(http.StatusOK, known)
	}
	var sent bytes.Buffer
	_ = req.Header.Write(&sent)
	sent.Write(body)
	_, key, _ := req.BasicAuth()
	sent.WriteString(key)
	quoted, _ := json.Marshal(sent.String())
	token := req.Header.Get("Authorization")
	switch l.way {
	case 0:
		return answer(400, fmt.Sprintf(`{"code":%s,"message":%s}`, quoted, quoted))
	case 1:
		return nil, fmt.Errorf("wrote %s", sent.String())
	case 2:
		return nil, &url.Error{Op: "Post", URL: "https://u:" + token + "@x.test/p?a=" + token + "#" + token, Err: io.ErrUnexpectedEOF}
	case 3:
		return answer(200, sent.String())
	case 4:
		return answer(400, fmt.Sprintf(`{"code":"auth_token_limit","message":"more than one upload using auth token %s"}`, token))
	case 5:
		return answer(401, fmt.Sprintf(`{"code":"expired_auth_token","message":%s}`, quoted))
	default:
		return answer(307, "")
	}
}

// Whatever a service quotes, no secret gets into an error, a log, or what fmt prints.
func TestNoSecretLeaves(t *testing.T) {
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	for _, call := range []string{
		"b2_authorize_account", "b2_get_upload_url", "b2_upload_file", "b2_start_large_file", "b2_get_upload_part_url", "b2_upload_part",
		"b2_finish_large_file", "b2_cancel_large_file", "b2_list_unfinished_large_files", "b2_copy_part", "b2_copy_file",
	} {
		for way, name := range leakyWays {
			t.Run(call+" "+name, func(t *testing.T) {
				var log bytes.Buffer
				logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				credentials := b2backend.Credentials{KeyID: "id", Key: "CANARY-APPLICATION-KEY"}
				var errs []error
				b, err := b2backend.New(t.Context(), credentials, "bucket", &b2backend.Options{
					Transport: &leaky{way: way, only: call}, Logger: logger, Retry: sluice.Retry{Attempts: 3, MaxWait: time.Millisecond},
				})
				if errs = append(errs, err); err == nil {
					b = b.With(b2backend.FileOptions{Encryption: encryption})
					_, err := b.UploadFile(t.Context(), spec("file"), part(0, content(10)))
					errs = append(errs, err)
					_, err = b.CopyFile(t.Context(), spec("copy"), b2backend.Source{FileID: "x", Encryption: encryption})
					errs = append(errs, err)
					for _, err := range b.Unfinished(t.Context(), "") {
						errs = append(errs, err)
					}
					large, err := b.StartLargeFile(t.Context(), spec("file"))
					if errs = append(errs, err); err == nil {
						_, err := large.UploadPart(t.Context(), part(1, content(100)))
						errs = append(errs, err)
						_, err = large.(*b2backend.LargeFile).CopyPart(t.Context(), 1, b2backend.Source{FileID: "x", Encryption: encryption})
						errs = append(errs, err)
						p := part(1, content(100))
						r := sluice.Receipt{Number: 1, Size: 100, Digests: p.Digests}
						r2 := r
						r2.Number = 2
						_, err = large.Finish(t.Context(), []sluice.Receipt{r, r2}, nil)
						errs = append(errs, err, large.Cancel(t.Context()))
						logger.Info("values", "large", large, "info", large.Info())
					}
					logger.Info("values", "backend", b, "limits", b.Limits())
					requireNoCanary(t, printed(b))
				}
				failed := false
				for _, err := range errs {
					failed = failed || err != nil
					logger.Info("failed", "error", err)
					requireNoCanary(t, printed(err))
				}
				require.True(t, failed, "the fault befell nothing")
				requireNoCanary(t, log.String())
			})
		}
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	credentials := b2backend.Credentials{KeyID: "id", Key: canaries[0]}
	options := b2backend.FileOptions{Encryption: encryption}
	for _, v := range []any{credentials, &credentials, encryption, &encryption, options, &options, []any{credentials, encryption}} {
		text := printed(v)
		requireNoCanary(t, text)
		require.NotContains(t, strings.ToLower(text), hex.EncodeToString(customerKey[:8]))
		require.NotContains(t, text, "67 65 78", "CAN in decimal")
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		if _, ok := v.([]any); !ok { // what JSON does to a slice is the caller's business
			requireNoCanary(t, log.String())
		}
	}
	require.Equal(t, "b2 key id", credentials.String())
	require.Equal(t, "SSE-C (key redacted)", encryption.String())
	require.Equal(t, "SSE-B2", b2backend.EncryptB2().String())
	require.Equal(t, "bucket default", b2backend.Encryption{}.String())
	_, err = b2backend.EncryptCustomer(customerKey[:31])
	require.EqualError(t, err, "b2backend: customer key of 31 bytes; AES-256 takes 32")
}

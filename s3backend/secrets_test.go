package s3backend

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
)

const (
	canarySecret  = "canary-secret-key"
	canarySession = "canary-session-token"
	canaryKey     = "canary-customer-key-of-32-bytes!"
)

// signature is what a signature looks like.
var signature = regexp.MustCompile(`[0-9a-f]{64}`)

// A server that throws back whatever it was sent, into errors of every kind, gives no secret away.
func TestSecretsAreInNoErrorLogOrString(t *testing.T) {
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	echo := func(r *http.Request) string {
		var text strings.Builder
		for name, values := range r.Header {
			if name != "X-Amz-Content-Sha256" && name != "X-Amz-Checksum-Sha256" { // which are no secrets
				fmt.Fprintf(&text, "%s: %s; ", name, values)
			}
		}
		fmt.Fprint(&text, canarySecret)
		return text.String()
	}
	for name, strike := range map[string]strike{
		"in the message": func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			drain(r)
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `<Error><Code>SlowDown</Code><Message>%s</Message><SignatureProvided>%s</SignatureProvided><StringToSign>%s</StringToSign></Error>`, echo(r), echo(r), echo(r))
		},
		"in the code": func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			drain(r)
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `<Error><Code>%s</Code><RequestId>%s</RequestId></Error>`, echo(r), echo(r))
		},
		"in headers": func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			drain(r)
			w.Header().Set("X-Amz-Request-Id", echo(r))
			w.Header().Set("X-Amz-Bucket-Region", echo(r))
			w.WriteHeader(http.StatusMovedPermanently)
		},
		"in a success that is none": func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			drain(r)
			w.Header().Set("Etag", "t")
			w.Header().Set("X-Amz-Checksum-Sha256", echo(r))
			fmt.Fprint(w, "<"+echo(r)+">")
		},
		"no HTTP": func(t *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
			drain(r)
			conn, _, err := w.(http.Hijacker).Hijack()
			require.NoError(t, err)
			_, _ = io.WriteString(conn, echo(r)+"\r\n\r\n")
			_ = conn.Close()
		},
		"hangs up": func(t *testing.T, w http.ResponseWriter, _ *http.Request, _ http.Handler) { hangUp(t, w) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, false, &fault{strike: strike})
			var log bytes.Buffer
			o := &Options{
				Endpoint: p.URL, Region: "us-east-1", Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond},
				Credentials: credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession),
				Logger:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			}
			plain, err := New(t.Context(), "data", o)
			require.NoError(t, err)
			b := plain.With(FileOptions{Encryption: customer})
			f := b.open("u1", "a", nil)
			data := random(10)
			said := []any{b, *b, b.options, customer, f}
			_, err = stream(t.Context(), b, "a", data)
			said = append(said, err)
			_, err = b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
			said = append(said, err)
			_, err = b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}, "u1")
			said = append(said, err)
			r, err := f.UploadPart(t.Context(), part(1, data))
			said = append(said, err, r)
			said = append(said, f.Cancel(t.Context()))
			_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 10, Tag: "t"}}, nil)
			said = append(said, err)
			for _, err := range b.Unfinished(t.Context(), "") {
				said = append(said, err)
			}
			b.client.log.Info("all", slog.Any("backend", b), slog.Any("key", customer))
			var text strings.Builder
			text.WriteString(log.String())
			errs := 0
			for _, v := range said {
				if err, ok := v.(error); ok && err != nil {
					errs++
				}
				fmt.Fprintf(&text, "%v\n%+v\n%#v\n%s\n", v, v, v, v)
			}
			require.GreaterOrEqual(t, errs, 6)
			for _, secret := range []string{canarySecret, canarySession, canaryKey, base64.StdEncoding.EncodeToString([]byte(canaryKey))} {
				require.NotContains(t, text.String(), secret)
			}
			require.NotRegexp(t, signature, text.String())
			if name == "in the message" {
				require.Contains(t, text.String(), exchange.Redacted)
			}
		})
	}
}

// drain reads a request whole.
func drain(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		header []string
		want   string
	}{
		{403, "RequestTimeTooSkewed", []string{"Date", time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat)}, "this machine's clock differs from the store's by 20m"},
		{403, "SignatureDoesNotMatch", nil, "check the credentials"},
		{403, "InvalidAccessKeyId", nil, "check the credentials"},
		{301, "PermanentRedirect", []string{"X-Amz-Bucket-Region", "eu-west-3"}, "the bucket is in region eu-west-3: set Options.Region"},
		{400, "AuthorizationHeaderMalformed", []string{"X-Amz-Bucket-Region", "eu-west-3"}, "set Options.Region"},
		{404, "NoSuchBucket", nil, "PutObject: 404 NoSuchBucket: by the proxy (request R1)"},
	} {
		t.Run(c.code, func(t *testing.T) {
			p := newProxy(t, false, &fault{strike: answer(c.status, c.code, c.header...)})
			b := newBackend(t, p.URL, "data", nil)
			_, err := stream(t.Context(), b, "a", []byte("x"))
			require.ErrorContains(t, err, c.want)
			require.Equal(t, 1, p.count("PutObject"), "it is final")
		})
	}
}

func TestWrongKeyIsRefusedByTheServer(t *testing.T) {
	b, err := New(t.Context(), newBucket(t), &Options{
		Endpoint: server.URL, Region: "us-east-1", Retry: quick,
		Credentials: credentials.NewStaticCredentialsProvider("sluice-test", "wrong", ""),
	})
	require.NoError(t, err)
	_, err = stream(context.Background(), b, "a", []byte("x"))
	require.ErrorContains(t, err, "SignatureDoesNotMatch")
	require.ErrorContains(t, err, "check the credentials")
}

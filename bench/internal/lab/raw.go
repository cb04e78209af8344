package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// TLSConfig trusts the server; nil for a plain one.
func (a Address) TLSConfig() *tls.Config {
	if a.Certificate == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Certificate)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Wire makes the few B2 calls that an upload needs, without retries and without checks: what a client that is
// measured should cost at least.
type Wire struct {
	HTTP  http.RoundTripper
	token string
	api   string
	file  string // the large file's id
	at    Address
}

// Login authorizes and starts a large file.
func Login(ctx context.Context, rt http.RoundTripper, a Address, name string) (*Wire, error) {
	w := &Wire{HTTP: rt, at: a}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+"/b2api/v2/b2_authorize_account", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(a.KeyID, a.Key)
	var login struct{ AccountID, AuthorizationToken, APIURL string }
	if err := w.do(req, &login); err != nil {
		return nil, err
	}
	w.token, w.api = login.AuthorizationToken, login.APIURL
	var list struct{ Buckets []struct{ BucketID string } }
	if err := w.Call(ctx, "b2_list_buckets", map[string]any{"accountId": login.AccountID, "bucketName": a.Bucket}, &list); err != nil {
		return nil, err
	}
	var file struct{ FileID string }
	start := map[string]any{"bucketId": list.Buckets[0].BucketID, "fileName": name, "contentType": "b2/x-auto"}
	if err := w.Call(ctx, "b2_start_large_file", start, &file); err != nil {
		return nil, err
	}
	w.file = file.FileID
	return w, nil
}

// UploadURL returns where one connection may post parts, and its token.
func (w *Wire) UploadURL(ctx context.Context) (at, token string, err error) {
	var answer struct{ UploadURL, AuthorizationToken string }
	err = w.Call(ctx, "b2_get_upload_part_url", map[string]any{"fileId": w.file}, &answer)
	return answer.UploadURL, answer.AuthorizationToken, err
}

// Finish makes a file of the parts, whose SHA-1 in hex are given.
func (w *Wire) Finish(ctx context.Context, sums []string) error {
	return w.Call(ctx, "b2_finish_large_file", map[string]any{"fileId": w.file, "partSha1Array": sums}, nil)
}

// Cancel drops the large file.
func (w *Wire) Cancel(ctx context.Context) error {
	return w.Call(ctx, "b2_cancel_large_file", map[string]any{"fileId": w.file}, nil)
}

// Call posts request to an API call and decodes the answer, if answer is not nil.
func (w *Wire) Call(ctx context.Context, call string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.api+"/b2api/v2/"+call, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", w.token)
	return w.do(req, answer)
}

func (w *Wire) do(req *http.Request, answer any) error {
	resp, err := w.HTTP.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", req.URL.Path, resp.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// anySHA1 is a digest that nobody computed. The server believes it.
var anySHA1 = strings.Repeat("0", 40)

// Post sends parts of partSize bytes, size bytes in all, over so many connections, each a bare socket: what remains of
// an upload when nothing is hashed and no writer is around it. begin is called when the first byte may go out.
func Post(ctx context.Context, a Address, size, partSize int64, connections int, begin func()) error {
	rt := &http.Transport{TLSClientConfig: a.TLSConfig()}
	defer rt.CloseIdleConnections()
	w, err := Login(ctx, rt, a, "raw")
	if err != nil {
		return err
	}
	// Each connection sends from memory of its own, as a stream's parts lie in theirs: what all send from would stay
	// in the cache.
	page := NewPage()
	memory := make([][]byte, connections)
	for i := range memory {
		memory[i] = make([]byte, min(partSize, size))
		for at := 0; at < len(memory[i]); at += copy(memory[i][at:], page) {
		}
	}
	begin()
	parts := (size + partSize - 1) / partSize
	var taken atomic.Int64
	var group errgroup.Group
	for _, data := range memory {
		group.Go(func() error {
			at, token, err := w.UploadURL(ctx)
			if err != nil {
				return err
			}
			c, err := dial(ctx, at, a.TLSConfig())
			if err != nil {
				return err
			}
			defer c.Close()
			return postParts(c, at, token, func() (int64, []byte) {
				number := taken.Add(1)
				if number > parts {
					return 0, nil
				}
				return number, data[:min(partSize, size-(number-1)*partSize)]
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.Cancel(ctx)
}

func dial(ctx context.Context, at string, config *tls.Config) (net.Conn, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", u.Host)
}

// postParts posts what next gives until it gives number 0.
func postParts(c net.Conn, at, token string, next func() (number int64, part []byte)) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	answers := bufio.NewReader(c)
	for {
		number, part := next()
		if number == 0 {
			return nil
		}
		_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nX-Bz-Part-Number: %d\r\n"+
			"X-Bz-Content-Sha1: %s\r\nContent-Length: %d\r\n\r\n", u.Path, u.Host, token, number, anySHA1, len(part))
		if err != nil {
			return err
		}
		if _, err := c.Write(part); err != nil {
			return err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("part %d: %s: %s", number, resp.Status, text)
		}
	}
}

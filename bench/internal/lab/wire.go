package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Wire makes the few B2 calls that an upload needs, without retries and without
// checks: what a client that is measured should cost at least.
type Wire struct {
	http  http.RoundTripper
	token string
	api   string
	file  string // the large file's id
}

// Login authorizes and starts a large file.
func Login(ctx context.Context, rt http.RoundTripper, a Address, name string) (*Wire, error) {
	w := &Wire{http: rt}
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
	resp, err := w.http.RoundTrip(req)
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

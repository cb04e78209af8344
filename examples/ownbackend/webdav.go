package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/httpcall"
)

// webdav is a store on a WebDAV server, and a whole sluice.Backend: what folder
// does with files, over a network. Each file is a collection with one member for
// each part. It is made under the name of a random id, with an empty member of
// that id, and finishing it is one MOVE.
type webdav struct {
	sluice.Unsupported
	client         *httpcall.Client
	root           string // URL without a slash at the end
	user, password string // "": none
}

func newWebDAV(root, user, password string) (*webdav, error) {
	client, err := httpcall.New(nil, sluice.Retry{})
	return &webdav{client: client, root: strings.TrimSuffix(root, "/"), user: user, password: password}, err
}

func (w *webdav) Limits() sluice.Limits { return sluice.Limits{MaxParts: maxParts} }

func (w *webdav) Check(spec sluice.FileSpec) error {
	if spec.Name == "" {
		return errors.New("webdav: the name is empty")
	}
	return nil
}

func (w *webdav) url(name string) string { return w.root + "/" + url.PathEscape(name) + ".parts" }

// do makes a request with p as its body, unless that is nil. What it asks for is
// the same when it is asked for again.
func (w *webdav) do(ctx context.Context, method, address string, header http.Header, p *sluice.Part) error {
	return w.client.Do(ctx, p, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, err
		}
		maps.Copy(req.Header, header)
		if w.user != "" {
			req.SetBasicAuth(w.user, w.password)
		}
		return req, nil
	}, nil)
}

// status is the status of the answer in err, 0 if there was none.
func status(err error) int {
	if refused, ok := errors.AsType[*httpcall.StatusError](err); ok {
		return refused.Status
	}
	return 0
}

func (w *webdav) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	id := "unfinished-" + rand.Text()
	u := &davUpload{store: w, name: spec.Name, id: id, url: w.root + "/" + id, sizes: map[int]int64{}}
	// 405: it is there already. Only an attempt whose answer was lost can have made it.
	if err := w.do(ctx, "MKCOL", u.url, nil, nil); err != nil && status(err) != http.StatusMethodNotAllowed {
		return nil, errors.Join(err, u.cleanUp(ctx))
	}
	if err := w.do(ctx, http.MethodPut, u.url+"/"+id, nil, nil); err != nil {
		return nil, errors.Join(err, u.cleanUp(ctx))
	}
	return u, nil
}

// davUpload is a large file on its way.
type davUpload struct {
	store         *webdav
	name, id, url string

	mu    sync.Mutex
	sizes map[int]int64 // of the parts that are stored
}

func (u *davUpload) Info() sluice.LargeFileInfo { return sluice.LargeFileInfo{ID: u.id} }

func (u *davUpload) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if p.Number < 1 || p.Number > maxParts {
		return sluice.Receipt{}, fmt.Errorf("webdav: part number %d is not in 1 to %d", p.Number, maxParts)
	}
	receipt := sluice.Receipt{Number: p.Number, Size: p.Size}
	err := u.store.do(ctx, http.MethodPut, u.url+"/"+fmt.Sprintf("%05d", p.Number), nil, p)
	if err == nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.sizes[p.Number] = p.Size
	}
	return receipt, err
}

func (u *davUpload) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	file := sluice.File{ID: u.id, Name: u.name, Parts: len(parts)}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(parts) == 0 || len(parts) != len(u.sizes) {
		return sluice.File{}, fmt.Errorf("webdav: %q has %d parts stored, not %d", u.name, len(u.sizes), len(parts))
	}
	for i, r := range parts {
		if size, ok := u.sizes[i+1]; !ok || r.Size != size {
			return sluice.File{}, fmt.Errorf("webdav: part %d of %q is not what its receipt says", i+1, u.name)
		}
		file.Size += r.Size
	}
	final := u.store.url(u.name)
	err := u.store.do(ctx, "MOVE", u.url, http.Header{"Destination": {final}, "Overwrite": {"F"}}, nil)
	if err == nil {
		return file, nil
	}
	// The answer may be lost though the file is there. Then it has the member
	// that only this upload has.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	switch seen := u.store.do(look, http.MethodHead, final+"/"+u.id, nil, nil); {
	case seen == nil:
		return file, nil
	case status(err) == http.StatusPreconditionFailed && status(seen) == http.StatusNotFound:
		// another file has the name
		return sluice.File{}, fmt.Errorf("webdav: %q is there already: %w", u.name, err)
	default:
		return sluice.File{}, fmt.Errorf("%w: %w (look-up: %w)", sluice.ErrFinishUnknown, err, seen)
	}
}

func (u *davUpload) Cancel(ctx context.Context) error {
	err := u.store.do(ctx, http.MethodDelete, u.url, nil, nil)
	if status(err) == http.StatusNotFound { // after Finish it has another name
		return nil
	}
	return err
}

// cleanUp cancels what a start that failed may have made.
func (u *davUpload) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := u.Cancel(ctx); err != nil {
		return fmt.Errorf("%w: %s: %w", sluice.ErrLeftBehind, u.url, err)
	}
	return nil
}

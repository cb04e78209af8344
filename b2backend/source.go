package b2backend

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/decode"
	"github.com/c1508ce4/sluice/internal/download"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/sha1mb"
	"github.com/c1508ce4/sluice/internal/sleep"
)

var _ sluice.Source = (*Backend)(nil)

// Stat describes the newest version of a file, with the SHA-1 that the service
// has of it: its own of a file stored in one call, what the uploader declared
// (FileOptions.LargeFileSHA1) of a large one. It takes the capability
// readFiles. A file encrypted with a customer's key is read through a handle
// that has the key; see [Backend.With].
//
// Metadata is all that the service keeps as the file's info, what FileOptions
// have set included. Modified is the time of the upload, of a large file that
// of its start. The service does not keep the parts of a finished file.
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f, err := b.stat(ctx, name)
	if err != nil {
		return f, fmt.Errorf("b2backend: %q: %w", name, notFound(err))
	}
	return f, nil
}

func (b *Backend) stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	id, err := b.newest(ctx, name)
	if err != nil {
		return sluice.StoredFile{}, err
	}
	var f fileObject
	k := &call{method: getFileInfo, request: fileRequest{id}}
	k.read = into(&f, func() error {
		return cmp.Or(sameID(f.FileID, id), sameID(f.FileName, name), f.checkStored())
	})
	if err := b.client.do(ctx, k); err != nil {
		return sluice.StoredFile{}, err
	}
	return f.stored(), nil
}

func (f *fileObject) checkStored() error {
	if f.ContentLength < 0 {
		return fmt.Errorf("a file of %d bytes", f.ContentLength)
	}
	return checkID(f.FileID)
}

// stored is a finished file in a reader's terms, without our tag.
func (f *fileObject) stored() sluice.StoredFile {
	delete(f.FileInfo, tagKey)
	return sluice.StoredFile{
		File:        sluice.File{ID: f.FileID, Name: f.FileName, Size: int64(f.ContentLength), Digests: f.digests()},
		ContentType: f.ContentType, Metadata: f.FileInfo, Modified: f.Uploaded.Time,
		Algorithms: []sluice.Algorithm{sha1mb.Algorithm()},
	}
}

// digests is the SHA-1 of the file, nil if the service does not know it.
func (f *fileObject) digests() sluice.Digests {
	text := strings.TrimPrefix(f.ContentSHA1, "unverified:")
	if text == "none" || text == "" {
		text = f.FileInfo[largeFileSHA1Key]
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha1.Size {
		return nil
	}
	return sluice.Digests{{Name: "sha1", Sum: sum}}
}

// newest returns the ID of the newest version of a name, unless that is hidden.
// The answer to HEAD does not tell why there is none, so GET asks for the
// reason.
func (b *Backend) newest(ctx context.Context, name string) (id string, err error) {
	if err := cmp.Or(checkName(name), b.checkPrefix(name)); err != nil {
		return "", err
	}
	c, k := b.client, new(call)
	err = c.policy.Within(ctx).Do(ctx, c.retries(k), func(ctx context.Context, try *retry.Attempt) (err error) {
		id, err = b.head(ctx, k.account, try, http.MethodHead, name)
		if e, ok := errors.AsType[*Error](err); ok && e.Code == "" && e.Status < 500 {
			id, err = b.head(ctx, k.account, try, http.MethodGet, name)
		}
		return err
	})
	return id, err
}

// head makes one attempt at reading the ID of the newest version of a name.
func (b *Backend) head(ctx context.Context, a *account, try *retry.Attempt, method, name string) (id string, err error) {
	req, err := b.downloadRequest(ctx, a, method, "/file/"+b.bucket.Name+"/"+encode(name))
	if err != nil {
		return "", err
	}
	err = b.client.exchange("b2_download_file_by_name", req, nil, try, func(resp *http.Response) error {
		id = resp.Header.Get(fileIDHeader)
		return cmp.Or(checkID(id), decode.CheckID(id))
	}, b.options.Encryption.secrets()...)
	return id, err
}

const fileIDHeader = "X-Bz-File-Id"

func (b *Backend) downloadRequest(ctx context.Context, a *account, method, path string) (*http.Request, error) {
	if !a.can("readFiles") {
		return nil, errors.New("the key lacks the capability readFiles")
	}
	if _, err := b.client.hosts.Check(a.downloadURL); err != nil {
		return nil, fmt.Errorf("downloadUrl of the account: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.downloadURL+path, nil)
	if err != nil {
		return nil, httpx.Clean(err)
	}
	req.Header.Set("Authorization", a.token.Reveal())
	b.options.Encryption.setCustomer(req.Header)
	return req, nil
}

// notFound makes an error about a file or version that is not there match
// fs.ErrNotExist. A gateway's 404 does not say so.
func notFound(err error) error {
	e, ok := errors.AsType[*Error](err)
	if ok && e.Code != "" && (e.Status == http.StatusNotFound || e.Code == "file_not_present") {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// ReadRange asks for a range by b2_download_file_by_id, which keeps to one
// version; see [sluice.Source].
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	err := cmp.Or(checkID(f.ID), download.Within(r, f.Size))
	if err == nil && r.Missing() > 0 {
		c, k := b.client, &call{backoff: r.Backoff}
		err = download.Fill(ctx, c.policy, c.retries(k), r,
			func(ctx context.Context, try *retry.Attempt) error { return b.get(ctx, k.account, try, &f, r) })
	}
	if gone := notFound(err); errors.Is(gone, fs.ErrNotExist) {
		if id, other := b.newest(ctx, f.Name); other == nil && id != f.ID {
			gone = fmt.Errorf("%w: %w", sluice.ErrReplaced, err)
		}
		err = gone
	}
	if err != nil {
		return fmt.Errorf("b2backend: %q: %w", f.Name, err)
	}
	return nil
}

func (b *Backend) get(ctx context.Context, a *account, try *retry.Attempt, f *sluice.StoredFile, r *sluice.Range) error {
	const name = "b2_download_file_by_id"
	req, err := b.downloadRequest(ctx, a, http.MethodGet, apiVersion+name+"?fileId="+url.QueryEscape(f.ID))
	if err != nil {
		return err
	}
	offset, size := r.Attempt()
	download.SetBytes(req.Header, offset, size, "")
	download.Reconnect(r, b.client.transport, req)
	return b.client.exchange(name, req, nil, try, func(resp *http.Response) error {
		if err := download.CheckBytes(resp, offset, size, f.Size); err != nil {
			return err
		}
		if err := sameID(resp.Header.Get(fileIDHeader), f.ID); err != nil {
			return err
		}
		return download.Into(r, resp.Body, try)
	}, b.options.Encryption.secrets()...)
}

// List lists the newest versions of files that are not hidden, by
// b2_list_file_names. It takes the capability listFiles. A key that is
// restricted to a prefix sees the files under it, and gets an error for another
// prefix.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		for file, err := range b.files(ctx, listNames, prefix) {
			if err == nil {
				err = checkID(file.FileID) // a wrong size would hide the files that follow
			}
			if !yield(file.stored(), err) || err != nil {
				return
			}
		}
	}
}

// Remove removes exactly the version that f describes, by
// b2_delete_file_version. The version before it becomes the newest, if there is
// one. It takes the capability deleteFiles. The error about a file that Object
// Lock protects matches [sluice.ErrLocked] and says until when, if the key has
// readFiles and may read that.
func (b *Backend) Remove(ctx context.Context, f sluice.StoredFile) error {
	var gone versionRequest // the answer names the version too (documented)
	k := &call{method: deleteVersion, request: versionRequest{FileName: f.Name, FileID: f.ID}}
	k.read = into(&gone, func() error { return sameID(gone.FileID, f.ID) })
	lost := false // an earlier attempt may have removed it
	k.backoff = func(ctx context.Context, err error, wait time.Duration) error {
		lost = lost || classify(apiEndpoint, err).Outcome == retry.Unknown
		return sleep.For(ctx, wait)
	}
	err := notFound(b.client.do(ctx, k))
	if err == nil || lost && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		if lock := b.lock(ctx, f.ID); lock != nil {
			err = fmt.Errorf("%w; %w", err, lock)
		}
	}
	return fmt.Errorf("b2backend: %q: %w", f.Name, err)
}

// lock returns what keeps a version from being removed, or nil where that is
// unknown.
func (b *Backend) lock(ctx context.Context, id string) error {
	var f fileObject
	k := &call{method: getFileInfo, request: fileRequest{id}}
	k.read = into(&f, func() error { return sameID(f.FileID, id) })
	if err := b.client.do(ctx, k); err != nil {
		return nil
	}
	var mode, until string
	if r := f.FileRetention.Value; r != nil && r.Mode != "" {
		mode, until = string(r.Mode), time.UnixMilli(r.RetainUntilTime).UTC().Format(time.RFC3339)
	}
	return httpx.Locked(mode, until, f.LegalHold.Value == HoldOn)
}

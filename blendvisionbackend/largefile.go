package blendvisionbackend

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/exchange"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// largeFile is an upload session.
type largeFile struct {
	backend  *Backend
	spec     sluice.FileSpec
	fileID   string
	uploadID string
	sizes    []int64
	targets  []target // of the parts, in order
	life     life.Cycle
}

var _ sluice.LargeFile = (*largeFile)(nil)

// StartLargeFile opens an upload session and reads the server's plan. An odd plan is an error, and the session is
// cancelled; so is one whose answer comes soon after ctx has ended. A session whose answer was lost cannot be found
// again: the service lists none. An error that matches [sluice.ErrLeftBehind] says so, and names a session that cannot
// be cancelled.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if err := b.Check(spec); err != nil {
		return nil, err
	}
	longer, cancel := retry.Outlive(ctx, retry.StartGrace)
	defer cancel()
	var answer fileAnswer
	lost := false
	err := b.repeat(ctx, callOpen, func() (err error) {
		defer func() { lost = lost || err != nil && !certain(err) }()
		answer, err = postOnce[fileAnswer](longer, b, callOpen, "", openRequest{openFile{
			Type: b.file.Type, Source: b.file.Source, Name: spec.Name, Size: integer(spec.Size), Attrs: b.attributes(spec),
		}})
		return err
	})
	if err != nil && lost {
		err = fmt.Errorf("%w: %w", sluice.ErrLeftBehind, err)
	}
	if err != nil {
		return nil, err
	}
	data := answer.UploadData
	if data == nil {
		data = answer.File.UploadData
	}
	f := &largeFile{backend: b, spec: spec, fileID: answer.File.ID}
	if data != nil {
		f.uploadID = data.ID
	}
	if f.fileID == "" || f.uploadID == "" {
		return nil, fmt.Errorf("%w: blendvisionbackend: %s: the answer lacks the id of the file or of the upload; nobody can cancel it", sluice.ErrLeftBehind, callOpen)
	}
	f.life.Name = "blendvisionbackend: upload " + f.id()
	f.targets, err = targets(data, b.opts.AllowPlainHTTP)
	if err == nil {
		f.sizes, err = split(spec.Size, len(f.targets), b.minPart)
	}
	if err == nil && ctx.Err() != nil {
		err = retry.Ended(ctx, nil)
	}
	if err != nil {
		return nil, f.discard(ctx, named(callOpen, err))
	}
	b.opts.Logger.Debug("blendvision: upload session opened", "name", spec.Name, "id", f.id(), "parts", len(f.sizes))
	return f, nil
}

// discard cancels a session that is of no use because of err, even if ctx is done.
func (f *largeFile) discard(ctx context.Context, err error) error {
	ctx, cancel := retry.Detached(ctx, retry.CleanupTime)
	defer cancel()
	if failure := f.Cancel(ctx); failure != nil {
		return fmt.Errorf("%w (session %s, cancelling it failed: %v): %w", sluice.ErrLeftBehind, f.id(), failure, err)
	}
	return err
}

// id is both ids, which the service asks for to cancel the session.
func (f *largeFile) id() string { return f.fileID + "/" + f.uploadID }

// Format prints the ids, for every verb: the targets hold signatures.
func (f *largeFile) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "BlendVision upload "+f.id())
}

// Info names the session by the id of the file in the library and that of the upload, with a slash between.
func (f *largeFile) Info() sluice.LargeFileInfo {
	return sluice.LargeFileInfo{ID: f.id(), Plan: slices.Clone(f.sizes)}
}

// UploadPart puts a part to its presigned URL and keeps the ETag verbatim as the receipt's tag. The credentials are
// not sent: the URL carries a signature (documented).
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	switch {
	case p.Number < 1 || p.Number > len(f.sizes):
		return sluice.Receipt{}, fmt.Errorf("blendvisionbackend: part %d is not one of the %d planned", p.Number, len(f.sizes))
	case p.Size != f.sizes[p.Number-1]:
		return sluice.Receipt{}, fmt.Errorf("blendvisionbackend: part %d has %d bytes, planned are %d", p.Number, p.Size, f.sizes[p.Number-1])
	}
	if err := f.life.Require(life.Open, life.Open); err != nil {
		return sluice.Receipt{}, err
	}
	b, u := f.backend, f.targets[p.Number-1].url
	secrets := append(b.secrets(), secretsOf(u)...)
	receipt := sluice.Receipt{Number: p.Number}
	err := b.policy.Do(ctx, retry.Call{Size: p.Size, Judge: judge, Backoff: retry.Logged(b.opts.Logger, retrying, p.Backoff)},
		func(ctx context.Context, a *retry.Attempt) error {
			req := (&http.Request{
				Method: http.MethodPut, URL: u, Host: u.Host, Header: http.Header{"Content-Type": {"application/octet-stream"}},
			}).WithContext(ctx)
			err := exchange.Send(b.opts.Transport, req, p, a, func(resp *http.Response) error {
				if resp.StatusCode != http.StatusOK {
					return refusal(callPut, resp, secrets)
				}
				if receipt.Tag = resp.Header.Get("ETag"); receipt.Tag == "" {
					return fmt.Errorf("%w: there is no ETag", errUnreadable)
				}
				return nil
			})
			return named(callPut, exchange.Clean(err, secrets...))
		})
	if err != nil {
		return sluice.Receipt{}, err
	}
	return receipt, nil
}

// Cancel ends the session by both ids. After Finish it leaves the file alone. While Finish is under way, and when
// its outcome is unknown, it sends nothing and returns an error, in the second case one that matches
// [sluice.ErrFinishUnknown]: it is not documented what cancelling does to a finished file.
func (f *largeFile) Cancel(ctx context.Context) error {
	if may, err := f.life.MayCancel(); !may {
		return err
	}
	_, err := post[struct{}](ctx, f.backend, callCancel, f.fileID, cancelRequest{f.uploadID})
	if err != nil && !gone(err) {
		return err
	}
	f.life.Become(life.Cancelled)
	f.backend.opts.Logger.Debug("blendvision: upload session cancelled", "name", f.spec.Name, "id", f.id())
	return nil
}

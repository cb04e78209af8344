package blendvisionbackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

type largeFile struct {
	client   *client
	spec     sluice.FileSpec
	fileID   string
	uploadID string
	sizes    []int64
	targets  []target // of the parts, in order
	state    uploadstate.Tracker
}

var _ sluice.LargeFile = (*largeFile)(nil)

// StartLargeFile opens an upload session and reads the server's plan. An odd
// plan is an error, and the session is cancelled; so is one whose answer comes
// soon after ctx has ended. A session whose answer was lost cannot be found
// again: the service lists none. The logger gets a warning then if another is
// opened, otherwise the error matches [sluice.ErrLeftBehind]; it also names a
// session that cannot be cancelled.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	asked, err := b.describe(spec)
	if err != nil {
		return nil, err
	}
	var answer fileAnswer
	var data *uploadData
	result, err := b.client.commit(ctx, callOpen, "", openRequest{asked}, &answer, func() error {
		data = cmp.Or(answer.UploadData, answer.File.UploadData)
		if answer.File.ID == "" || data == nil || data.ID == "" {
			return unusable(callOpen, "it lacks the id of the file or of the upload; nobody can cancel it")
		}
		return nil
	}, retry.Commit{Repeat: true, Grace: retry.StartGrace, Doubt: sluice.ErrLeftBehind})
	if err != nil {
		return nil, err
	}
	if result.Lost != nil {
		b.client.log.Warn("blendvision: the answer to a start was lost: an upload session may be left", "name", spec.Name, "error", result.Lost)
	}
	f := &largeFile{client: b.client, spec: spec, fileID: answer.File.ID, uploadID: data.ID}
	f.state.Name = "blendvisionbackend: upload " + f.id()
	f.targets, err = targets(data, b.client.hosts)
	if err == nil {
		f.sizes, err = split(spec.Size, len(f.targets), b.minPart)
	}
	if err == nil {
		err = asked.ignored(&answer)
	}
	if err == nil && ctx.Err() != nil {
		err = retry.Ended(ctx, nil)
	}
	if err != nil {
		err = f.discard(ctx, named(callOpen, err))
		if result.Lost != nil && !errors.Is(err, sluice.ErrLeftBehind) {
			err = fmt.Errorf("%w (%v): %w", sluice.ErrLeftBehind, result.Lost, err)
		}
		return nil, err
	}
	b.client.log.Debug("blendvision: upload session opened", "name", spec.Name, "id", f.id(), "parts", len(f.sizes))
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

// Info names the session by the id of the file in the library and that of the
// upload, with a slash between.
func (f *largeFile) Info() sluice.LargeFileInfo {
	return sluice.LargeFileInfo{ID: f.id(), PartSizes: slices.Clone(f.sizes)}
}

// UploadPart puts a part to its presigned URL and keeps the ETag verbatim as
// the receipt's tag. The credentials are not sent: the URL carries a signature
// (documented).
func (f *largeFile) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	switch {
	case p.Number < 1 || p.Number > len(f.sizes):
		return sluice.Receipt{}, fmt.Errorf("blendvisionbackend: part %d is not one of the %d planned", p.Number, len(f.sizes))
	case p.Size != f.sizes[p.Number-1]:
		return sluice.Receipt{}, fmt.Errorf("blendvisionbackend: part %d has %d bytes, planned are %d", p.Number, p.Size, f.sizes[p.Number-1])
	}
	if err := f.state.RequireOpen(); err != nil {
		return sluice.Receipt{}, err
	}
	c, u := f.client, f.targets[p.Number-1].url
	secrets := append(c.keys.secrets(), httpx.SecretsOf(u)...)
	receipt := sluice.Receipt{Number: p.Number}
	err := c.policy.Do(ctx, retry.Call{Classify: classify, Backoff: retry.Logged(c.log, retrying, p.Backoff)},
		func(ctx context.Context, a *retry.Attempt) error {
			req := (&http.Request{
				Method: http.MethodPut, URL: u, Host: u.Host, Header: http.Header{"Content-Type": {"application/octet-stream"}},
			}).WithContext(ctx)
			return exchange(callPut, secrets).Send(c.transport, req, p, a, func(resp *http.Response) error {
				if receipt.ETag = resp.Header.Get("ETag"); receipt.ETag == "" {
					return errors.New("there is no ETag")
				}
				return nil
			})
		})
	if err != nil {
		return sluice.Receipt{}, err
	}
	return receipt, nil
}

// Cancel ends the session by both ids. After Finish it leaves the file alone.
// While Finish is under way, and when its outcome is unknown, it sends nothing
// and returns an error, in the second case one that matches
// [sluice.ErrFinishUnknown]: it is not documented what cancelling does to a
// finished file.
func (f *largeFile) Cancel(ctx context.Context) error {
	if may, err := f.state.MayCancel(); !may {
		return err
	}
	err := f.client.call(ctx, callCancel, f.fileID, cancelRequest{f.uploadID}, &struct{}{})
	if err != nil && !gone(err) {
		return err
	}
	f.state.Set(uploadstate.Cancelled)
	f.client.log.Debug("blendvision: upload session cancelled", "name", f.spec.Name, "id", f.id())
	return nil
}

type target struct {
	number int64    // the server's own, echoed when the upload is completed
	url    *url.URL // presigned: its query is a credential
}

// targets reads the server's plan. Part numbers may start anywhere (documentation pages differ).
func targets(data *uploadData, hosts httpx.Hosts) ([]target, error) {
	if data == nil || len(data.Parts) == 0 {
		return nil, errors.New("the server plans no parts")
	}
	list := make([]target, 0, len(data.Parts))
	places := make(map[int64]int, len(data.Parts))
	for i, part := range data.Parts {
		number := int64(part.Number)
		if place, taken := places[number]; taken {
			return nil, fmt.Errorf("the server plans part number %d twice, in places %d and %d", number, place, i+1)
		}
		places[number] = i + 1
		u, err := hosts.Check(part.URL)
		if err != nil {
			return nil, fmt.Errorf("presigned URL of part number %d: %w", number, err)
		}
		list = append(list, target{number: number, url: u})
	}
	return list, nil
}

// split divides size bytes into n parts, equal but for a smaller last one. The
// service does not say how large the parts are: it gives the number of URLs and
// takes parts of 5 MiB to 5 GiB, the last one of any size up to that
// (documented). So where equal parts were too small, all but the last are of
// the smallest size.
func split(size int64, n int, smallest int64) ([]int64, error) {
	part := (size + int64(n) - 1) / int64(n)
	if n > 1 {
		part = max(part, smallest)
	}
	last := size - part*int64(n-1)
	switch {
	case part > maxPart:
		return nil, fmt.Errorf("the server plans %d parts for %d bytes: parts of %d bytes are over its largest of %d",
			n, size, part, int64(maxPart))
	case last < 1:
		return nil, fmt.Errorf("the server plans %d parts for %d bytes: parts of its smallest size, %d bytes, are fewer",
			n, size, smallest)
	}
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = part
	}
	sizes[n-1] = last
	return sizes, nil
}

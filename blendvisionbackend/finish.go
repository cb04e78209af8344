package blendvisionbackend

import (
	"context"
	"crypto/sha1"
	"fmt"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Finish completes the upload with the ETags and the SHA-1 of the whole file. An answer that is lost, cut or a server's
// error says nothing about the outcome: before another attempt, and at the end, the download call is asked for
// the file, the one documented call that reads. What it does not find may still come, so the outcome is then
// [sluice.ErrFinishUnknown].
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	request, err := f.completion(parts, whole)
	if err != nil {
		return sluice.File{}, err
	}
	if err := f.life.Require(life.Open, life.Finishing); err != nil {
		return sluice.File{}, err
	}
	c := completing{file: f, request: request}
	if err := c.run(ctx); err != nil {
		outcome := life.Open
		if c.doubtful {
			outcome = life.Unknown
			err = fmt.Errorf("blendvisionbackend: upload %s: %w: %w", f.id(), sluice.ErrFinishUnknown, err)
		}
		f.life.Become(outcome)
		return sluice.File{}, err
	}
	f.life.Become(life.Finished)
	f.backend.opts.Logger.Debug("blendvision: upload completed", "name", f.spec.Name, "id", f.id())
	return sluice.File{ID: f.fileID, Name: f.spec.Name, Size: f.spec.Size, Parts: len(f.sizes)}, nil
}

// completion is the request that completes the upload: the server's own part numbers, in the order of its plan.
func (f *largeFile) completion(parts []sluice.Receipt, whole sluice.Digests) (completeRequest, error) {
	sum := whole.Get(sha1Algorithm.Name)
	data := completeData{ID: f.uploadID, Checksum: sum, Parts: make([]completedPart, len(f.targets))}
	switch {
	case len(sum) != sha1.Size:
		return completeRequest{}, fmt.Errorf("blendvisionbackend: the SHA-1 of the whole file has %d bytes, not %d", len(sum), sha1.Size)
	case len(parts) != len(f.targets):
		return completeRequest{}, fmt.Errorf("blendvisionbackend: %d receipts for %d planned parts", len(parts), len(f.targets))
	}
	for i, r := range parts {
		if r.Number != i+1 || r.Tag == "" {
			return completeRequest{}, fmt.Errorf("blendvisionbackend: receipt %d is of part %d with ETag %q", i+1, r.Number, r.Tag)
		}
		data.Parts[i] = completedPart{f.targets[i].number, r.Tag}
	}
	return completeRequest{data}, nil
}

// errOther does not repeat the id: it is the server's text, and may be anything.
var errOther = fmt.Errorf("%w: it is about another file", errUnreadable)

// completing is one run of Finish.
type completing struct {
	file     *largeFile
	request  completeRequest
	doubtful bool // an attempt failed after which the upload may be complete
}

// run returns nil if the file exists. Otherwise doubtful tells whether it may exist all the same. A request that is
// under way when ctx ends is worth its answer.
func (c *completing) run(ctx context.Context) error {
	b := c.file.backend
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	err := b.repeat(ctx, callComplete, func() error { return c.attempt(longer) })
	if err == nil || !c.doubtful {
		return err
	}
	settling, cancelSettling := retry.Detached(ctx, retry.SettleTime)
	defer cancelSettling()
	if b.policy.Poll(settling, func(ctx context.Context) bool { return c.lookUp(ctx) == nil }) {
		return nil
	}
	return err
}

// attempt asks for the file if it may exist, and completes the upload if it was not found.
func (c *completing) attempt(ctx context.Context) error {
	if c.doubtful {
		err := c.lookUp(ctx)
		if err == nil || judge(err).Action != retry.Stop {
			return err
		}
	}
	f := c.file
	answer, err := postOnce[fileAnswer](ctx, f.backend, callComplete, f.fileID, c.request)
	if err == nil && answer.File.ID != f.fileID {
		err = named(callComplete, errOther)
	}
	if err != nil && !certain(err) {
		c.doubtful = true
	}
	return err
}

// lookUp asks for the file. nil means that it exists.
func (c *completing) lookUp(ctx context.Context) error {
	f := c.file
	answer, err := postOnce[downloadAnswer](ctx, f.backend, callDownload, f.fileID, struct{}{})
	if err == nil && (answer.ID != f.fileID || answer.URI == "") {
		err = named(callDownload, errOther)
	}
	return err
}

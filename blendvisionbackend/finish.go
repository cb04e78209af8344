package blendvisionbackend

import (
	"context"
	"crypto/sha1"
	"fmt"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

// Finish completes the upload with the ETags and the SHA-1 of the whole file.
// If the answer is lost, the file is looked for by the download call, the one
// documented call that reads, and at the URL that it answers; the request is
// repeated meanwhile. What is not found may still come, so the outcome is then
// [sluice.ErrFinishUnknown].
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	request, err := f.completion(parts, whole)
	if err != nil {
		return sluice.File{}, err
	}
	if err := f.state.Change(uploadstate.Open, uploadstate.Finishing); err != nil {
		return sluice.File{}, err
	}
	var answer fileAnswer
	result, err := f.client.commit(ctx, callComplete, f.fileID, request, &answer, func() error {
		size := int64(answer.File.Size)
		switch {
		case answer.File.ID != f.fileID:
			return unusable(callComplete, otherFile)
		case size != 0 && size != f.spec.Size:
			return unusable(callComplete, "%d bytes stored of %d", size, f.spec.Size)
		}
		return nil
	}, retry.Commit{Lookup: f.lookup, Repeat: true, Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown})
	f.state.Settle(result.Outcome)
	if result.Outcome == retry.Unknown {
		err = fmt.Errorf("blendvisionbackend: upload %s: %w", f.id(), err)
	}
	if err != nil {
		return sluice.File{}, err
	}
	f.client.log.Debug("blendvision: upload completed", "name", f.spec.Name, "id", f.id())
	return sluice.File{ID: f.fileID, Name: f.spec.Name, Size: f.spec.Size, Parts: len(f.sizes)}, nil
}

// lookup asks once what became of a finish. Only bytes show that it was done: the
// file of this ID, as long as the stream. No call shows that it was not: a file
// that is not found may still come, unless the refusal is one that no other
// request has led to.
func (f *largeFile) lookup(ctx context.Context, refusal error) (retry.Outcome, error) {
	stored := sluice.StoredFile{File: sluice.File{ID: f.fileID}}
	err := f.client.policy.Within(ctx).Once(ctx, func(ctx context.Context, try *retry.Attempt) error {
		return f.client.get(ctx, try, &stored, nil)
	})
	switch {
	case err == nil && stored.Size == f.spec.Size:
		return retry.Done, nil
	case err == nil:
		return retry.Unknown, unusable(callGet, "%d bytes stored of %d", stored.Size, f.spec.Size)
	case gone(err) && invalid(refusal):
		return retry.NotDone, err
	default:
		return retry.Unknown, err
	}
}

// completion is the request that completes the upload: the server's own part
// numbers, in the order of its plan.
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
		if r.Number != i+1 || r.ETag == "" {
			return completeRequest{}, fmt.Errorf("blendvisionbackend: receipt %d is of part %d with ETag %q", i+1, r.Number, r.ETag)
		}
		data.Parts[i] = completedPart{f.targets[i].number, r.ETag}
	}
	return completeRequest{data}, nil
}

// otherFile does not repeat the id: it is the server's text, and may be anything.
const otherFile = "it is about another file"

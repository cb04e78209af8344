package b2backend

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/life"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Finish assembles the file by b2_finish_large_file. An answer that was lost is looked up before anything else:
// by b2_get_file_info (capability readFiles), else in the list of versions (listFiles), else by whether the
// parts can still be listed (writeFiles): after our own finish, and with nobody else cancelling, a large file
// that is not unfinished any more is finished.
func (f *LargeFile) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	request := finishRequest{FileID: f.info.ID, PartSHA1Array: make([]string, len(parts))}
	if len(parts) < minParts {
		return sluice.File{}, fmt.Errorf("b2backend: %d parts; a large file has at least %d", len(parts), minParts)
	}
	var size int64
	for i, p := range parts {
		sum := p.Digests.Get("sha1")
		if p.Number != i+1 || len(sum) != 20 {
			return sluice.File{}, fmt.Errorf("b2backend: receipt %d is of part %d with a SHA-1 of %d bytes", i+1, p.Number, len(sum))
		}
		request.PartSHA1Array[i] = hex.EncodeToString(sum)
		size += p.Size
	}
	if err := f.life.Require(life.Open, life.Finishing); err != nil {
		return sluice.File{}, err
	}
	outcome, err := f.finish(ctx, request, size)
	f.life.Become(outcome)
	if err != nil {
		return sluice.File{}, err
	}
	return sluice.File{ID: f.info.ID, Name: f.name, Size: size, Parts: len(parts)}, nil
}

// finish calls until the outcome is known. Without an error it is finished; with one it is open, cancelled (by
// somebody else) or unknown.
func (f *LargeFile) finish(ctx context.Context, request finishRequest, size int64) (life.State, error) {
	longer, cancel := retry.Outlive(ctx, retry.SettleTime)
	defer cancel()
	var file fileObject
	var k *careful
	k = &careful{
		method: finishLargeFile, request: request, answer: &file,
		check: func() error { return f.checkFile(finishLargeFile.name, &file, size) },
		settle: func(ctx context.Context) (bool, error) {
			outcome := f.look(ctx, size, true)
			if outcome == life.Unknown {
				return false, fmt.Errorf("%w: %w", errNotSettled, k.failure)
			}
			return outcome == life.Finished, nil
		},
	}
	err := f.backend.client.callCarefully(ctx, longer, k)
	switch {
	case err == nil:
		return life.Finished, nil
	case !k.lost && !isGone(err):
		return life.Open, err
	}
	settling, cancelSettling := retry.Detached(ctx, retry.SettleTime)
	defer cancelSettling()
	outcome := f.settle(settling, size, k.lost)
	if outcome == life.Open && k.abandoned {
		// It is not finished yet, and may be any moment: to cancel it now could lose the file.
		outcome = life.Unknown
	}
	switch outcome {
	case life.Finished:
		return life.Finished, nil
	case life.Unknown:
		err = fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, err)
	}
	return outcome, err
}

// errNotSettled means that a call is not repeated because what became of the last one cannot be looked up.
var errNotSettled = errors.New("b2backend: the answer was lost and cannot be looked up")

// settle learns what became of a finish that no further one will follow. The service may still be at work on it, so
// a large file that is not finished yet is looked at for a while. lost is whether the finish may have been done.
func (f *LargeFile) settle(ctx context.Context, size int64, lost bool) life.State {
	outcome := life.Unknown
	f.backend.client.policy.Poll(ctx, func(ctx context.Context) bool {
		outcome = f.look(ctx, size, lost)
		return outcome == life.Finished || !lost
	})
	if lost && outcome == life.Cancelled {
		// Gone after our own finish, and nowhere to be seen.
		return life.Unknown
	}
	return outcome
}

// look asks the service what the large file is, by the first way that the key is allowed and that answers. size is
// what a finished one has, 0 if that is not known. lost is whether a finish may have been done: only then is a file
// that can merely be seen not to be unfinished taken to be finished.
func (f *LargeFile) look(ctx context.Context, size int64, lost bool) life.State {
	b := f.backend
	if b.first.can("readFiles") {
		var file fileObject
		err := b.client.call(ctx, getFileInfo, fileRequest{f.info.ID}, &file)
		switch {
		case err == nil && file.Action != "start":
			return f.compare(&file, size)
		case err == nil:
			return life.Open
		case isRefusal(err):
			// It knows finished files only (documented).
			return f.unfinishedState(ctx)
		}
	}
	if b.canList() {
		file, err := f.version(ctx)
		switch {
		case err != nil:
		case file == nil:
			return f.unfinishedState(ctx)
		case file.Action == "start":
			return life.Open
		default:
			return f.compare(file, size)
		}
	}
	outcome := f.unfinishedState(ctx)
	if outcome == life.Cancelled && lost {
		return life.Finished
	}
	return outcome
}

// version looks for the large file in the list of versions, where it is finished or not. nil if it is not there.
func (f *LargeFile) version(ctx context.Context) (*fileObject, error) {
	for file, err := range f.backend.versions(ctx, f.name) {
		if err != nil || file.FileID == f.info.ID {
			return &file, err
		}
	}
	return nil, nil
}

// unfinishedState is open, cancelled if there is no such unfinished large file, or unknown.
func (f *LargeFile) unfinishedState(ctx context.Context) life.State {
	err := f.backend.client.call(ctx, listParts, listPartsRequest{FileID: f.info.ID, MaxPartCount: 1}, new(listPartsAnswer))
	switch {
	case err == nil:
		return life.Open
	case isRefusal(err):
		return life.Cancelled
	default:
		return life.Unknown
	}
}

// isRefusal tells whether the service said that there is no such file, in whatever words.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound)
}

// compare is finished, or unknown if the file is not what was sent.
func (f *LargeFile) compare(file *fileObject, size int64) life.State {
	if file.FileID != f.info.ID || size > 0 && file.ContentLength != size {
		return life.Unknown
	}
	return life.Finished
}

// checkFile says why the answer to a finish is not usable.
func (f *LargeFile) checkFile(call string, file *fileObject, size int64) error {
	switch {
	case file.FileID != f.info.ID:
		return unusable(call, "it is about another file")
	case file.ContentLength != size:
		return unusable(call, "%d bytes stored of %d", file.ContentLength, size)
	}
	return nil
}

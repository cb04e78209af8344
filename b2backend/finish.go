package b2backend

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/retry"
	"github.com/c1508ce4/sluice/internal/size"
	"github.com/c1508ce4/sluice/internal/uploadstate"
)

// Finish assembles the file by b2_finish_large_file. If the answer is lost, it
// looks for a finished file of the same ID by b2_get_file_info (capability
// readFiles) and in the list of versions (listFiles), and repeats the call,
// which the service does once. What a key with neither capability cannot see is
// [sluice.ErrFinishUnknown].
func (f *LargeFile) Finish(ctx context.Context, parts []sluice.Receipt, whole sluice.Digests) (sluice.File, error) {
	request := finishRequest{FileID: f.info.ID, PartSHA1Array: make([]string, len(parts))}
	if len(parts) < minParts {
		return sluice.File{}, fmt.Errorf("b2backend: %d parts; a large file has at least %d", len(parts), minParts)
	}
	var total int64
	for i, p := range parts {
		sum := p.Digests.Get("sha1")
		if p.Number != i+1 || len(sum) != 20 {
			return sluice.File{}, fmt.Errorf("b2backend: receipt %d is of part %d with a SHA-1 of %d bytes", i+1, p.Number, len(sum))
		}
		request.PartSHA1Array[i] = hex.EncodeToString(sum)
		total = size.Add(total, p.Size)
	}
	if sum := whole.Get("sha1"); sum != nil {
		if err := f.file.checkSHA1(hex.EncodeToString(sum)); err != nil {
			return sluice.File{}, err
		}
	}
	if err := f.state.Change(uploadstate.Open, uploadstate.Finishing); err != nil {
		return sluice.File{}, err
	}
	var file fileObject
	k := &call{method: finishLargeFile, request: request, read: into(&file, func() error { return f.checkFile(&file, total) })}
	result, err := f.backend.client.commit(ctx, k, retry.Commit{
		Lookup: func(ctx context.Context, _ error) (retry.Outcome, error) { return f.lookup(ctx, total, &file) },
		Repeat: true, Grace: retry.SettleTime, Doubt: sluice.ErrFinishUnknown,
	})
	f.state.Settle(result.Outcome)
	if err != nil {
		return sluice.File{}, err
	}
	return sluice.File{ID: f.info.ID, Name: f.file.name, Size: total, Parts: len(parts)}, f.backend.storedAs(&file, f.file)
}

// lookup asks once what became of a finish. Only a file of the same ID shows
// that it was done: that there is no unfinished large file any more may be the
// work of a cancel. One that is still unfinished shows nothing, because the service
// may be at work on a finish. The finished file is stored in found.
func (f *LargeFile) lookup(ctx context.Context, size int64, found *fileObject) (retry.Outcome, error) {
	file, err := f.find(ctx, f.backend.brief())
	if err == nil && file.Action == "start" {
		err = errors.New("it is still unfinished")
	}
	if err == nil {
		err = f.checkFile(file, size)
	}
	if err != nil {
		return retry.Unknown, err
	}
	*found = *file
	return retry.Done, nil
}

// find looks for the large file among the finished ones, and then among all
// versions, as far as the key allows.
func (f *LargeFile) find(ctx context.Context, b *Backend) (*fileObject, error) {
	failure := errors.New("the key has neither readFiles nor listFiles")
	if b.first.can("readFiles") {
		var file fileObject
		k := &call{method: getFileInfo, request: fileRequest{f.info.ID}, read: into(&file, nil)}
		if failure = b.client.do(ctx, k); failure == nil {
			return &file, nil
		}
	}
	if b.canList() {
		failure = errors.New("no such file is listed")
		for file, err := range b.versions(ctx, f.file.name) {
			if err == nil && file.FileID == f.info.ID {
				return &file, nil
			}
			failure = cmp.Or(err, failure)
		}
	}
	return nil, failure
}

// isRefusal reports whether the service said that there is no such file, in
// whatever words. A gateway's 404 does not say so.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code != "" && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound)
}

// checkFile returns why an answer about the finished file is not usable. size
// is 0 if it is not known.
func (f *LargeFile) checkFile(file *fileObject, size int64) error {
	if size > 0 && int64(file.ContentLength) != size {
		return fmt.Errorf("%d bytes stored of %d", file.ContentLength, size)
	}
	return sameID(file.FileID, f.info.ID)
}

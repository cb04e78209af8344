package sluice

import (
	"context"
	"errors"
	"io"
)

// Download writes the newest version of the file of that name to w, in order.
// It returns nil only if all bytes came and have the digests that the store
// keeps; see [NewReader]. What was written before a failure is not whole. opts
// may be nil.
func Download(ctx context.Context, s Source, name string, w io.Writer, opts *ReadOptions) (StoredFile, error) {
	r, err := NewReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	_, err = r.WriteTo(w)
	return r.File(), err
}

// DownloadAt writes the newest version of the file of that name to w, each range
// as soon as it has been fetched and verified, in any order and concurrently.
// Otherwise it is like [Download].
func DownloadAt(ctx context.Context, s Source, name string, w io.WriterAt, opts *ReadOptions) (StoredFile, error) {
	r, err := openReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	r.to = writerAt{w}
	return r.download()
}

// writerAt is a destination that keeps nothing.
type writerAt struct{ io.WriterAt }

func (w writerAt) writeRange(r *Range) error { return r.writeAt(w.WriterAt) }
func (w writerAt) forget(*Range)             {}

// download runs a reader that has a destination to its end.
func (r *LargeFileReader) download() (StoredFile, error) {
	r.begin()
	_, err := r.WriteTo(io.Discard)
	return r.File(), err
}

// DownloadFile writes the newest version of the file of that name to the file at
// path. That file is new, or is replaced, with the permissions it had, only once
// all bytes came, have the digests that the store keeps, and are synced to the
// disk. A new file, and one that replaces a file of another user, can be read and
// written by its owner only. If path is a link, device, FIFO, socket or folder,
// DownloadFile fails and leaves it alone.
//
// Ranges are written as they arrive to a partial file in the same folder, with a
// record of those that are verified and synced; the names of both begin with
// ".sluice-" and end with that of the target. They stay after a failure, a full
// disk and a crash included, and the next DownloadFile to that path resumes: it
// verifies what it finds, and fetches the rest. If the stored file was replaced
// meanwhile the partial file is of no use, and everything is fetched anew. The
// partial file is written by one DownloadFile at a time, in all processes; a
// second one fails. In a folder that others write to, either file may be one that
// another user has put there: if it is not a regular file with one name, of this
// process's user, which no other may write to, DownloadFile leaves it alone and
// fails. That holds for root too.
func DownloadFile(ctx context.Context, s Source, name, path string, opts *ReadOptions) (StoredFile, error) {
	r, err := openReader(ctx, s, name, opts)
	if err != nil {
		return StoredFile{}, err
	}
	defer r.Close()
	p, err := openPartial(path, &r.file)
	if err != nil {
		return StoredFile{}, r.error("write", nil, err)
	}
	r.source, r.to = p.source(s), p
	f, failed := r.download()
	if failed == nil {
		if err := p.publish(); err != nil {
			failed = r.error("write", nil, err)
		}
	} else if e, ok := errors.AsType[*Error](failed); ok && e.Part == 0 && errors.Is(failed, ErrDamaged) {
		p.discard() // some range is damaged, and nothing tells which
	}
	if err := p.close(); failed == nil && err != nil {
		failed = r.error("write", nil, err)
	}
	return f, failed
}

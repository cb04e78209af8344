package filebackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/disk"
	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/retry"
)

// ResumeLargeFile opens an unfinished large file, which then belongs to the new
// handle. It must have been started with the name, the content type and the
// metadata of spec; the sizes are compared if both are known. Stored has the
// parts whose data is on the disk, with their CRC-32C.
func (b *Backend) ResumeLargeFile(ctx context.Context, spec sluice.FileSpec, id string) (sluice.LargeFile, error) {
	if err := b.Check(spec); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	f, err := b.resume(ctx, spec, id)
	if err != nil {
		return nil, fmt.Errorf("filebackend: resuming %q in %s: %w", spec.Name, b.root.Name(), err)
	}
	return f, nil
}

func (b *Backend) resume(ctx context.Context, spec sluice.FileSpec, id string) (*largeFile, error) {
	if id == "" {
		found, damaged, err := b.search(ctx, path.Dir(spec.Name), false)
		if err != nil {
			return nil, err
		}
		for _, u := range found { // oldest first
			if u.Spec.Name == spec.Name && !b.outdated(u) {
				id = u.ID
			}
		}
		if id == "" {
			return nil, errors.Join(fmt.Errorf("no unfinished large file has that name: %w", fs.ErrNotExist), damaged)
		}
	}
	if !validID(id) {
		return nil, fmt.Errorf("large file %q: %w", id, fs.ErrNotExist)
	}
	f := b.handle(spec, id)
	if err := f.takeOver(); err != nil {
		return nil, fmt.Errorf("large file %s: %w", id, err)
	}
	return f, nil
}

// outdated reports whether the file of that name is newer than the start of the unfinished one.
func (b *Backend) outdated(u sluice.UnfinishedFile) bool {
	info, err := b.root.Lstat(u.Spec.Name)
	return err == nil && info.Mode().IsRegular() && info.ModTime().After(u.Started)
}

// Parts lists the parts of an unfinished large file whose data is on the disk,
// by rising number. It takes nothing over: the large file may be one that is
// being uploaded. The error matches [fs.ErrNotExist] if it is gone.
func (b *Backend) Parts(ctx context.Context, u sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	parts, err := b.partsOf(u)
	if err != nil {
		return nil, fmt.Errorf("filebackend: unfinished large file %s of %q in %s: %w", u.ID, u.Spec.Name, b.root.Name(), err)
	}
	return parts, nil
}

func (b *Backend) partsOf(u sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
	if err := b.Check(u.Spec); err != nil {
		return nil, err
	}
	if !validID(u.ID) {
		return nil, errGone
	}
	f := b.handle(u.Spec, u.ID)
	record, err := b.root.OpenOwn(f.record(), os.O_RDONLY)
	if err != nil {
		return nil, gone(err)
	}
	defer record.Close()
	_, rest, _, err := readRecord(record)
	if err != nil {
		return nil, err
	}
	data, unfinished, err := b.unfinished(f.data(), u.Spec.Name)
	if err == nil && !unfinished {
		err = errGone
	}
	if err != nil {
		return nil, err
	}
	layout, _, err := replay(rest)
	layout.cut(data.Size())
	return layout.parts(), err
}

// takeOver reads the record and makes f the owner of the large file.
func (f *largeFile) takeOver() (err error) {
	b := f.backend
	record, err := b.root.OpenOwn(f.record(), os.O_RDWR)
	if err != nil {
		return gone(err)
	}
	defer func() { err = errors.Join(err, closeRecord(record)) }()
	if err := lock(record); err != nil {
		return err
	}
	head, rest, before, err := readRecord(record)
	if err == nil {
		err = differs(head.spec(path.Join(path.Dir(f.spec.Name), head.Name)), f.spec)
	}
	if err != nil {
		return err
	}
	data, unfinished, err := b.unfinished(f.data(), f.spec.Name)
	if err != nil {
		return err
	}
	if !unfinished {
		return errors.Join(errGone, f.remove()) // what a crash has left of a finished one
	}
	layout, size, err := replay(rest)
	if err != nil { // nothing can resume it, and a stream may start anew instead
		return fmt.Errorf("%w: %w", sluice.ErrResumeMismatch, err)
	}
	layout.cut(data.Size())
	f.spec.Size = max(f.spec.Size, head.Size)
	f.layout, f.size = layout, before+size
	f.info.Stored = layout.receipts()
	if err := record.Truncate(f.size); err != nil { // a line that was cut short
		return err
	}
	f.open = &opened{record: record}
	now := time.Now().UTC()
	err = f.append(event{Resumed: &now})
	f.open = nil
	return err
}

// differs says what of a large file is not as spec has it.
func differs(is, spec sluice.FileSpec) error {
	switch {
	case is.Name != spec.Name:
		return fmt.Errorf("%w: it is named %q", sluice.ErrResumeMismatch, is.Name)
	case is.Size >= 0 && spec.Size >= 0 && is.Size != spec.Size:
		return fmt.Errorf("%w: its size is declared as %d, not %d", sluice.ErrResumeMismatch, is.Size, spec.Size)
	case is.ContentType != spec.ContentType:
		return fmt.Errorf("%w: it has the content type %q, not %q", sluice.ErrResumeMismatch, is.ContentType, spec.ContentType)
	case !maps.Equal(is.Metadata, spec.Metadata):
		return fmt.Errorf("%w: it has the metadata %v, not %v", sluice.ErrResumeMismatch, is.Metadata, spec.Metadata)
	}
	return nil
}

// unfinished looks at the data of an unfinished file of that name. It is not
// unfinished if there is none, or if it has its name already beside the hidden
// one.
func (b *Backend) unfinished(data, name string) (fs.FileInfo, bool, error) {
	info, err := b.root.Lstat(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if finished, err := b.root.Lstat(name); err == nil && os.SameFile(info, finished) {
		return info, false, nil
	}
	if err := b.root.CheckOwn(info); err != nil {
		return nil, false, err
	}
	return info, true, nil
}

// Unfinished lists what was unfinished when the iteration began. It looks into
// all folders that names with the prefix can lie in: all of the store for
// prefix "", only a/b for "a/b/c". It does not follow symbolic links, and
// passes over folders that it may not read, and what may be another user's,
// with a warning to the logger. Records that it cannot read are named by the
// error, which comes after all that it can.
func (b *Backend) Unfinished(ctx context.Context, prefix string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		found, damaged, err := b.search(ctx, folderOf(prefix), true)
		err = cmp.Or(err, damaged)
		for _, u := range found {
			if ctx.Err() != nil {
				err = retry.Ended(ctx, nil)
				break
			}
			if strings.HasPrefix(u.Spec.Name, prefix) && !yield(u, nil) {
				return
			}
		}
		if err != nil {
			none := sluice.UnfinishedFile{Spec: sluice.FileSpec{Size: sluice.UnknownSize}}
			yield(none, fmt.Errorf("filebackend: listing unfinished files in %s: %w", b.root.Name(), err))
		}
	}
}

// search returns the unfinished files in a folder, and in those below it,
// oldest first. damaged names the records that cannot be read: what they are
// about is not known.
func (b *Backend) search(ctx context.Context, dir string, below bool) (found []sluice.UnfinishedFile, damaged, err error) {
	err = b.walk(ctx, dir, func(name string, entry fs.DirEntry) error {
		if entry.IsDir() && name != dir && !below {
			return fs.SkipDir
		}
		u, ok, err := b.look(name)
		switch {
		case ok:
			found = append(found, u)
		case errors.Is(err, disk.ErrForeign):
			b.log.Warn("an unfinished file is passed over", "record", printable.Text(name), "because", err)
		default:
			damaged = errors.Join(damaged, err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(found, func(x, y sluice.UnfinishedFile) int { return strings.Compare(x.ID, y.ID) })
	return found, damaged, nil
}

// look reads what the record of that name is about. It is false if the file is
// no record, or nothing is unfinished.
func (b *Backend) look(name string) (u sluice.UnfinishedFile, ok bool, err error) {
	dir, base := path.Split(name)
	id, ok := strings.CutPrefix(base, prefix)
	if ok {
		id, ok = strings.CutSuffix(id, recordSuffix)
	}
	if !ok || !validID(id) {
		return u, false, nil
	}
	record, err := b.root.OpenOwn(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return u, false, nil
	}
	if err != nil {
		return u, false, err
	}
	defer record.Close()
	head, _, _, err := readRecord(record)
	if err == errGone {
		return u, false, nil
	}
	if err != nil {
		return u, false, fmt.Errorf("%s: %w", printable.Text(name), err)
	}
	spec := head.spec(path.Join(dir, head.Name))
	if _, ok, err = b.unfinished(dataName(dir, id), spec.Name); !ok || err != nil {
		return u, false, err
	}
	u = sluice.UnfinishedFile{ID: id, Spec: spec, Started: head.Started}
	if !u.Started.IsZero() {
		u.Age = time.Since(u.Started)
	}
	return u, true, nil
}

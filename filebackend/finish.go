package filebackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/disk"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Finish makes the file visible if the parts lie one after the other, none is
// missing, and none is stored beyond the last. parts are compared with what was
// stored; of whole there is nothing to compare. The data of parts that an
// earlier handle stored is read and compared with its recorded CRC-32C. A part
// that was damaged meanwhile is not stored any more, so that resuming again
// sends it.
func (f *largeFile) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	if ctx.Err() != nil {
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	total, err := f.finish(ctx, parts)
	if err != nil {
		return sluice.File{}, f.fail("finishing", err)
	}
	return sluice.File{ID: f.info.ID, Name: f.spec.Name, Size: total, Parts: len(parts)}, nil
}

func (f *largeFile) finish(ctx context.Context, parts []sluice.Receipt) (int64, error) {
	if n := len(f.layout.writing); n > 0 {
		return 0, fmt.Errorf("parts (%d) are being uploaded", n)
	}
	if err := f.enter(); err != nil {
		return 0, err
	}
	total, err := f.layout.tile(parts)
	if err == nil && f.spec.Size >= 0 && total != f.spec.Size {
		err = fmt.Errorf("its parts have %d bytes, its size is declared as %d", total, f.spec.Size)
	}
	if err == nil {
		err = f.compare(ctx)
	}
	if err == nil {
		err = f.publish(total)
	}
	// After publish nothing that fails changes the outcome.
	_ = f.leave()
	return total, err
}

// compare reads the parts that an earlier handle stored, and drops those whose
// data is not what was written. With f.mu held, while the files are open.
func (f *largeFile) compare(ctx context.Context) error {
	var damaged []int
	var unreadable error
	for i := range f.layout.stored {
		e := &f.layout.stored[i]
		if !e.unread {
			continue
		}
		sum, err := read(ctx, f.open.data, *e)
		if ctx.Err() != nil {
			return retry.Ended(ctx, nil)
		}
		if err != nil || sum != e.sum {
			damaged, unreadable = append(damaged, e.number), cmp.Or(unreadable, err)
			continue
		}
		e.unread = false
	}
	if len(damaged) == 0 {
		return nil
	}
	if err := f.append(event{Dropped: damaged}); err != nil {
		return err
	}
	f.layout.drop(damaged)
	err := fmt.Errorf("the data of parts %v was damaged after they were stored; resume the large file to send them again", damaged)
	return errors.Join(err, unreadable)
}

func (f *largeFile) single(ctx context.Context, p *sluice.Part) (sluice.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.enter()
	if err != nil {
		return sluice.File{}, f.fail("opening", err)
	}
	defer func() { _ = f.leave() }()
	sum, err := write(ctx, f.open.data, p)
	if err == nil && ctx.Err() != nil {
		err = retry.Ended(ctx, nil)
	}
	if err != nil {
		return sluice.File{}, f.fail("writing", err)
	}
	if err := f.publish(p.Size); err != nil {
		return sluice.File{}, f.fail("finishing", err)
	}
	return sluice.File{ID: f.info.ID, Name: f.spec.Name, Size: p.Size, Digests: digests(sum)}, nil
}

// publish makes the data the file. Its error says certainly that the large file
// is unfinished, or matches ErrFinishUnknown. With f.mu held, while the files
// are open.
func (f *largeFile) publish(size int64) error {
	b, data := f.backend, f.open.data
	info, err := data.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s has %d bytes, %d were written", f.data(), info.Size(), size)
	}
	if info.Size() > size { // of a part that was replaced
		if err := data.Truncate(size); err != nil {
			return err
		}
	}
	if err := f.setMode(info); err != nil {
		return err
	}
	if err := b.syncFile(data); err != nil {
		return err
	}
	if err := f.rename(info); err != nil {
		return err
	}
	if err := b.syncFolders(path.Dir(f.spec.Name)); err != nil {
		return fmt.Errorf("%w: the file is there, but its folder cannot be synced: %w", sluice.ErrFinishUnknown, err)
	}
	_ = b.root.Remove(f.record()) // alone it means nothing
	return nil
}

// setMode gives the data the permissions that the file is to have: those that
// were asked for, else those of the file that it replaces.
func (f *largeFile) setMode(data fs.FileInfo) error {
	replaced, err := f.backend.root.Replaced(f.spec.Name)
	if err != nil {
		return err
	}
	mode, chosen := f.backend.mode, true
	if mode == 0 {
		mode, chosen = f.backend.root.Kept(replaced)
	}
	if !chosen {
		mode = disk.NewMode
	}
	if data.Mode().Perm() == mode {
		return nil
	}
	err = f.open.data.Chmod(mode)
	if !chosen {
		return nil // it was made so, as far as the file system has permissions
	}
	return err
}

// rename gives the data its name. Where it fails, a look at the folder says what came of it.
func (f *largeFile) rename(data fs.FileInfo) error {
	b := f.backend
	err := b.publish(f.data(), f.spec.Name)
	if err == nil {
		return nil
	}
	is := func(name string) (bool, error) {
		info, err := b.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil && os.SameFile(info, data), err
	}
	visible, failed := is(f.spec.Name)
	if visible {
		return nil
	}
	hidden, alsoFailed := is(f.data())
	if failed == nil && hidden {
		return err
	}
	return fmt.Errorf("%w: %w", sluice.ErrFinishUnknown, errors.Join(err, failed, alsoFailed))
}

// Cancel removes the large file. Folders that were made for it stay. It is
// refused while parts are being uploaded, and to a handle that has lost the
// large file to another.
func (f *largeFile) Cancel(ctx context.Context) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.cancel(); err != nil {
		return f.fail("cancelling", err)
	}
	return nil
}

func (f *largeFile) cancel() error {
	if n := len(f.layout.writing); n > 0 {
		return fmt.Errorf("parts (%d) are being uploaded", n)
	}
	record, err := f.openRecord()
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.remove(), closeRecord(record))
}

// remove removes both files, the record last: alone it means nothing.
func (f *largeFile) remove() error {
	for _, name := range []string{f.data(), f.record()} {
		if err := f.backend.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

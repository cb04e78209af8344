package filebackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/disk"
	"github.com/c1508ce4/sluice/internal/retry"
)

var _ sluice.Source = (*Backend)(nil)

// Stat describes the regular file of that name. Its ID is made of the time of
// its last change, its size and, where the system has one, its inode number, so
// that it differs from that of any file that takes its name. A folder keeps no
// content type, metadata or digests; [sluice.Options].Manifest does.
func (b *Backend) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	if ctx.Err() != nil {
		return sluice.StoredFile{}, retry.Ended(ctx, nil)
	}
	info, err := b.lstat(name)
	if err != nil {
		return sluice.StoredFile{}, b.failed("looking at", name, err)
	}
	return describe(name, info), nil
}

func (b *Backend) failed(doing, name string, err error) error {
	return fmt.Errorf("filebackend: %s %q in %s: %w", doing, name, b.root.Name(), err)
}

func (b *Backend) lstat(name string) (fs.FileInfo, error) {
	if err := b.Check(sluice.FileSpec{Name: name, Size: sluice.UnknownSize}); err != nil {
		return nil, err
	}
	info, err := b.root.Lstat(name)
	if errors.Is(err, syscall.ENOTDIR) { // an element of the path is a file
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is %s, not a regular file: %w", disk.Kind(info.Mode()), fs.ErrNotExist)
	}
	return info, err
}

func describe(name string, info fs.FileInfo) sluice.StoredFile {
	modified := info.ModTime()
	return sluice.StoredFile{
		File:     sluice.File{ID: fmt.Sprintf("%d-%d-%d", modified.UnixNano(), info.Size(), disk.Inode(info)), Name: name, Size: info.Size()},
		Modified: modified,
	}
}

// ReadRange reads from the file that Stat described. If that was changed
// meanwhile, or another one has taken its name, the error matches
// [sluice.ErrReplaced].
func (b *Backend) ReadRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	if err := b.readRange(ctx, f, r); err != nil {
		return b.failed("reading", f.Name, err)
	}
	return nil
}

func (b *Backend) readRange(ctx context.Context, f sluice.StoredFile, r *sluice.Range) error {
	if _, err := b.lstat(f.Name); err != nil {
		return err
	}
	// If a FIFO has taken the name since, it must not wait for its other end.
	file, err := b.root.OpenFile(f.Name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := sameVersion(file, f); err != nil {
		return err
	}
	offset, size := r.Attempt()
	if offset < 0 || size < 0 || offset > f.Size-size {
		return fmt.Errorf("bytes %d to %d are beyond its %d", offset, offset+size, f.Size)
	}
	if _, err := r.ReadFrom(&pausing{ctx, io.NewSectionReader(file, offset, size)}); err != nil {
		return err
	}
	if r.Missing() > 0 {
		return fmt.Errorf("it has become shorter: %w", sluice.ErrReplaced)
	}
	return sameVersion(file, f)
}

// sameVersion returns an error if an open file is not the one that f describes.
func sameVersion(file *os.File, f sluice.StoredFile) error {
	info, err := file.Stat()
	if err == nil && describe(f.Name, info).ID != f.ID {
		err = sluice.ErrReplaced
	}
	return err
}

// pausing reads at most a MiB at a time, until ctx ends.
type pausing struct {
	ctx  context.Context
	from io.Reader
}

func (p *pausing) Read(q []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, retry.Ended(p.ctx, nil)
	}
	return p.from.Read(q[:min(len(q), 1<<20)])
}

// List yields the regular files that are there when the iteration begins. Like
// Unfinished it looks into all folders that names with the prefix can lie in,
// follows no symbolic links, and passes over folders that it may not read.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		found, err := b.list(ctx, prefix)
		for _, f := range found {
			if ctx.Err() != nil {
				err = retry.Ended(ctx, nil)
				break
			}
			if !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(sluice.StoredFile{}, fmt.Errorf("filebackend: listing files in %s: %w", b.root.Name(), err))
		}
	}
}

func (b *Backend) list(ctx context.Context, begins string) ([]sluice.StoredFile, error) {
	var found []sluice.StoredFile
	err := b.walk(ctx, folderOf(begins), func(name string, entry fs.DirEntry) error {
		switch {
		case strings.HasPrefix(path.Base(name), prefix):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular() || !strings.HasPrefix(name, begins):
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			found = append(found, describe(name, info))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y sluice.StoredFile) int { return cmp.Compare(x.Name, y.Name) })
	return found, nil
}

// folderOf returns the folder that names with the prefix can lie in, or below.
func folderOf(prefix string) string {
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		return prefix[:i]
	}
	return "."
}

// walk visits a folder and all below it. It passes over what is gone meanwhile,
// and over folders below that may not be read.
func (b *Backend) walk(ctx context.Context, dir string, visit func(name string, entry fs.DirEntry) error) error {
	if !fs.ValidPath(dir) {
		return nil // no name begins so
	}
	return fs.WalkDir(b.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return retry.Ended(ctx, nil)
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && name != dir:
			return nil
		case err != nil:
			return err
		}
		return visit(name, entry)
	})
}

// Remove removes the file that f describes. If that was changed or replaced
// meanwhile the error matches [sluice.ErrReplaced]; if there is no such file,
// [fs.ErrNotExist].
func (b *Backend) Remove(ctx context.Context, f sluice.StoredFile) error {
	if ctx.Err() != nil {
		return retry.Ended(ctx, nil)
	}
	info, err := b.lstat(f.Name)
	if err == nil && describe(f.Name, info).ID != f.ID {
		err = sluice.ErrReplaced
	}
	if err == nil {
		err = b.root.Remove(f.Name)
	}
	if err == nil {
		err = b.syncFolders(path.Dir(f.Name))
	}
	if err != nil {
		return b.failed("removing", f.Name, err)
	}
	return nil
}

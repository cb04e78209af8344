package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/c1508ce4/sluice"
)

// folder is a store in a folder of the file system, and a whole sluice.Backend.
// Each file is itself a folder, with one file for each part: "a/b" is
// a%2Fb.parts/00001, 00002, …, and finishing it is one rename. What this store
// does not do is data in Limits, and answered by the embedded
// sluice.Unsupported. Parts are synced, the rename is not: a power failure just
// after Finish can undo it. For use, take package filebackend.
type folder struct {
	sluice.Unsupported
	root string
}

// maxParts is what the names of the parts have room for.
const maxParts = 99_999

func (f folder) Limits() sluice.Limits { return sluice.Limits{MaxParts: maxParts} }

func (f folder) Check(spec sluice.FileSpec) error {
	if n := len(filepath.Base(f.path(spec.Name))); spec.Name == "" || n > 255 {
		return fmt.Errorf("folder: name %q needs %d bytes in the file system, which takes 7 to 255", spec.Name, n)
	}
	return nil
}

// ended returns the error and the cause of a context that has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return errors.Join(ctx.Err(), context.Cause(ctx))
}

func (f folder) path(name string) string { return filepath.Join(f.root, url.PathEscape(name)+".parts") }

func (f folder) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.path(spec.Name)); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("folder: %q is there already", spec.Name), err)
	}
	dir, err := os.MkdirTemp(f.root, "unfinished-")
	if err != nil {
		return nil, err
	}
	return &unfinished{name: spec.Name, dir: dir, final: f.path(spec.Name)}, nil
}

// unfinished is a large file on its way: a folder of its own under a name that no file has.
type unfinished struct{ name, dir, final string }

func (u *unfinished) Info() sluice.LargeFileInfo {
	return sluice.LargeFileInfo{ID: filepath.Base(u.dir)}
}

func (u *unfinished) part(number int) string {
	return filepath.Join(u.dir, fmt.Sprintf("%05d", number))
}

func (u *unfinished) UploadPart(ctx context.Context, p *sluice.Part) (sluice.Receipt, error) {
	if p.Number < 1 || p.Number > maxParts {
		return sluice.Receipt{}, fmt.Errorf("folder: part number %d is not in 1 to %d", p.Number, maxParts)
	}
	if err := ended(ctx); err != nil {
		return sluice.Receipt{}, err
	}
	body := p.Attempt()
	defer body.Close() // after it nothing touches the part's bytes
	file, err := os.Create(u.part(p.Number))
	if err != nil {
		return sluice.Receipt{}, err // after Cancel, too: there is no folder
	}
	// a disk is done soon; a request over a network has to end with ctx
	_, err = io.Copy(file, body)
	return sluice.Receipt{Number: p.Number, Size: p.Size}, errors.Join(err, file.Sync(), file.Close())
}

func (u *unfinished) Finish(ctx context.Context, parts []sluice.Receipt, _ sluice.Digests) (sluice.File, error) {
	file := sluice.File{ID: filepath.Base(u.final), Name: u.name, Parts: len(parts)}
	if len(parts) == 0 {
		return sluice.File{}, fmt.Errorf("folder: %q has no parts", u.name)
	}
	for i, r := range parts {
		info, err := os.Stat(u.part(i + 1))
		if err != nil || r.Size != info.Size() {
			return sluice.File{}, errors.Join(fmt.Errorf("folder: part %d of %q is not what its receipt says", i+1, u.name), err)
		}
		file.Size += r.Size
	}
	if err := ended(ctx); err != nil {
		return sluice.File{}, err
	}
	// which fails if another stream was faster with this name
	return file, os.Rename(u.dir, u.final)
}

func (u *unfinished) Cancel(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	return os.RemoveAll(u.dir) // nil if there is none: after Finish it has another name
}

package memorybackend

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// FS shows the finished files, now and in future, as a file system. Names are
// divided into folders at their slashes. A file whose name [fs.ValidPath]
// refuses is not in it, and neither is one whose folder is itself a file:
// [Backend.Open] reads both.
func (b *Backend) FS() fs.FS { return fileSystem{b} }

type fileSystem struct{ backend *Backend }

// Open opens a file or a folder.
func (s fileSystem) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	names := s.backend.Names()
	if name != "." && visible(name, s.backend) {
		if f, err := s.backend.Open(name); err == nil {
			return f, nil
		}
	}
	entries := s.list(name, names)
	if len(entries) == 0 && name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &folder{info: folderInfo(path.Base(name)), name: name, entries: entries}, nil
}

// list returns what is directly in a folder, out of all names.
func (s fileSystem) list(dir string, names []string) []fs.DirEntry {
	var entries []fs.DirEntry
	seen := make(map[string]bool)
	for _, name := range names {
		rest := name
		if dir != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(name, dir+"/"); !ok {
				continue
			}
		}
		if !fs.ValidPath(name) || name == "." || !visible(name, s.backend) {
			continue
		}
		first, _, deeper := strings.Cut(rest, "/")
		if seen[first] {
			continue
		}
		seen[first] = true
		if deeper {
			entries = append(entries, fs.FileInfoToDirEntry(folderInfo(first)))
		} else if e := s.backend.lookup(name); e != nil {
			entries = append(entries, fs.FileInfoToDirEntry(fileInfo{e}))
		}
	}
	return entries
}

// visible reports that no folder on the way to name is a file.
func visible(name string, b *Backend) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if b.lookup(dir) != nil {
			return false
		}
	}
	return true
}

type folder struct {
	info    folderInfo
	name    string
	entries []fs.DirEntry // not yet read
}

var _ fs.ReadDirFile = (*folder)(nil)

func (d *folder) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *folder) Close() error               { return nil }

func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fmt.Errorf("is a folder: %w", fs.ErrInvalid)}
}

func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	count := len(d.entries)
	if n > 0 {
		if count == 0 {
			return nil, io.EOF
		}
		count = min(n, count)
	}
	read := d.entries[:count:count]
	d.entries = d.entries[count:]
	return read, nil
}

// folderInfo describes a folder, by its last name.
type folderInfo string

func (i folderInfo) Name() string     { return string(i) }
func (folderInfo) Size() int64        { return 0 }
func (folderInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o555 }
func (folderInfo) ModTime() time.Time { return time.Time{} }
func (folderInfo) IsDir() bool        { return true }
func (folderInfo) Sys() any           { return nil }
func (i folderInfo) String() string   { return fs.FormatFileInfo(i) }

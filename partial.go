package sluice

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/c1508ce4/sluice/internal/disk"
)

// partialFile is a file that a restore writes beside its target. A text file
// next to it, the record, lists the ranges that are verified and synced: the
// first line is about the version of the stored file, each further one about
// one range. A line counts once its line feed is written, so a last line that a
// crash has cut short means nothing.
//
// The record is locked from open to close, so that two restores never write to
// the same file. Both files are this user's own: in a folder that others write
// to, what has their names may be planted.
type partialFile struct {
	folder *disk.Folder
	target string // in folder
	size   int64
	data   *os.File
	record *os.File

	mu      sync.Mutex
	done    extents // verified and in the file
	pending extents // of these, not in the record
	synced  time.Time
	syncing bool
	failed  bool // a sync failed: what is pending may never reach the disk
}

const (
	partialPrefix  = ".sluice-partial-"
	progressPrefix = ".sluice-progress-"
	// syncEvery is the time after which the next range that is written is
	// recorded, with those before it.
	syncEvery = time.Second
	// maxRecord is the largest record that is read, in bytes. One of 10 TB that
	// came in ranges of 4 MiB, each with a line of its own, has half of it.
	maxRecord = 256 << 20
	// maxLine is the longest line of a record that means something, in bytes.
	maxLine = 64 << 10
	// mostTries is how often a file is opened that is gone by then, or a record
	// is locked that is no longer the one of its name.
	mostTries = 100
)

// partialVersion is the first line of a record.
type partialVersion struct {
	Format int    `json:"sluice_partial"`
	Name   string `json:"name"`
	ID     string `json:"id"`
	ETag   string `json:"etag,omitempty"`
	Size   int64  `json:"size"`
}

// openPartial opens the partial file of the target at path. What an earlier run
// has written of the same version is kept, and anything else discarded.
func openPartial(path string, f *StoredFile) (*partialFile, error) {
	dir, target := filepath.Split(path)
	if target == "" {
		return nil, fmt.Errorf("%q is not the path of a file", path)
	}
	root, err := os.OpenRoot(filepath.Clean(dir + "."))
	if err != nil {
		return nil, err
	}
	p := &partialFile{folder: disk.NewFolder(root), target: target, size: f.Size}
	if err := p.open(partialVersion{1, f.Name, f.ID, f.ETag, f.Size}); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *partialFile) open(version partialVersion) error {
	if _, err := p.mode(); err != nil {
		return err
	}
	if err := p.lock(); err != nil {
		return err
	}
	var err error
	if p.data, err = p.openFile(partialPrefix+p.target, 0); err != nil {
		return err
	}
	info, err := p.data.Stat()
	if err != nil {
		return err
	}
	whole, ok, err := p.replay(p.record, version, info.Size())
	if err != nil {
		return err
	}
	if ok {
		return p.record.Truncate(whole)
	}
	if err := errors.Join(p.record.Truncate(0), p.data.Truncate(0)); err != nil {
		return err
	}
	return errors.Join(p.write(version), p.syncFolder())
}

func (p *partialFile) path(name string) string { return filepath.Join(p.folder.Name(), name) }

// mode returns the permissions that the target is to have: those of the file
// that it replaces, if that is this user's.
func (p *partialFile) mode() (fs.FileMode, error) {
	replaced, err := p.folder.Replaced(p.target)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.path(p.target), err)
	}
	if mode, ok := p.folder.Kept(replaced); ok {
		return mode, nil
	}
	return disk.NewMode, nil
}

// lock opens and locks the record. The one that it opens may be removed before
// it has the lock, by the restore that had it.
func (p *partialFile) lock() error {
	name := progressPrefix + p.target
	for range mostTries {
		record, err := p.openFile(name, os.O_APPEND)
		if err != nil {
			return err
		}
		p.record = record
		if err := disk.Lock(record); errors.Is(err, disk.ErrLocked) {
			return fmt.Errorf("another restore is writing to %s", p.path(p.target))
		} else if err != nil {
			return err
		}
		opened, err := record.Stat()
		if err != nil {
			return err
		}
		named, err := p.folder.Lstat(name)
		if err == nil && os.SameFile(opened, named) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := p.unlock(); err != nil {
			return err
		}
	}
	return p.unsteady(name)
}

func (p *partialFile) unlock() error {
	record := p.record
	p.record = nil
	return errors.Join(disk.Unlock(record), record.Close())
}

// openFile opens a file of this user's own, which it makes if there is none.
func (p *partialFile) openFile(name string, flag int) (*os.File, error) {
	for range mostTries {
		f, err := p.folder.CreateOwn(name, flag)
		if errors.Is(err, fs.ErrExist) {
			f, err = p.folder.OpenOwn(name, os.O_RDWR|flag)
			if errors.Is(err, fs.ErrNotExist) {
				continue // another restore has ended meanwhile
			}
		}
		if errors.Is(err, disk.ErrForeign) {
			err = fmt.Errorf("%s is left alone: %w; remove it, or restore into a folder that no other user writes to", p.path(name), err)
		}
		return f, err
	}
	return nil, p.unsteady(name)
}

// unsteady is the error about a file that another process keeps replacing.
func (p *partialFile) unsteady(name string) error {
	return fmt.Errorf("%s is replaced again and again", p.path(name))
}

// replay reads a record. ok is false if it is not about that version of the file
// or is damaged, else whole is how many of its bytes mean something. size is of
// the partial file.
func (p *partialFile) replay(record io.Reader, version partialVersion, size int64) (whole int64, ok bool, err error) {
	lines := bufio.NewReaderSize(record, maxLine)
	for whole <= maxRecord {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull), err == io.EOF:
			return whole, ok, nil
		case err != nil:
			return 0, false, err
		case !ok:
			if ok = version.isIn(line); !ok {
				return 0, false, nil
			}
		default:
			var e extent
			if json.Unmarshal(line, &e) != nil || e.Offset < 0 || e.Size < 1 || e.Size > version.Size-e.Offset {
				return whole, ok, nil
			}
			if e.end() <= size {
				p.done.add(e)
			}
		}
		whole += int64(len(line))
	}
	return 0, false, fmt.Errorf("the record %s has more than %d bytes; remove it to fetch everything anew", p.path(progressPrefix+p.target), maxRecord)
}

// isIn reports whether line, the first of a record, is about that version.
func (v partialVersion) isIn(line []byte) bool {
	var of partialVersion
	if json.Unmarshal(line, &of) != nil || of.ETag != v.ETag && of.ETag != "" && v.ETag != "" {
		return false
	}
	of.ETag = v.ETag
	return of == v
}

func (p *partialFile) write(lines ...any) error {
	var text []byte
	for _, l := range lines {
		line, err := json.Marshal(l)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	_, err := p.record.Write(text)
	return err
}

// source returns s, but for the ranges that the file has, which are read from it.
func (p *partialFile) source(s Source) Source { return &partialSource{s, p} }

type partialSource struct {
	Source
	file *partialFile
}

func (s *partialSource) ReadRange(ctx context.Context, f StoredFile, r *Range) error {
	if !s.file.has(r.extent()) {
		return s.Source.ReadRange(ctx, f, r)
	}
	r.onDisk = true
	_, err := r.ReadFrom(io.NewSectionReader(s.file.data, r.Offset+r.filled, r.Missing()))
	if err == nil && r.Missing() > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (p *partialFile) has(e extent) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done.cover(e)
}

func (p *partialFile) writeRange(r *Range) error {
	if err := r.writeAt(p.data); err != nil {
		return err
	}
	p.mu.Lock()
	p.done.add(r.extent())
	p.pending.add(r.extent())
	due := !p.syncing && time.Since(p.synced) >= syncEvery
	p.syncing = p.syncing || due
	p.mu.Unlock()
	if !due {
		return nil
	}
	return p.sync()
}

// forget discards the bytes of r, which are damaged, or cannot be read.
func (p *partialFile) forget(r *Range) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.remove(r.extent())
}

// sync syncs what was written, and records it. It is called by one goroutine at
// a time.
func (p *partialFile) sync() error {
	p.mu.Lock()
	batch, failed := p.pending, p.failed
	p.pending = nil
	p.mu.Unlock()
	if failed || len(batch) == 0 {
		return nil
	}
	err := p.data.Sync()
	if err == nil {
		lines := make([]any, len(batch))
		for i := range batch {
			lines[i] = batch[i]
		}
		err = p.write(lines...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.synced, p.syncing, p.failed = time.Now(), false, err != nil
	return err
}

// publish gives the file, of which everything is there, the name of the target.
func (p *partialFile) publish() error {
	info, err := p.data.Stat()
	if err == nil && info.Size() != p.size {
		err = fmt.Errorf("%s has %d bytes, not %d", p.data.Name(), info.Size(), p.size)
	}
	if err == nil {
		err = errors.Join(p.sync(), p.data.Sync())
	}
	var mode fs.FileMode
	if err == nil {
		mode, err = p.mode()
	}
	// Last, because a run that finds a file to which others may write does not
	// resume it.
	if err == nil && info.Mode().Perm() != mode {
		err = errors.Join(p.data.Chmod(mode), p.data.Sync())
	}
	if err != nil {
		return err
	}
	err = p.data.Close()
	p.data = nil
	if err == nil {
		err = p.folder.Rename(partialPrefix+p.target, p.target)
	}
	if err == nil {
		err = p.syncFolder()
	}
	if err == nil {
		err = p.folder.Remove(progressPrefix + p.target)
	}
	return err
}

// discard has the next run begin anew.
func (p *partialFile) discard() {
	p.failed = true
	_ = errors.Join(p.record.Truncate(0), p.data.Truncate(0)) // one of them is enough
}

func (p *partialFile) syncFolder() error {
	folder, err := p.folder.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(disk.SyncFolder(folder), folder.Close())
}

// close records what is in the file, and gives it up. It may be published.
func (p *partialFile) close() error {
	var err error
	if p.data != nil {
		err = errors.Join(p.sync(), p.data.Close())
	}
	if p.record != nil {
		err = errors.Join(err, p.unlock())
	}
	return errors.Join(err, p.folder.Close())
}

type extent struct {
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

func (e extent) end() int64 { return e.Offset + e.Size }

// extents are runs of bytes, by rising offset, with bytes missing in between.
type extents []extent

// add adds the bytes of e, some of which may be there.
func (x *extents) add(e extent) {
	first, last := x.touched(e)
	if first < last {
		end := max(e.end(), (*x)[last-1].end())
		e.Offset = min(e.Offset, (*x)[first].Offset)
		e.Size = end - e.Offset
	}
	*x = slices.Replace(*x, first, last, e)
}

func (x *extents) remove(e extent) {
	first, last := x.touched(e)
	var rest []extent
	for _, o := range (*x)[first:last] {
		if o.Offset < e.Offset {
			rest = append(rest, extent{o.Offset, min(o.end(), e.Offset) - o.Offset})
		}
		if o.end() > e.end() {
			from := max(o.Offset, e.end())
			rest = append(rest, extent{from, o.end() - from})
		}
	}
	*x = slices.Replace(*x, first, last, rest...)
}

func (x extents) cover(e extent) bool {
	first, last := x.touched(e)
	return slices.ContainsFunc(x[first:last], func(o extent) bool { return o.Offset <= e.Offset && e.end() <= o.end() })
}

// touched returns which of x overlap e or border on it.
func (x extents) touched(e extent) (first, last int) {
	first, _ = slices.BinarySearchFunc(x, e.Offset, func(o extent, offset int64) int { return cmp.Compare(o.end(), offset) })
	for last = first; last < len(x) && x[last].Offset <= e.end(); {
		last++
	}
	return first, last
}

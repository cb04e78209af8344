package filebackend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/disk"
	"github.com/c1508ce4/sluice/internal/retry"
)

// Options says how files are kept. A nil *Options and the zero value are the same.
type Options struct {
	// NoOverwrite refuses a file whose name exists, when it is started and,
	// also against other processes, when it is finished; the error matches
	// [io/fs.ErrExist]. It needs a file system with hard links.
	NoOverwrite bool

	// NoSync leaves syncing to the system: faster, for benchmarks. A crash of
	// the process loses nothing that was acknowledged, but a power cut may, and
	// may leave damaged files.
	NoSync bool

	// Mode is the permissions that files have when they are finished, exactly,
	// whatever the umask. 0 gives a new file 0600, and one that replaces
	// another of the same user the permissions of that; those of another user's
	// are not taken over. Until then a file is readable by its owner alone.
	Mode fs.FileMode

	// Logger is told, as warnings, of unfinished files that are passed over
	// because they may be another user's. nil is silent.
	Logger *slog.Logger
}

// Backend is a folder as a store. It may be used concurrently, and other
// processes may use the folder at the same time.
type Backend struct {
	root        *disk.Folder
	noOverwrite bool
	mode        fs.FileMode // 0: see Options
	log         *slog.Logger

	// What follows depends on the options.
	publish     func(from, to string) error // makes a data file visible under its name
	syncFile    func(*os.File) error
	syncFolders func(dir string) error // a folder and those above it, up to the root

	mu   sync.Mutex
	last time.Time // of the latest id
}

var _ sluice.Backend = (*Backend)(nil)

// New returns the store in a folder, which must exist. Close it when it is not needed any more.
func New(dir string, o *Options) (*Backend, error) {
	if o == nil {
		o = new(Options)
	}
	if o.Mode&^fs.ModePerm != 0 {
		return nil, fmt.Errorf("filebackend: Options.Mode %v has more than permissions", o.Mode)
	}
	opened, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("filebackend: %w", err)
	}
	root := disk.NewFolder(opened)
	b := &Backend{root: root, noOverwrite: o.NoOverwrite, mode: o.Mode, log: o.Logger, publish: root.Rename}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if o.NoOverwrite {
		b.publish = b.publishNew
	}
	b.syncFile = (*os.File).Sync
	b.syncFolders = func(dir string) error { return syncFolders(opened, dir) }
	if o.NoSync {
		b.syncFile = func(*os.File) error { return nil }
		b.syncFolders = func(string) error { return nil }
	}
	return b, nil
}

// publishNew is a rename that fails if there is a file of that name.
func (b *Backend) publishNew(from, to string) error {
	if err := b.root.Link(from, to); err != nil {
		return err
	}
	_ = b.root.Remove(from) // what is left is known by being the same file
	return nil
}

// Close gives up the folder. Calls after it fail.
func (b *Backend) Close() error { return b.root.Close() }

// maxParts bounds what a writer and a record hold of the parts to some ten megabytes.
const maxParts = 100_000

// Limits says: parts of any size, 1 to 100,000 of them, each with a CRC-32C;
// files and single uploads of any size; resumable. Parts are not repeatable:
// two uploads of one would write the same bytes of the file, and a disk that is
// slow is not faster the second time.
func (b *Backend) Limits() sluice.Limits {
	return sluice.Limits{
		MinParts:    1,
		MaxParts:    maxParts,
		MaxSingle:   math.MaxInt64,
		Resumable:   true,
		PartDigests: []sluice.Algorithm{crc32c()},
	}
}

// Check refuses a name that is not a path in the folder, or is reserved for
// unfinished files, and a negative size.
func (b *Backend) Check(spec sluice.FileSpec) error {
	if spec.Name == "" {
		return errors.New("filebackend: the name is empty")
	}
	if _, err := filepath.Localize(spec.Name); err != nil || spec.Name == "." {
		return fmt.Errorf("filebackend: the name %q is not a relative path of plain elements separated by slashes", spec.Name)
	}
	for element := range strings.SplitSeq(spec.Name, "/") {
		if strings.HasPrefix(element, prefix) {
			return fmt.Errorf("filebackend: the name %q has an element that begins with %q, which is for unfinished files",
				spec.Name, prefix)
		}
	}
	if spec.Size < sluice.UnknownSize {
		return fmt.Errorf("filebackend: size %d of %q is negative", spec.Size, spec.Name)
	}
	return nil
}

// UploadFile stores a whole file. While it runs, the file is listed as unfinished.
func (b *Backend) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if err := b.Check(spec); err != nil {
		return sluice.File{}, err
	}
	switch {
	case p.Number != 0:
		return sluice.File{}, fmt.Errorf("filebackend: a single upload of %q has the part number %d, not 0", spec.Name, p.Number)
	case p.Size != spec.Size:
		return sluice.File{}, fmt.Errorf("filebackend: a single upload of %q has %d bytes, its size is declared as %d",
			spec.Name, p.Size, spec.Size)
	case ctx.Err() != nil:
		return sluice.File{}, retry.Ended(ctx, nil)
	}
	f, err := b.start(spec)
	if err != nil {
		return sluice.File{}, err
	}
	file, err := f.single(ctx, p)
	if err != nil && !errors.Is(err, sluice.ErrFinishUnknown) {
		err = errors.Join(err, f.Cancel(context.WithoutCancel(ctx)))
	}
	return file, err
}

// StartLargeFile begins a large file. It makes the folders on the way to its name.
func (b *Backend) StartLargeFile(ctx context.Context, spec sluice.FileSpec) (sluice.LargeFile, error) {
	if err := b.Check(spec); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, retry.Ended(ctx, nil)
	}
	f, err := b.start(spec)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// start makes the two files of an unfinished file, so that they outlive a power cut.
func (b *Backend) start(spec sluice.FileSpec) (*largeFile, error) {
	f, err := b.startUnnamed(spec)
	if err != nil {
		return nil, fmt.Errorf("filebackend: starting %q in %s: %w", spec.Name, b.root.Name(), err)
	}
	return f, nil
}

func (b *Backend) startUnnamed(spec sluice.FileSpec) (*largeFile, error) {
	if err := b.prepare(spec.Name); err != nil {
		return nil, err
	}
	now := b.now()
	f := b.handle(spec, newID(now))
	head, err := encode(header{
		Version: version, Name: path.Base(spec.Name), Size: spec.Size,
		ContentType: spec.ContentType, Info: spec.Metadata, Started: now,
	})
	if err != nil {
		return nil, err
	}
	f.size = int64(len(head))
	// The record comes first: alone it means nothing.
	record, err := b.root.CreateOwn(f.record(), 0)
	if err != nil {
		return nil, err
	}
	_, err = record.Write(head)
	if err == nil {
		err = b.syncFile(record)
	}
	var data *os.File
	if err = errors.Join(err, record.Close()); err == nil {
		data, err = b.root.CreateOwn(f.data(), 0)
	}
	if err == nil {
		err = data.Close()
	}
	if err == nil {
		err = b.syncFolders(path.Dir(spec.Name))
	}
	if err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

// prepare makes the folders on the way to name, and sees early what Finish would fail of.
func (b *Backend) prepare(name string) error {
	if dir := path.Dir(name); dir != "." {
		if err := b.root.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	replaced, err := b.root.Replaced(name)
	if err == nil && replaced != nil && b.noOverwrite {
		err = fmt.Errorf("there is a file of that name: %w", fs.ErrExist)
	}
	return err
}

// now is the time, later in every call, so that ids of one Backend come in order.
func (b *Backend) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now().UTC().Round(0)
	if !now.After(b.last) {
		now = b.last.Add(1)
	}
	b.last = now
	return now
}

const (
	prefix       = ".sluice-" // of the files of an unfinished file
	recordSuffix = ".record"
)

// newID is the time and something random: unique, and in the order of time.
func newID(now time.Time) string {
	return now.Format("20060102T150405.000000000") + "-" + strings.ToLower(rand.Text()[:10])
}

// validID tells whether id is one that may be put into the name of a file.
func validID(id string) bool {
	return id != "" && strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzT.-") == "" && !strings.HasSuffix(id, recordSuffix)
}

// syncFolders makes what happened to the entries of a folder, and of those
// above it, outlive a power cut.
func syncFolders(root *os.Root, dir string) error {
	for ; ; dir = path.Dir(dir) {
		f, err := root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(disk.SyncFolder(f), f.Close()); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

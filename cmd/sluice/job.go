package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/size"
)

// job is one upload. upload runs on a goroutine of its own; what others look at meanwhile is
// atomic.
type job struct {
	*config
	source *source

	stream atomic.Pointer[stream]               // nil until the destination is open
	large  atomic.Pointer[sluice.LargeFileInfo] // nil until it is started or resumed
	// Close has been called on a stream without failure
	finishing atomic.Bool
	stored    atomic.Pointer[sluice.File] // nil until it is whole
	restarted atomic.Bool                 // the stream did not match what is stored
	declared  bool                        // the size of a regular file on standard input is

	recent recent // only supervise draws progress
}

// stream is a writer and the name of its file.
type stream struct {
	*sluice.LargeFileWriter
	name string
}

func newJob(c *config) *job { return &job{config: c, source: newSource(c)} }

// result is how a job ended.
type result struct {
	code  int
	err   error
	file  sluice.File
	large string   // id of the large file that is or may be left
	older *pruning // nil unless older files were to be removed
}

// upload is the life of the stream.
func (j *job) upload(ctx context.Context) result {
	ctx, cancel := context.WithCancel(ctx) // whatever waits to be read from ends with it
	defer cancel()
	dest, err := j.open(ctx)
	if err != nil {
		return failure(err)
	}
	if err := dest.named(j.config.dest); err != nil {
		return failure(err)
	}
	if dest.look != nil {
		if err := dest.look(ctx); err != nil {
			return failure(err)
		}
	}
	var older *pruning
	if j.keepFiles.given() {
		if older, err = j.keepFiles.newPruning(dest, j.settings.url(j.given), j.url, j.showOlder); err != nil {
			return failure(err)
		}
	}
	j.declared = j.config.spool == "" && j.mustDeclare(ctx, dest)
	options := j.options()
	var whole *spooled
	if j.config.spool != "" {
		if whole, err = j.spool(ctx); err != nil {
			return failure(err)
		}
		defer whole.Close()
		if options.Size == 0 {
			options.Size = whole.size
		}
		// To New a size of 0 is none that is known.
		if err := dest.backend.Check(sluice.FileSpec{Name: dest.name, Size: whole.size}); err != nil {
			return failure(err)
		}
	}
	w, err := sluice.New(ctx, dest.backend, dest.name, options)
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Op == "open" && whole == nil {
		return failure(usageError{err}) // the arguments; of the rest the store was asked
	}
	if err != nil {
		return failure(err)
	}
	j.stream.Store(&stream{w, dest.name})
	j.announce(w.Settings())
	if !dest.onHeap {
		j.sys.setMemoryLimit(j.memory(w.Settings()))
	}
	if whole != nil {
		err = feed(w, whole)
	} else if r, e := j.reader(ctx); e != nil {
		err = e
	} else {
		err = feed(w, r)
	}
	if err != nil {
		j.source.stop(err)
		w.Abort(err) // cancels the large file before the command is waited for
		j.source.wait()
		return failure(w.Close())
	}
	j.finishing.Store(true)
	if err := w.Close(); err != nil {
		return failure(err)
	}
	file, err := j.verify(dest, w.File())
	if err != nil {
		return failure(err)
	}
	j.stored.Store(&file)
	if older != nil {
		if err := older.run(ctx); err != nil {
			return result{code: exitFailed, file: file, older: older, err: fmt.Errorf("%s is stored, but older files were not all removed: %w", j.config.dest, err)}
		}
	}
	return result{code: exitDone, file: file, older: older}
}

// showOlder tells of an older file that is removed.
func (j *job) showOlder(f sluice.StoredFile) error {
	verb := "removed"
	if j.keepFiles.dryRun {
		verb = "would remove"
	}
	if !j.config.quiet {
		j.console.printf("sluice: %s %s, %s", verb, f.Name, size.Decimal(f.Size))
	}
	return nil
}

// feed streams r into w. It returns when r has ended, or with w's failure, even while r hangs
// in Read.
func feed(w *sluice.LargeFileWriter, r io.Reader) error {
	return attend(func() error {
		_, err := w.ReadFrom(r)
		return err
	}, w.Done(), func() error {
		_, err := w.Write(nil) // does not wait, and returns the failure
		return err
	})
}

// attend returns what read returns, or, once gone is closed, what why does, even while read
// hangs. Then read ends with its source, or with the process.
func attend(read func() error, gone <-chan struct{}, why func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- read() }()
	select {
	case err := <-ended:
		return err
	case <-gone:
		return why()
	}
}

// reader starts the source and returns its bytes as they are uploaded: compressed, then encrypted.
// Its end is the end of the source: any failure comes instead of it.
func (j *job) reader(ctx context.Context) (io.Reader, error) {
	if err := j.source.start(); err != nil {
		return nil, err
	}
	var r io.Reader = j.source
	if j.config.level > 0 {
		var err error
		if r, err = compress(ctx, r, j.config.level); err != nil {
			return nil, err
		}
	}
	if to := j.config.encryption.recipients; to != nil {
		return age.EncryptReader(r, to...)
	}
	return r, nil
}

func (j *job) options() *sluice.Options {
	c := j.config
	o := &sluice.Options{
		ContentType:       j.contentType(),
		Metadata:          c.store.info,
		Size:              c.size,
		PartSize:          c.partSize,
		Concurrency:       c.concurrency,
		MaxRate:           c.rate,
		MemoryLimit:       c.memory,
		BufferDir:         c.bufferDir,
		Resume:            c.store.resume,
		ResumeID:          c.store.resumeID,
		RestartOnMismatch: c.store.restart,
		Manifest:          c.manifest,
		Hooks:             j.hooks(),
	}
	if o.Size == 0 && j.declared {
		o.Size = j.source.total
	}
	if c.sha256 {
		o.Digests = append(o.Digests, sluice.Algorithm{Name: "sha256", New: sha256.New})
	}
	if c.sha1 {
		o.Digests = append(o.Digests, sluice.Algorithm{Name: "sha1", New: sha1.New})
	}
	if c.keep {
		o.KeepOnFailure = true
	}
	return o
}

// mustDeclare reports whether the size of a regular file on standard input must be declared,
// because the store needs it, or because a stream of unknown length would have parts that do not
// carry so much. Otherwise it is not, since such a file may grow while it is read.
func (j *job) mustDeclare(ctx context.Context, d *destination) bool {
	if j.source.file == nil || j.source.total == 0 || j.config.transforms() {
		return false
	}
	o := j.options()
	o.Resume, o.ResumeID, o.RestartOnMismatch, o.Hooks = false, "", false, nil // New asks the store nothing then
	w, err := sluice.New(ctx, d.backend, d.name, o)
	if err != nil {
		return errors.Is(err, sluice.ErrSizeRequired)
	}
	defer w.Abort(nil)
	return w.Settings().MaxStreamSize < j.source.total
}

// contentType is what --content-type says, or else what compression and encryption make of the
// stream, "" where the store has no content types.
func (j *job) contentType() string {
	c := j.config
	s, _, err := findScheme(j.sys.schemes, c.dest)
	switch {
	case c.store.contentType != "" || err != nil || !slices.Contains(s.flags, flagContentType):
		return c.store.contentType
	case c.encryption.given():
		return "application/x-age-encryption"
	case c.level > 0:
		return "application/zstd"
	}
	return ""
}

func (j *job) hooks() *sluice.Hooks {
	return &sluice.Hooks{
		LargeFileStarted: func(i sluice.LargeFileInfo) {
			j.outage.over()
			j.large.Store(&i)
			if j.stream.Load() != nil { // else it is resumed, which is announced
				j.console.verbosef("sluice: large file %s is started", i.ID)
			}
		},
		Restarted: func(why error) {
			j.restarted.Store(true)
			if !j.config.quiet {
				j.console.warnf("sluice: %s: starting anew; what is stored stays until a file at least as long is complete",
					strings.TrimPrefix(why.Error(), "sluice: "))
			}
		},
		PartRetrying: func(p sluice.PartEvent, err error, wait time.Duration) {
			j.console.verbosef("sluice: %s, attempt %d: %v; again in %v", partName(p), p.Attempt, err, wait)
		},
		PartDone: func(p sluice.PartEvent, err error) {
			if err == nil {
				j.outage.over()
				j.console.verbosef("sluice: %s is stored, %s", partName(p), size.Format(p.Size))
			}
		},
	}
}

// partName is how a part is called; what is stored in one call has none.
func partName(p sluice.PartEvent) string {
	if p.Number == 0 {
		return "all of it"
	}
	return fmt.Sprintf("part %d", p.Number)
}

// largeFile is the id of the large file if one was started.
func (j *job) largeFile() string {
	if i := j.large.Load(); i != nil {
		return i.ID
	}
	return ""
}

// memory is what the program takes, in bytes: pages, compressor, and the rest with room for
// the collector.
func (j *job) memory(s sluice.Settings) int64 {
	const rest = 24 << 20
	pages := s.MemoryLimit
	if j.config.bufferDir != "" { // a page, and what is read of the file for every upload
		pages = int64(s.PageSize) + int64(s.Concurrency)*256<<10
	}
	return pages + compressorMemory(j.config.level) + rest
}

// verify reads the file back where that costs nothing. Its SHA-256 is then that of what is
// stored.
func (j *job) verify(d *destination, f sluice.File) (sluice.File, error) {
	if d.readBack == nil {
		return f, nil
	}
	r, err := d.readBack(f.Name)
	if err != nil {
		return f, fmt.Errorf("reading back: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return f, fmt.Errorf("reading back: %w", err)
	}
	sum := h.Sum(nil)
	if said := f.Digests.Get("sha256"); n != f.Size || said != nil && string(said) != string(sum) {
		return f, fmt.Errorf("the store holds %d bytes with SHA-256 %x, uploaded were %d with %x", n, sum, f.Size, said)
	}
	if f.Digests.Get("sha256") == nil {
		f.Digests = append(f.Digests, sluice.Digest{Name: "sha256", Sum: sum})
	}
	return f, nil
}

// failure judges an error by its first cause.
func failure(err error) result {
	r := result{code: exitFailed, err: err}
	var e *sluice.Error
	if errors.As(err, &e) {
		r.large = e.LargeFile
	}
	var usage usageError
	var command *commandError
	switch {
	case errors.Is(err, sluice.ErrFinishUnknown):
		r.code = exitUnknown
	case errors.As(err, &usage):
		r.code = exitUsage
	case errors.As(err, &command):
		r.code = exitCommand
	}
	return r
}

package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"

	"github.com/c1508ce4/sluice"
)

// sourceRules are about stores that files can be read from.
func sourceRules() []rule {
	return []rule{
		{
			name:  "source-stat",
			text:  "Stat describes a finished file, with its ID, name and size, and the same file each time.",
			needs: []need{source},
			check: checkSourceStat,
		},
		{
			name:  "source-metadata",
			text:  "Stat returns the content type and the metadata that the file was stored with.",
			needs: []need{source, stat},
			check: checkSourceMetadata,
		},
		{
			name:  "source-digests",
			text:  "What Stat says of parts and digests is true: the sizes of the parts add up, and every digest that can be verified is that of the bytes.",
			needs: []need{source},
			check: checkSourceDigests,
		},
		{
			name:  "source-none",
			text:  "Stat of a name that no finished file has fails with an error that matches fs.ErrNotExist.",
			needs: []need{source},
			check: checkSourceNone,
		},
		{
			name:  "source-range",
			text:  "ReadRange fills a range with exactly the bytes of the file at its offset: the first and the last byte, the ends of parts, the whole, an empty file.",
			needs: []need{source},
			check: checkSourceRange,
		},
		{
			name:  "source-beyond",
			text:  "ReadRange of bytes beyond the end of the file fails.",
			needs: []need{source},
			check: checkSourceBeyond,
		},
		{
			name:  "source-resumed",
			text:  "ReadRange of a range that has some of its bytes brings only those that are missing.",
			needs: []need{source},
			check: checkSourceResumed,
		},
		{
			name:  "source-replaced",
			text:  "ReadRange of a version that was replaced returns its bytes, or an error that matches ErrReplaced; never bytes of another version.",
			needs: []need{source, rewritable},
			check: checkSourceReplaced,
		},
		{
			name:  "source-list",
			text:  "List yields the finished files whose names begin with the prefix, and no others, by rising name, and what it yields can be read.",
			needs: []need{source, lists},
			check: checkSourceList,
		},
		{
			name:  "source-list-break",
			text:  "The sequence of List may be left before its end.",
			needs: []need{source, lists},
			check: checkSourceListBreak,
		},
		{
			name:  "source-ended",
			text:  "Stat, ReadRange and List with a context that has ended fail with the context's error and cause.",
			needs: []need{source},
			check: checkSourceEnded,
		},
		{
			name:  "source-cut",
			text:  "ReadRange returns soon after its context ended, and does not touch the range any more.",
			needs: []need{source},
			check: checkSourceCut,
		},
		{
			name:  "remove",
			text:  "Remove removes exactly the version that is described; what is removed cannot be found or read, and removing it again matches fs.ErrNotExist.",
			needs: []need{source, removes},
			check: checkRemove,
		},
		{
			name:  "remove-replaced",
			text:  "Remove of a version that was replaced leaves the newer one alone.",
			needs: []need{source, removes, rewritable},
			check: checkRemoveReplaced,
		},
		{
			name:  "source-key",
			text:  "A file encrypted with a customer's key is read through a handle with the key, and no byte of it through one without.",
			needs: []need{source, keyed},
			check: checkSourceKey,
		},
	}
}

// remover is the Remove that every backend of this module has.
type remover interface {
	Remove(ctx context.Context, f sluice.StoredFile) error
}

func source(s Store) string {
	if _, ok := s.Backend.(sluice.Source); !ok {
		return "the backend is no sluice.Source: files cannot be read from it"
	}
	return ""
}

func removes(s Store) string {
	if _, ok := s.Backend.(remover); !ok {
		return "the backend has no Remove"
	}
	return ""
}

func lists(s Store) string {
	if s.ReadName != nil {
		return "Store.ReadName is set: the store does not find files by their names"
	}
	return ""
}

func rewritable(s Store) string {
	if s.ReadName != nil || s.NoOverwrite {
		return "Store.ReadName or NoOverwrite is set: no file takes the name of another"
	}
	return ""
}

func keyed(s Store) string {
	if s.Keyed == nil {
		return "Store.Keyed is nil: the store takes no customer's keys"
	}
	return ""
}

func (b *bench) source() sluice.Source { return b.Backend.(sluice.Source) }

// put stores a file of the size in one call, or of parts where size is below 0
// or the store has no single upload, and returns it as Stat does.
func (b *bench) put(name string, size int64) ([]byte, sluice.StoredFile, error) {
	var data []byte
	var file sluice.File
	var err error
	if size >= 0 && b.limits.MaxSingle > 0 {
		data = b.random(size)
		if file, err = b.single(b.ctx, name, data); err != nil {
			return nil, sluice.StoredFile{}, fmt.Errorf("UploadFile: %w", err)
		}
	} else {
		d, receipts, err := b.started(name, 3)
		if err != nil {
			return nil, sluice.StoredFile{}, err
		}
		data = d.whole()
		if file, err = d.tryFinish(b.ctx, receipts); err != nil {
			return nil, sluice.StoredFile{}, fmt.Errorf("calling Finish: %w", err)
		}
	}
	f, err := b.source().Stat(b.ctx, b.readName(file))
	if err != nil {
		return nil, f, fmt.Errorf("calling Stat: %w", err)
	}
	return data, f, nil
}

// readName is the name under which the Source finds a file.
func (b *bench) readName(f sluice.File) string {
	if b.ReadName != nil {
		return b.ReadName(f)
	}
	return f.Name
}

// sizes are of files to read: -1 is one in parts.
func (b *bench) sizes() []int64 {
	if b.limits.MaxSingle == 0 {
		return []int64{-1}
	}
	return []int64{0, 1, min(b.limits.MaxSingle, 70_001), -1}
}

// readRange reads size bytes from offset on.
func (b *bench) readRange(ctx context.Context, f sluice.StoredFile, offset, size int64) ([]byte, error) {
	r := sluice.NewRange(offset, size)
	err := b.source().ReadRange(ctx, f, r)
	if err == nil && r.Missing() > 0 {
		return nil, fmt.Errorf("ReadRange returned nil, and %d of %d bytes are missing", r.Missing(), size)
	}
	return r.Bytes(), err
}

// reads sees that a range holds these bytes.
func (b *bench) reads(f sluice.StoredFile, offset int64, want []byte) error {
	got, err := b.readRange(b.ctx, f, offset, int64(len(want)))
	if err != nil {
		return fmt.Errorf("ReadRange of %d bytes at %d: %w", len(want), offset, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("ReadRange of %d bytes at %d brought others: %s", len(want), offset, difference(got, want))
	}
	return nil
}

func checkSourceStat(b *bench) error {
	for _, size := range b.sizes() {
		data, f, err := b.put(fmt.Sprintf("%s/%d", b.name, size), size)
		if err != nil {
			return err
		}
		again, err := b.source().Stat(b.ctx, f.Name)
		f.Algorithms, again.Algorithms = names(f.Algorithms), names(again.Algorithms)
		switch {
		case err != nil:
			return fmt.Errorf("calling Stat again: %w", err)
		case f.ID == "":
			return errors.New("StoredFile.ID is empty")
		case f.Name != b.readName(sluice.File{ID: f.ID, Name: fmt.Sprintf("%s/%d", b.name, size)}):
			return fmt.Errorf("StoredFile.Name is %q", f.Name)
		case f.Size != int64(len(data)):
			return fmt.Errorf("StoredFile.Size is %d, not %d", f.Size, len(data))
		case !reflect.DeepEqual(f, again):
			return fmt.Errorf("the first Stat says %+v, the second %+v", f, again)
		}
	}
	return nil
}

func checkSourceMetadata(b *bench) error {
	info := map[string]string{"origin": "conformance kit", "count": "12"}
	spec := b.spec(b.name)
	spec.ContentType, spec.Metadata = "text/plain", info
	d, err := b.startSpec(spec, 2)
	if err != nil {
		return err
	}
	receipts, err := d.uploadAll()
	if err != nil {
		return err
	}
	file, err := d.tryFinish(b.ctx, receipts)
	if err != nil {
		return fmt.Errorf("calling Finish: %w", err)
	}
	switch f, err := b.source().Stat(b.ctx, b.readName(file)); {
	case err != nil:
		return fmt.Errorf("calling Stat: %w", err)
	case f.ContentType != spec.ContentType:
		return fmt.Errorf("the content type is %q, not %q", f.ContentType, spec.ContentType)
	case !maps.Equal(f.Metadata, info):
		return fmt.Errorf("the metadata is %v, not %v", f.Metadata, info)
	}
	return nil
}

func checkSourceDigests(b *bench) error {
	for _, size := range b.sizes() {
		data, f, err := b.put(fmt.Sprintf("%s/%d", b.name, size), size)
		if err != nil {
			return err
		}
		if err := trueOf(data, f.Digests, f.Algorithms); err != nil {
			return fmt.Errorf("of the whole: %w", err)
		}
		rest := data
		for i, r := range f.Receipts {
			if r.Size < 0 || r.Size > int64(len(rest)) || r.Number != i+1 {
				return fmt.Errorf("receipt %d has the number %d and %d bytes, %d are left", i+1, r.Number, r.Size, len(rest))
			}
			if err := trueOf(rest[:r.Size], r.Digests, f.Algorithms); err != nil {
				return fmt.Errorf("of part %d: %w", i+1, err)
			}
			rest = rest[r.Size:]
		}
		if len(f.Receipts) > 0 && len(rest) > 0 {
			return fmt.Errorf("the parts end %d bytes before the end of the file", len(rest))
		}
	}
	return nil
}

// trueOf sees that the digests are those of data, as far as they can be verified.
func trueOf(data []byte, digests sluice.Digests, algorithms []sluice.Algorithm) error {
	for _, want := range sums(data, algorithms) {
		if got := digests.Get(want.Name); got != nil && !bytes.Equal(got, want.Sum) {
			return fmt.Errorf("the %s is said to be %x, and is %x", want.Name, got, want.Sum)
		}
	}
	return nil
}

func checkSourceNone(b *bench) error {
	d, err := b.start(b.name, 2)
	if err != nil {
		return err
	}
	if _, err := d.uploadAll(); err != nil {
		return err
	}
	for _, name := range []string{b.name, b.name + "/none"} {
		if _, err := b.source().Stat(b.ctx, name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("calling Stat: the error does not match fs.ErrNotExist: %v", err)
		}
	}
	return nil
}

func checkSourceRange(b *bench) error {
	for _, size := range b.sizes() {
		data, f, err := b.put(fmt.Sprintf("%s/%d", b.name, size), size)
		if err != nil {
			return err
		}
		n := int64(len(data))
		first := n / 3 // the end of a part, where there are parts
		if len(f.Receipts) > 0 {
			first = f.Receipts[0].Size
		}
		for _, r := range [][2]int64{{0, n}, {0, 1}, {n - 1, n}, {first - 1, first + 1}, {first, n}, {n / 4, n / 2}} {
			if from, to := max(0, r[0]), min(n, r[1]); from < to || n == 0 {
				if err := b.reads(f, from, data[from:to]); err != nil {
					return fmt.Errorf("of %d bytes: %w", n, err)
				}
			}
		}
	}
	return nil
}

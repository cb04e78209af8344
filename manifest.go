package sluice

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/internal/decode"
)

// ManifestSuffix is what the name of a manifest has after that of its file. See
// [Options].Manifest.
const ManifestSuffix = ".manifest.json"

const manifestType = "application/json"

// manifestLimits bound a manifest that is read. A line of a manifest has eleven
// elements, and two for each further digest.
var manifestLimits = decode.Limits{Bytes: 64 << 20, Elements: 2_000_000, List: 100_000}

// manifest describes a file, and is stored with it. docs/MANIFEST.md has the
// format.
type manifest struct {
	Format  int               `json:"sluice_manifest"`
	Name    string            `json:"name"`
	ID      string            `json:"id"`
	Size    int64             `json:"size"`
	Created time.Time         `json:"created"`
	Digests map[string]string `json:"digests"` // of the whole file, hexadecimal, by algorithm
	Parts   []manifestPart    `json:"parts"`
}

type manifestPart struct {
	Offset  int64             `json:"offset"`
	Size    int64             `json:"size"`
	Digests map[string]string `json:"digests"`
}

func newManifest(f File, parts []Receipt) *manifest {
	m := &manifest{Format: 1, Name: f.Name, ID: f.ID, Size: f.Size, Created: time.Now().UTC().Truncate(time.Second), Digests: f.Digests.hex()}
	var offset int64
	for i := range parts {
		m.Parts = append(m.Parts, manifestPart{offset, parts[i].Size, parts[i].Digests.hex()})
		offset += parts[i].Size
	}
	return m
}

func (d Digests) hex() map[string]string {
	sums := map[string]string{}
	for i := range d {
		sums[d[i].Name] = hex.EncodeToString(d[i].Sum)
	}
	return sums
}

// text is the manifest with a line for each part. One that would not be read is
// an error.
func (m *manifest) text() ([]byte, error) {
	if n := len(m.Parts); n > manifestLimits.List {
		return nil, fmt.Errorf("the file has %d parts, and a manifest has %d at most; set a larger Options.PartSize", n, manifestLimits.List)
	}
	head := *m
	head.Parts = []manifestPart{}
	text, err := json.Marshal(head)
	text = bytes.TrimSuffix(text, []byte("]}"))
	for i := 0; i < len(m.Parts) && err == nil; i++ {
		var line []byte
		line, err = json.Marshal(m.Parts[i])
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, '\n'), line...)
	}
	text = append(text, "\n]}\n"...)
	if err == nil {
		if _, err = parseManifest(bytes.NewReader(text)); err != nil {
			err = fmt.Errorf("a restore could not read it: %w", err)
		}
	}
	return text, err
}

// parseManifest reads a manifest whose sizes and digests are sound.
func parseManifest(text io.Reader) (*manifest, error) {
	m := new(manifest)
	err := decode.JSON(text, m, manifestLimits)
	if errors.Is(err, decode.ErrUnusable) {
		return nil, fmt.Errorf("%.200s", err.Error()) // it may quote a long number
	}
	if err != nil {
		return nil, err
	}
	if m.Format != 1 {
		return nil, fmt.Errorf("it has format %d, and only format 1 is known: %w", m.Format, errors.ErrUnsupported)
	}
	if m.Size < 0 {
		return nil, fmt.Errorf("it is about a file of %d bytes", m.Size)
	}
	if _, err := digestsOf(m.Digests); err != nil {
		return nil, err
	}
	var end int64
	for i, p := range m.Parts {
		if p.Offset != end || p.Size < min(1, m.Size) || p.Size > m.Size-end {
			return nil, fmt.Errorf("part %d of %d bytes at offset %d does not follow the %d bytes before it", i+1, p.Size, p.Offset, end)
		}
		if _, err := digestsOf(p.Digests); err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
		end += p.Size
	}
	if end != m.Size {
		return nil, fmt.Errorf("its parts have %d bytes in all, and the file %d", end, m.Size)
	}
	return m, nil
}

// digestsOf is sums as Digests, in the order of their names.
func digestsOf(sums map[string]string) (Digests, error) {
	var ds Digests
	for name, text := range sums {
		sum, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("digest %.100q: %w", name, err)
		}
		ds = append(ds, Digest{name, sum})
	}
	slices.SortFunc(ds, func(a, b Digest) int { return strings.Compare(a.Name, b.Name) })
	return ds, nil
}

func (w *LargeFileWriter) storeManifest() {
	w.result = w.error("manifest", fmt.Errorf("%w: %w", ErrNoManifest, errNotReturned))
	text, err := newManifest(w.file, w.pipeline.store.receipts.list).text()
	if err == nil {
		o := &Options{Pool: w.plan.pool, Size: int64(len(text)), ContentType: manifestType}
		_, err = Upload(w.ctx, w.pipeline.backend, w.file.Name+ManifestSuffix, o, func(to io.Writer) error {
			_, err := to.Write(text)
			return err
		})
	}
	if err != nil {
		w.result = w.error("manifest", fmt.Errorf("%w: file %s: %w", ErrNoManifest, w.file.ID, foreign(err)))
	} else {
		w.result = nil
	}
}

// addManifest adds to f what its manifest says of it, if there is one that is of
// any use. doubt is nil, or how the manifest may be of another version, which
// damage can be a sign of.
func (o *ReadOptions) addManifest(ctx context.Context, s Source, f *StoredFile) (doubt, err error) {
	known := f.Digests.verifiable(f.Algorithms)
	if f.ID == f.Name {
		return nil, nil // the store finds files by their IDs
	}
	if o.IgnoreManifest || f.Size == 0 || strings.HasSuffix(f.Name, ManifestSuffix) || f.partsVerifiable() || known && f.Parts <= 1 {
		return nil, nil
	}
	fail := func(err error) error {
		return fmt.Errorf("manifest %q (ReadOptions.IgnoreManifest restores without it): %w", f.Name+ManifestSuffix, err)
	}
	stored, err := s.Stat(ctx, f.Name+ManifestSuffix)
	if errors.Is(err, fs.ErrNotExist) || err != nil && known && ctx.Err() == nil {
		// there is none, or it may not be read, and the file can be verified
		// without
		return nil, nil
	}
	if err != nil {
		return nil, fail(err)
	}
	m, err := o.readManifest(ctx, s, stored)
	if err != nil {
		return nil, fail(err)
	}
	mismatch := m.mismatch(f, &stored)
	if m.ID != f.ID {
		if o.Version != nil {
			return nil, nil // it is of the newest version
		}
		doubt = mismatch
	}
	if !m.matches(f) {
		return nil, fail(mismatch)
	}
	m.addTo(f)
	f.Algorithms = slices.Concat(f.Algorithms, o.Algorithms, o.Digests)
	if b, ok := s.(Backend); ok {
		l := b.Limits()
		f.Algorithms = slices.Concat(f.Algorithms, l.PartDigests, l.WholeDigests)
	}
	if !f.partsVerifiable() && !f.Digests.verifiable(f.Algorithms) {
		return nil, fail(fmt.Errorf("it has no digest of a known algorithm; add one to ReadOptions.Algorithms: %w", errors.ErrUnsupported))
	}
	return doubt, nil
}

func (o *ReadOptions) readManifest(ctx context.Context, s Source, stored StoredFile) (*manifest, error) {
	if stored.Size > manifestLimits.Bytes {
		return nil, fmt.Errorf("it has %d bytes, more than %d", stored.Size, manifestLimits.Bytes)
	}
	r, err := NewReader(ctx, s, stored.Name, &ReadOptions{
		Version: &stored, Pool: o.Pool, MemoryLimit: o.MemoryLimit, PageSize: o.PageSize, IgnoreManifest: true,
	})
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(r)
	_ = r.Close()
	return m, err
}

func (m *manifest) mismatch(f, stored *StoredFile) error {
	what := "the file is newer: it was replaced without a manifest"
	switch {
	case m.ID == f.ID:
		what = "both are about the same version, so the manifest or the store's answer is wrong"
	case stored.Modified.After(f.Modified):
		what = "the manifest is newer: it was stored for another file of that name"
	}
	return fmt.Errorf("%w: it is about %d bytes with the ID %.100q (stored %s), and the file is %d bytes with the ID %.100q (stored %s); %s",
		ErrManifestMismatch, m.Size, m.ID, stored.Modified.UTC().Format(time.RFC3339),
		f.Size, f.ID, f.Modified.UTC().Format(time.RFC3339), what)
}

func (m *manifest) matches(f *StoredFile) bool {
	whole, _ := digestsOf(m.Digests)
	for _, d := range whole {
		if sum := f.Digests.Get(d.Name); sum != nil && !bytes.Equal(sum, d.Sum) {
			return false
		}
	}
	return m.Size == f.Size
}

func (m *manifest) addTo(f *StoredFile) {
	whole, _ := digestsOf(m.Digests)
	f.Digests = slices.Clone(f.Digests)
	for _, d := range whole {
		if f.Digests.Get(d.Name) == nil {
			f.Digests = append(f.Digests, d)
		}
	}
	f.Receipts = nil
	for i, p := range m.Parts {
		digests, _ := digestsOf(p.Digests)
		f.Receipts = append(f.Receipts, Receipt{Number: i + 1, Size: p.Size, Digests: digests})
	}
}

func (d Digests) verifiable(algorithms []Algorithm) bool {
	return slices.ContainsFunc(algorithms, func(a Algorithm) bool { return d.Get(a.Name) != nil })
}

func (f *StoredFile) partsVerifiable() bool {
	return len(f.Receipts) > 0 && !slices.ContainsFunc(f.Receipts, func(r Receipt) bool { return !r.Digests.verifiable(f.Algorithms) })
}

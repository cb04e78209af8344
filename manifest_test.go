package sluice_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
	"github.com/c1508ce4/sluice/memorybackend"
)

// forgetful is a store that keeps no digests and knows no parts, as B2 does of
// large files.
type forgetful struct{ *source }

func (s forgetful) Stat(ctx context.Context, name string) (sluice.StoredFile, error) {
	f, err := s.source.Stat(ctx, name)
	f.Receipts, f.Digests, f.Algorithms = nil, nil, nil
	return f, err
}

// withManifest returns such a store that holds data as "f", in parts of 32
// bytes, and its manifest.
func withManifest(t testing.TB, data []byte) forgetful {
	t.Helper()
	l := smallLimits()
	s := forgetful{&source{Backend: memorybackend.New(&memorybackend.Options{Limits: &l})}}
	uploadManifest(t, s, data)
	return s
}

func uploadManifest(t testing.TB, s forgetful, data []byte) {
	t.Helper()
	o := smallOptions()
	o.Manifest = true
	_, err := sluice.Upload(t.Context(), s.Backend, "f", o, writeAll(data))
	require.NoError(t, err)
}

func restored(t testing.TB, s sluice.Source, o *sluice.ReadOptions) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	_, err := sluice.Download(t.Context(), s, "f", &b, o)
	return b.Bytes(), err
}

// The manifest is read here without the package, as another program would.
func TestManifest_DescribesTheFileAndItsParts(t *testing.T) {
	for _, n := range []int{0, 1, part, part + 1, 10*part + 3} {
		data := testutil.Content(n)
		var hashed atomic.Int64
		l := smallLimits()
		l.PartDigests = []sluice.Algorithm{{Name: "sha256", New: func() hash.Hash { return counting{sha256.New(), &hashed} }}}
		b := store(l)
		o := smallOptions()
		o.Manifest = true
		o.Digests = []sluice.Algorithm{memorybackend.SHA256()}
		f, err := sluice.Upload(t.Context(), b, "f", o, writeAll(data))
		require.NoError(t, err)
		text := readBack(t, b, "f"+sluice.ManifestSuffix)
		var m struct {
			Format  int `json:"sluice_manifest"`
			Name    string
			ID      string
			Size    int
			Digests map[string]string
			Parts   []struct {
				Offset, Size int
				Digests      map[string]string
			}
		}
		require.NoError(t, json.Unmarshal(text, &m))
		require.Equal(t, 1, m.Format)
		require.Equal(t, "f", m.Name)
		require.Equal(t, f.ID, m.ID)
		require.Equal(t, n, m.Size)
		require.Equal(t, hex.EncodeToString(sum256(data)), m.Digests["sha256"])
		end := 0
		for _, p := range m.Parts {
			require.Equal(t, end, p.Offset)
			end += p.Size
			require.Equal(t, hex.EncodeToString(sum256(data[p.Offset:end])), p.Digests["sha256"])
		}
		require.Equal(t, n, end)
		require.Equal(t, 3+len(m.Parts), len(strings.Split(string(text), "\n")), "a line for each part")
		with := hashed.Swap(0)
		o.Manifest, o.Digests = false, nil
		for _, data := range [][]byte{data, text} {
			_, err := sluice.Upload(t.Context(), b, "other", o, writeAll(data))
			require.NoError(t, err)
		}
		require.Equal(t, hashed.Load(), with, "the manifest has no byte hashed but its own")
		stored, err := b.Stat(t.Context(), "f"+sluice.ManifestSuffix)
		require.NoError(t, err)
		require.Equal(t, "application/json", stored.ContentType)
	}
}

// counting counts what is hashed.
type counting struct {
	hash.Hash
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.Hash.Write(p)
}

func TestManifest_VerifiesPartsBeforeTheyAreDelivered(t *testing.T) {
	data := testutil.Content(10*part + 3)
	for times := range 3 {
		s := withManifest(t, data)
		left := times
		s.readRange = func(_ context.Context, f sluice.StoredFile, r *sluice.Range, real func() error) error {
			bad := f.Name == "f" && r.Offset == 5*part && left > 0
			if bad {
				left--
			}
			return damage(r, data, func() bool { return bad }, real)
		}
		o := smallRead()
		got, err := restored(t, s, o)
		if times < 2 {
			require.NoError(t, err)
			require.Equal(t, data, got)
			continue
		}
		require.ErrorIs(t, err, sluice.ErrDamaged)
		require.NotErrorIs(t, err, sluice.ErrManifestMismatch)
		require.LessOrEqual(t, len(got), 5*part, "the damaged part is not delivered")
		require.Equal(t, data[:len(got)], got)

		left = times
		o.IgnoreManifest = true
		got, err = restored(t, s, o)
		require.NoError(t, err, "nothing else tells")
		require.NotEqual(t, data, got)
	}
}

func TestManifest_OfAnotherFileIsAnErrorThatSaysWhichIsNewer(t *testing.T) {
	data := testutil.Content(10 * part)
	s := withManifest(t, data)
	upload(t, s.Backend, data[1:])
	_, err := restored(t, s, smallRead())
	require.ErrorIs(t, err, sluice.ErrManifestMismatch)
	require.ErrorContains(t, err, "the file is newer: it was replaced without a manifest")
	require.ErrorContains(t, err, "it is about 320 bytes")

	// One of the same size is told apart by its digests.
	data[0] ^= 1
	upload(t, s.Backend, data)
	got, err := restored(t, s, smallRead())
	require.ErrorIs(t, err, sluice.ErrDamaged)
	require.ErrorIs(t, err, sluice.ErrManifestMismatch)
	require.Empty(t, got)

	o := smallRead()
	o.IgnoreManifest = true
	got, err = restored(t, s, o)
	require.NoError(t, err)
	require.Equal(t, data, got)

	uploadManifest(t, s, data)
	_, err = restored(t, s, smallRead())
	require.NoError(t, err)

	m := readBack(t, s.Backend, "f"+sluice.ManifestSuffix)
	upload(t, s.Backend, data[1:])
	putManifest(t, s, m)
	_, err = restored(t, s, smallRead())
	require.ErrorContains(t, err, "the manifest is newer")

	uploadManifest(t, s, data)
	text := readBack(t, s.Backend, "f"+sluice.ManifestSuffix)
	text = bytes.Replace(text, []byte(`"size":320`), []byte(`"size":288`), 1)
	text = append(text[:bytes.Index(text, []byte(",\n{\"offset\":288"))], "\n]}"...)
	putManifest(t, s, text)
	_, err = restored(t, s, smallRead())
	require.ErrorIs(t, err, sluice.ErrManifestMismatch)
	require.ErrorContains(t, err, "both are about the same version")
}

// A file and its manifest that were copied to another store have other IDs.
func TestManifest_GoesWithACopyOfItsFile(t *testing.T) {
	data := testutil.Content(10 * part)
	s := withManifest(t, data)
	m := readBack(t, s.Backend, "f"+sluice.ManifestSuffix)
	upload(t, s.Backend, data)
	putManifest(t, s, m)
	got, err := restored(t, s, smallRead())
	require.NoError(t, err)
	require.Equal(t, data, got)
}

func putManifest(t testing.TB, s forgetful, text []byte) {
	t.Helper()
	_, err := sluice.Upload(t.Context(), s.Backend, "f"+sluice.ManifestSuffix, smallOptions(), writeAll(text))
	require.NoError(t, err)
}

func TestManifest_ThatIsNoneIsAnError(t *testing.T) {
	data := testutil.Content(10 * part)
	s := withManifest(t, data)
	good := string(readBack(t, s.Backend, "f"+sluice.ManifestSuffix))
	for bad, want := range map[string]string{
		"":  "unexpected EOF",
		"{": "unexpected EOF",
		strings.Replace(good, `"sluice_manifest":1`, `"sluice_manifest":2`, 1): "it has format 2, and only format 1 is known",
		strings.Replace(good, `"offset":32`, `"offset":33`, 1):                 "part 2 of 32 bytes at offset 33 does not follow the 32 bytes before it",
		strings.Replace(good, `"size":320`, `"size":321`, 1):                   "its parts have 320 bytes in all, and the file 321",
		strings.Replace(good, `"sha256":"`, `"sha256":"x`, 1):                  `digest "sha256"`,
		strings.ReplaceAll(good, `"sha256"`, `"sha999"`):                       "it has no digest of a known algorithm",
	} {
		putManifest(t, s, []byte(bad))
		_, err := restored(t, s, smallRead())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "IgnoreManifest")
		o := smallRead()
		o.IgnoreManifest = true
		_, err = restored(t, s, o)
		require.NoError(t, err)
	}
	putManifest(t, s, []byte(strings.ReplaceAll(good, `"sha256"`, `"sha999"`)))
	o := smallRead()
	o.Algorithms = []sluice.Algorithm{{Name: "sha999", New: sha256.New}}
	_, err := restored(t, s, o)
	require.NoError(t, err)
}

func TestManifest_OfAHostileStoreIsReadUnderLimits(t *testing.T) {
	data := testutil.Content(10 * part)
	s := withManifest(t, data)
	good := string(readBack(t, s.Backend, "f"+sluice.ManifestSuffix))
	long := strings.Repeat("7", 20_000)
	short, _, _ := strings.Cut(strings.Replace(good, `"size":320`, `"size":288`, 1), ",\n{\"offset\":288")
	for bad, want := range map[string]string{
		`{"parts":[` + strings.Repeat("{},", 100_000) + "{}]}":                        "a list of more than 100000 entries",
		`{"x":[` + strings.Repeat("["+strings.Repeat("0,", 90_000)+"0],", 25) + "0]}": "more than 2000000 elements",
		strings.Repeat(`{"x":`, 1000):                                                 "nested more than 32 deep",
		strings.Replace(good, `"sha256":"`, `"sha256":"`+strings.Repeat(long, 2), 1):  "a token of more than 32768 bytes",
		strings.Replace(good, `"size":320`, `"size":`+long, 1):                        "cannot unmarshal number 777",
		strings.Replace(good, `"digests":{}`, `"digests":{"`+long+`":"x"}`, 1):        `digest "777`,
		strings.Replace(short, `"id":"`, `"id":"`+long, 1) + "]}":                     "it is about 288 bytes",
	} {
		_, err := sluice.Upload(t.Context(), s.Backend, "f"+sluice.ManifestSuffix, nil, writeAll([]byte(bad)))
		require.NoError(t, err)
		_, err = restored(t, s, nil)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 1000)
		require.ErrorContains(t, err, want)
	}
}

func TestManifest_OfTheNewestVersionIsNotUsedForAnotherOne(t *testing.T) {
	data := testutil.Content(10 * part)
	s := withManifest(t, data)
	f, err := s.Stat(t.Context(), "f")
	require.NoError(t, err)
	f.ID, f.Size = "an earlier one", 5*part
	s.readRange = func(_ context.Context, got sluice.StoredFile, r *sluice.Range, real func() error) error {
		if got.ID != f.ID {
			return real()
		}
		offset, size := r.Attempt()
		_, err := r.Write(data[offset : offset+size])
		return err
	}
	o := smallRead()
	o.Version = &f
	got, err := restored(t, s, o)
	require.NoError(t, err)
	require.Equal(t, data[:5*part], got)
}

// noManifests is a store that takes everything but manifests.
type noManifests struct{ *memorybackend.Backend }

var errFull = errors.New("bucket is full")

func (b noManifests) UploadFile(ctx context.Context, spec sluice.FileSpec, p *sluice.Part) (sluice.File, error) {
	if strings.HasSuffix(spec.Name, sluice.ManifestSuffix) {
		return sluice.File{}, errFull
	}
	return b.Backend.UploadFile(ctx, spec, p)
}

func TestManifest_ThatCannotBeStoredIsAnErrorOfAFileThatIs(t *testing.T) {
	for _, n := range []int{1, 10 * part} {
		data := testutil.Content(n)
		b := noManifests{store(smallLimits())}
		o := &sluice.Options{Manifest: true}
		w, err := sluice.New(t.Context(), b, "f", o)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		err = w.Close()
		require.ErrorIs(t, err, sluice.ErrNoManifest)
		require.ErrorIs(t, err, errFull)
		require.EqualValues(t, n, w.File().Size)
		require.ErrorContains(t, err, fmt.Sprintf(`sluice: manifest "f": the file is stored, storing its manifest failed: file %s: `, w.File().ID))
		require.Equal(t, err, w.Close())
		require.Equal(t, data, readBack(t, b.Backend, "f"))
	}
}

// A manifest says that the file is whole. It is stored for no other.
func TestManifest_IsStoredOnlyForAFileThatIsCertainlyThere(t *testing.T) {
	for _, failure := range []error{sluice.ErrFinishUnknown, sluice.ErrOptionIgnored, sluice.ErrOptionUnverified, errFull} {
		for _, n := range []int{1, 10 * part} {
			b := newStub()
			b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
				_, err := real()
				require.NoError(t, err)
				return sluice.File{}, failure
			}
			b.uploadFile = func(ctx context.Context, _ *sluice.Part, real func() (sluice.File, error)) (sluice.File, error) {
				return b.finish(ctx, real)
			}
			w, _ := open(t, t.Context(), b, func(o *sluice.Options) { o.Manifest = true })
			mustWrite(t, w, n)
			require.ErrorIs(t, w.Close(), failure)
			_, err := b.Stat(t.Context(), "f"+sluice.ManifestSuffix)
			require.ErrorIs(t, err, fs.ErrNotExist)
		}
	}
}

// The doubt is about the manifest, and not about the file.
func TestManifest_OfUnknownOutcomeLeavesNoDoubtAboutTheFile(t *testing.T) {
	b := newStub()
	finishes := 0
	b.finish = func(_ context.Context, real func() (sluice.File, error)) (sluice.File, error) {
		if finishes++; finishes == 1 {
			return real()
		}
		return sluice.File{}, sluice.ErrFinishUnknown
	}
	w, _ := open(t, t.Context(), b, func(o *sluice.Options) { o.Manifest = true })
	mustWrite(t, w, 10*part)
	err := w.Close()
	require.ErrorIs(t, err, sluice.ErrNoManifest)
	require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
	require.ErrorContains(t, err, "outcome of finish unknown")
	require.EqualValues(t, 10*part, w.File().Size)
	require.Equal(t, testutil.Content(10*part), readBack(t, b.Backend, "f"))
}

func TestManifest_NeedsADigest(t *testing.T) {
	_, err := sluice.New(t.Context(), store(*plain()), "f", &sluice.Options{Manifest: true})
	require.ErrorContains(t, err, "Options.Manifest needs a digest")
}

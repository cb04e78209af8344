package b2backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// stored uploads a file to copy from.
func stored(t *testing.T, b *b2backend.Backend, data []byte) sluice.File {
	file, err := b.UploadFile(t.Context(), sluice.FileSpec{Name: "source", Size: int64(len(data)), ContentType: "text/plain", Metadata: map[string]string{"k": "v"}}, part(0, data))
	require.NoError(t, err)
	return file
}

func TestCopyPartAppendsWithoutDownloading(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	data := testutil.Content(3 * minPart)
	source := stored(t, b, data)
	f := start(t, b, "longer")
	whole, err := f.CopyPart(t.Context(), 1, b2backend.CopySource{FileID: source.ID})
	require.NoError(t, err)
	require.EqualValues(t, len(data), whole.Size)
	slice, err := f.CopyPart(t.Context(), 2, b2backend.CopySource{FileID: source.ID, Offset: 50, Length: minPart})
	require.NoError(t, err)
	require.EqualValues(t, minPart, slice.Size)
	_, err = f.Finish(t.Context(), []sluice.Receipt{whole, slice, put(t, f, 3, []byte("new"))}, nil)
	require.NoError(t, err)
	requireStored(t, s, "longer", append(append(append([]byte(nil), data...), data[50:50+minPart]...), "new"...))
}

func TestCopyFileTakesItsMetadataAlongUnlessGivenAny(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	source := stored(t, b, testutil.Content(50))
	file, err := b.CopyFile(t.Context(), spec("copy"), b2backend.CopySource{FileID: source.ID})
	require.NoError(t, err)
	require.Equal(t, sluice.File{ID: file.ID, Name: "copy", Size: 50}, file)
	f := requireStored(t, s, "copy", testutil.Content(50))
	require.Equal(t, "text/plain", f.ContentType)
	require.Equal(t, "v", f.Info["k"])

	_, err = b.CopyFile(t.Context(), sluice.FileSpec{Name: "copy2", ContentType: "text/html"}, b2backend.CopySource{FileID: source.ID, Offset: 10, Length: 20})
	require.NoError(t, err)
	f = requireStored(t, s, "copy2", testutil.Content(50)[10:30])
	require.Equal(t, "text/html", f.ContentType)
	require.NotContains(t, f.Info, "k")
}

func TestALostCopyIsUnknownAndNotRepeated(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	source := stored(t, b, testutil.Content(50))
	inject(t, s, b2test.Fault{Call: "b2_copy_file", Status: 429}, b2test.Fault{Call: "b2_copy_file", Kind: b2test.LoseAnswer})
	_, err := b.CopyFile(t.Context(), spec("copy"), b2backend.CopySource{FileID: source.ID})
	require.ErrorIs(t, err, sluice.ErrFinishUnknown)
	require.Equal(t, 2, s.Count("b2_copy_file"))
}

func TestCopyPartSurvivesPassingFaults(t *testing.T) {
	for _, fault := range []b2test.Fault{
		{Status: 503}, {Kind: b2test.LoseAnswer}, {Kind: b2test.Drop}, {Kind: b2test.ExpireToken}, {Kind: b2test.WrongLength},
	} {
		s := newServer(t, nil)
		b := dial(t, s)
		source := stored(t, b, testutil.Content(50))
		f := start(t, b, "longer")
		fault.Call = "b2_copy_part"
		inject(t, s, fault)
		r, err := f.CopyPart(t.Context(), 1, b2backend.CopySource{FileID: source.ID, Length: 50})
		require.NoError(t, err)
		require.EqualValues(t, 50, r.Size)
		require.Equal(t, 2, s.Count("b2_copy_part"))
		require.NoError(t, f.Cancel(t.Context()))
	}
}

func TestBadSourcesAreRefusedUnsent(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	for want, source := range map[string]b2backend.CopySource{
		"b2backend: source without a FileID":                                                {},
		"b2backend: source range of 0 bytes at 5":                                           {FileID: "x", Offset: 5},
		"b2backend: source range of -1 bytes at 0":                                          {FileID: "x", Length: -1},
		"b2backend: source range of 1 bytes at -1":                                          {FileID: "x", Offset: -1, Length: 1},
		"b2backend: source range of 5000000001 bytes is over the limit of 5000000000 bytes": {FileID: "x", Length: 5_000_000_001},
	} {
		_, err := f.CopyPart(t.Context(), 1, source)
		require.EqualError(t, err, want)
		_, err = b.CopyFile(t.Context(), spec("copy"), source)
		require.EqualError(t, err, want)
	}
	_, err := f.CopyPart(t.Context(), 10001, b2backend.CopySource{FileID: "x"})
	require.EqualError(t, err, "b2backend: part number 10001 is not in 1 to 10000")
	require.NoError(t, f.Cancel(t.Context()))
}

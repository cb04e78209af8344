package b2backend_test

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// listed collects Unfinished.
func listed(t *testing.T, b *b2backend.Backend, prefix string) []sluice.UnfinishedFile {
	var files []sluice.UnfinishedFile
	for f, err := range b.Unfinished(t.Context(), prefix) {
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

func TestUnfinishedListsAllPagesOldestFirst(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	var ids []string
	for n := range 205 { // pages of 100
		ids = append(ids, start(t, b, fmt.Sprintf("a/%03d", n%3)).Info().ID)
		s.Advance(time.Second)
	}
	start(t, b, "b")
	var got []string
	for _, f := range listed(t, b, "a/") {
		got = append(got, f.ID)
	}
	require.Equal(t, ids, got)
	require.Len(t, listed(t, b, ""), 206)
	require.Empty(t, listed(t, b, "c"))

	for range b.Unfinished(t.Context(), "") {
		break // a reader that stops early is fine
	}
	gone, err := b.CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: -1})
	require.NoError(t, err)
	require.Len(t, gone, 206)
}

func TestUnfinishedSaysWhatTheFileIsToBe(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	want := sluice.FileSpec{Name: "file", Size: sluice.UnknownSize, ContentType: "text/plain", Metadata: map[string]string{"k": "v"}}
	f, err := b.StartLargeFile(t.Context(), want)
	require.NoError(t, err)
	got := listed(t, b, "file")
	require.Len(t, got, 1)
	require.Equal(t, f.Info().ID, got[0].ID)
	require.Equal(t, want, got[0].Spec)
	require.WithinDuration(t, s.Now(), got[0].Started, time.Minute)

	again, err := b.ResumeLargeFile(t.Context(), got[0].Spec, got[0].ID)
	require.NoError(t, err, "and can be resumed by that")
	require.NoError(t, again.Cancel(t.Context()))
}

func TestResumeFindsTheStoredParts(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	older, newer := start(t, b, "file"), start(t, b, "file")
	want := []sluice.Receipt{put(t, newer, 1, testutil.Content(minPart)), put(t, newer, 2, testutil.Content(minPart+1)), put(t, newer, 5, testutil.Content(3))}

	f, err := b.ResumeLargeFile(t.Context(), spec("file"), "")
	require.NoError(t, err)
	require.Equal(t, sluice.LargeFileInfo{ID: newer.Info().ID, Stored: want}, f.Info(), "the newest of the name")
	f, err = b.ResumeLargeFile(t.Context(), spec("file"), older.Info().ID)
	require.NoError(t, err)
	require.Equal(t, sluice.LargeFileInfo{ID: older.Info().ID}, f.Info())
	require.NoError(t, f.Cancel(t.Context()))

	f, err = b.ResumeLargeFile(t.Context(), spec("file"), newer.Info().ID)
	require.NoError(t, err)
	for number := 3; number < 5; number++ {
		want = append(want, put(t, f, number, testutil.Content(minPart)))
	}
	receipts := []sluice.Receipt{want[0], want[1], want[3], want[4], want[2]}
	_, err = f.Finish(t.Context(), receipts, nil)
	require.NoError(t, err)
	data := append(append(append(append(testutil.Content(minPart), testutil.Content(minPart+1)...), testutil.Content(minPart)...), testutil.Content(minPart)...), testutil.Content(3)...)
	requireStored(t, s, "file", data)
}

func TestResumeLargeFile_PassesOverOneThatIsOlderThanTheFile(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	upload := func() {
		file := spec("file")
		file.Size = 3
		_, err := b.UploadFile(t.Context(), file, part(0, []byte("abc")))
		require.NoError(t, err)
		s.Advance(time.Second)
	}
	upload()
	f := start(t, b, "file")
	s.Advance(time.Second)
	resumed, err := b.ResumeLargeFile(t.Context(), spec("file"), "")
	require.NoError(t, err)
	require.Equal(t, f.Info().ID, resumed.Info().ID)
	upload()
	_, err = b.ResumeLargeFile(t.Context(), spec("file"), "")
	require.ErrorIs(t, err, fs.ErrNotExist)
	resumed, err = b.ResumeLargeFile(t.Context(), spec("file"), f.Info().ID)
	require.NoError(t, err, "by its ID it can be resumed")
	require.NoError(t, resumed.Cancel(t.Context()))
}

func TestResumePagesThroughTheParts(t *testing.T) {
	s := newServer(t, &b2test.Options{TrustSHA1: true, Discard: true, MinPartSize: 1})
	b := dial(t, s)
	f := start(t, b, "file")
	const count = 2500
	for n := range count {
		put(t, f, n+1, []byte{byte(n)})
	}
	f2, err := b.ResumeLargeFile(t.Context(), spec("file"), "")
	require.NoError(t, err)
	require.Len(t, f2.Info().Stored, count)
	require.Equal(t, 3, s.Count("b2_list_parts"))
	_, err = f2.Finish(t.Context(), f2.Info().Stored, nil)
	require.NoError(t, err)
}

func TestThereIsNothingToResume(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	longer := start(t, b, "file.longer")
	for _, c := range []struct{ name, id string }{
		{"other", ""},
		{"fil", ""},
		{"other", f.Info().ID}, // of another name
		{"file", longer.Info().ID[:len(longer.Info().ID)-1]},
		{"file", "4_znonsense"},
	} {
		_, err := b.ResumeLargeFile(t.Context(), spec(c.name), c.id)
		require.ErrorIs(t, err, fs.ErrNotExist, "%q", c)
	}
	require.NoError(t, f.Cancel(t.Context()))
	_, err := b.ResumeLargeFile(t.Context(), spec("file"), f.Info().ID)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, longer.Cancel(t.Context()))
}

func TestResumeRefusesAFileThatDiffers(t *testing.T) {
	s := newServer(t, nil)
	plain := dial(t, s)
	original := sluice.FileSpec{Name: "file", ContentType: "text/plain", Metadata: map[string]string{"k": "v"}}
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	other, err := b2backend.EncryptCustomer(make([]byte, 32))
	require.NoError(t, err)
	b := plain.With(b2backend.FileOptions{Encryption: encryption, CacheControl: "no-store"})
	f, err := b.StartLargeFile(t.Context(), original)
	require.NoError(t, err)

	_, err = b.ResumeLargeFile(t.Context(), original, "")
	require.NoError(t, err)
	for want, try := range map[string]func() (*b2backend.Backend, sluice.FileSpec){
		`its content type is "text/plain", not "text/html"`: func() (*b2backend.Backend, sluice.FileSpec) {
			return b, sluice.FileSpec{Name: "file", ContentType: "text/html", Metadata: original.Metadata}
		},
		`its info is map["b2-cache-control":"no-store" "k":"v"], not map["b2-cache-control":"no-store"]`: func() (*b2backend.Backend, sluice.FileSpec) {
			return b, spec("file")
		},
		`its encryption is "SSE-C", not "SSE-B2"`: func() (*b2backend.Backend, sluice.FileSpec) {
			return plain.With(b2backend.FileOptions{Encryption: b2backend.EncryptB2(), CacheControl: "no-store"}), original
		},
		`it is encrypted with another key`: func() (*b2backend.Backend, sluice.FileSpec) {
			return plain.With(b2backend.FileOptions{Encryption: other, CacheControl: "no-store"}), original
		},
	} {
		b, spec := try()
		_, err := b.ResumeLargeFile(t.Context(), spec, f.Info().ID)
		require.ErrorIs(t, err, sluice.ErrResumeMismatch)
		require.ErrorContains(t, err, "b2backend: large file "+f.Info().ID+": "+want)
	}
	require.NoError(t, f.Cancel(t.Context()))
}

func TestCancelStaleSpares(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectUnfinished("old/foreign", "old/young", "other")
	b := dial(t, s)
	start(t, b, "old/own")
	start(t, b, "other")
	start(t, b.With(b2backend.FileOptions{OmitSluiceID: true}), "old/foreign")
	s.Advance(2 * time.Hour)
	start(t, b, "old/young")

	gone, err := b.CancelStale(t.Context(), b2backend.StaleFilter{Prefix: "old/"})
	require.NoError(t, err)
	require.Empty(t, gone, "no age selects none")
	gone, err = b.CancelStale(t.Context(), b2backend.StaleFilter{Prefix: "old/", OlderThan: 90 * time.Minute})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.Equal(t, "old/own", gone[0].Spec.Name)
	require.Len(t, s.Unfinished(), 3)
	gone, err = b.CancelStale(t.Context(), b2backend.StaleFilter{Prefix: "old/", OlderThan: 90 * time.Minute, IncludeOtherClients: true})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.Equal(t, "old/foreign", gone[0].Spec.Name)
}

// A clock that is wrong by days, on either side, makes no upload look older or
// younger than it is.
func TestCancelStale_GoesByTheServicesClock(t *testing.T) {
	for _, behind := range []time.Duration{-48 * time.Hour, 0, 48 * time.Hour} {
		s := newServer(t, &b2test.Options{Now: func() time.Time { return time.Now().Add(-behind) }})
		s.ExpectUnfinished("young")
		b := dial(t, s)
		start(t, b, "old")
		s.Advance(25 * time.Hour)
		start(t, b, "young")
		for _, f := range listed(t, b, "") {
			want := map[string]time.Duration{"old": 25 * time.Hour, "young": 0}[f.Spec.Name]
			require.InDelta(t, want, f.Age, float64(time.Minute))
		}
		gone, err := b.CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: 24 * time.Hour})
		require.NoError(t, err)
		require.Len(t, gone, 1)
		require.Equal(t, "old", gone[0].Spec.Name)
	}
}

func TestPartsTellsWhatIsStoredAndWhen(t *testing.T) {
	s := newServer(t, nil)
	b := dial(t, s)
	f := start(t, b, "file")
	var want []sluice.StoredPart
	for _, n := range []int{2, 1} {
		s.Advance(time.Minute)
		r, err := f.UploadPart(t.Context(), part(n, testutil.Content(minPart+n)))
		require.NoError(t, err)
		want = append([]sluice.StoredPart{{Receipt: r}}, want...)
	}
	got, err := b.Parts(t.Context(), listed(t, b, "file")[0])
	require.NoError(t, err)
	require.Equal(t, time.Minute, got[0].Stored.Sub(got[1].Stored).Round(time.Second))
	require.WithinDuration(t, s.Now(), got[0].Stored, 5*time.Second)
	got[0].Stored, got[1].Stored = time.Time{}, time.Time{}
	require.Equal(t, want, got)
	require.NoError(t, f.Cancel(t.Context()))
	_, err = b.Parts(t.Context(), sluice.UnfinishedFile{ID: f.Info().ID})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

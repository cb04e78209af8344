package b2backend_test

import (
	"bytes"
	"crypto/sha1"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// askedFor is a handle of a bucket with Object Lock, and options of every kind.
func askedFor(t *testing.T, s *b2test.Server, k b2backend.Credentials, o b2backend.FileOptions) *b2backend.Backend {
	_, _ = s.AddBucket(b2test.Bucket{Name: "locked-bucket", FileLock: true}) // may be there already
	b, err := b2backend.New(t.Context(), k, "locked-bucket", &b2backend.Options{Endpoint: s.URL(), Retry: swift})
	require.NoError(t, err)
	return b.With(o)
}

func everyOption(t *testing.T, s *b2test.Server) b2backend.FileOptions {
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	return b2backend.FileOptions{
		CacheControl: "no-store", Encryption: encryption, LegalHold: b2backend.HoldOn,
		Retention: b2backend.Retention{Mode: b2backend.Governance, Until: s.Now().Add(time.Hour)},
	}
}

// What was asked for and is not done is an error: before the data is sent where
// the answer to the start shows it, otherwise with the file that is stored.
func TestOptionsThatAreIgnored_AreErrors(t *testing.T) {
	for option, says := range map[string]string{
		"contentType":          `its content type is "application/octet-stream", not "text/plain"`,
		"fileInfo":             `its info is map[], not map["b2-cache-control":"no-store"]`,
		"fileRetention":        `its retention is ""`,
		"legalHold":            `its legal hold is "", not "on"`,
		"serverSideEncryption": `its encryption is "", not "SSE-C"`,
	} {
		s := newServer(t, &b2test.Options{Ignore: []string{option}})
		b := askedFor(t, s, mainKey(s), everyOption(t, s))
		large, small := spec("large"), sized("small", 10)
		large.ContentType, small.ContentType = "text/plain", "text/plain"

		_, err := b.StartLargeFile(t.Context(), large)
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		require.ErrorContains(t, err, says)
		require.Empty(t, s.Unfinished(), "it was cancelled")
		require.Zero(t, s.Count("b2_upload_part"))

		_, err = b.UploadFile(t.Context(), small, part(0, testutil.Content(10)))
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, `"small" is stored as `+s.Files("locked-bucket")[0].ID)
		require.Equal(t, 1, s.Count("b2_upload_file"), "it is not sent again")

		inject(t, s, b2test.Fault{Call: "b2_cancel_large_file", Status: 403, Count: -1})
		_, err = b.StartLargeFile(t.Context(), large)
		require.ErrorIs(t, err, sluice.ErrLeftBehind)
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		s.ExpectUnfinished("large")
	}
}

func TestOptionsThatAreIgnored_ByACopyAreErrors(t *testing.T) {
	for option, says := range map[string]string{
		"contentType":          "its content type is",
		"fileInfo":             "its info is",
		"fileRetention":        "its retention is",
		"legalHold":            "its legal hold is",
		"serverSideEncryption": "its encryption is",
	} {
		s := newServer(t, &b2test.Options{Ignore: []string{option}})
		source, err := dial(t, s).UploadFile(t.Context(), sized("source", 10), part(0, testutil.Content(10)))
		if err != nil {
			require.ErrorIs(t, err, sluice.ErrOptionIgnored)
			source.ID = s.Files(s.Bucket())[0].ID
		}
		b := askedFor(t, s, mainKey(s), everyOption(t, s))
		_, err = b.CopyFile(t.Context(), sluice.FileSpec{Name: "copy", ContentType: "text/plain"}, b2backend.CopySource{FileID: source.ID})
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		require.ErrorContains(t, err, says)
	}
}

// A key that may set a lock and not read it is told nothing about it.
func TestLocksThatTheKeyMayNotRead_AreTaken(t *testing.T) {
	s := newServer(t, nil)
	k := newKey(t, s, b2test.Key{Capabilities: []string{
		"listBuckets", "writeFiles", "writeFileRetentions", "writeFileLegalHolds",
	}})
	b := askedFor(t, s, k, everyOption(t, s))
	_, err := b.UploadFile(t.Context(), sized("small", 10), part(0, testutil.Content(10)))
	require.NoError(t, err)
	f, err := b.StartLargeFile(t.Context(), spec("large"))
	require.NoError(t, err)
	require.NoError(t, f.Cancel(t.Context()))
}

// An answer that lacks what the key may read was made by a store without locks.
func TestLocksThatAreNotShown_AreErrors(t *testing.T) {
	login := strings.Replace(fakeAnswers["b2_authorize_account"], `"capabilities":null`,
		`"capabilities":["writeFiles","writeFileRetentions","readFileRetentions","writeFileLegalHolds","readFileLegalHolds"]`, 1)
	for says, o := range map[string]b2backend.FileOptions{
		"its retention is not shown":  {Retention: b2backend.Retention{Mode: b2backend.Governance, Until: time.Unix(1<<31, 0)}},
		"its legal hold is not shown": {LegalHold: b2backend.HoldOn},
	} {
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_authorize_account": func(*http.Request) (int, string) { return 200, login },
		}}
		b, err := dialFake(t, f, nil)
		require.NoError(t, err)
		_, err = b.With(o).StartLargeFile(t.Context(), spec("file"))
		require.ErrorIs(t, err, sluice.ErrOptionIgnored)
		require.ErrorContains(t, err, says)
	}
}

func TestLargeFileSHA1_IsComparedWhereItIsKnown(t *testing.T) {
	s := newServer(t, nil)
	data := testutil.Content(3 * minPart)
	whole := sha1.Sum(data)
	algorithm := sluice.Algorithm{Name: "sha1", New: sha1.New}
	upload := func(claim string, data []byte, digests ...sluice.Algorithm) error {
		opts := &sluice.Options{
			PageSize: minPart, PartSize: minPart, MaxSize: 1000, MemoryLimit: 64 * minPart, Digests: digests,
		}
		_, err := sluice.Upload(t.Context(), dial(t, s).With(b2backend.FileOptions{LargeFileSHA1: claim}), "file", opts, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(data))
			return err
		})
		return err
	}
	wrong := strings.Repeat("0", 40)
	require.NoError(t, upload(hexOf(whole[:]), data, algorithm))
	require.NoError(t, upload(wrong, data), "nothing computes it")
	stored := len(s.Files(s.Bucket()))
	require.ErrorContains(t, upload(wrong, data, algorithm), "the SHA-1 of \"file\" is "+hexOf(whole[:]))
	require.ErrorContains(t, upload(wrong, data[:10]), "but large_file_sha1 says")
	require.Len(t, s.Files(s.Bucket()), stored)
	require.Empty(t, s.Unfinished())
}

func TestUploadTimestamp_OfTheEpochIsSent(t *testing.T) {
	s := newServer(t, &b2test.Options{CustomTimestamps: true})
	b := dial(t, s)
	for at, says := range map[time.Time]string{
		time.UnixMilli(0):            "custom_timestamp_invalid",
		s.Now().Add(2 * time.Minute): "is in the future",
	} {
		handle := b.With(b2backend.FileOptions{UploadTimestamp: at})
		_, err := handle.StartLargeFile(t.Context(), spec("file"))
		require.ErrorContains(t, err, says)
		_, err = handle.UploadFile(t.Context(), sized("file", 0), part(0, nil))
		require.ErrorContains(t, err, says)
	}
}

func TestUploadTimestamp_ThatIsIgnoredIsAnError(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		o := &b2test.Options{CustomTimestamps: true}
		if ignored {
			o.Ignore = []string{"customUploadTimestamp"}
		}
		s := newServer(t, o)
		b := dial(t, s).With(b2backend.FileOptions{UploadTimestamp: time.UnixMilli(1600000000123)})
		_, small := b.UploadFile(t.Context(), sized("small", 10), part(0, testutil.Content(10)))
		f, err := b.StartLargeFile(t.Context(), spec("large"))
		require.NoError(t, err)
		var parts []sluice.Receipt
		for n := range 2 {
			receipt, err := f.UploadPart(t.Context(), part(n+1, testutil.Content(minPart)))
			require.NoError(t, err)
			parts = append(parts, receipt)
		}
		_, large := f.Finish(t.Context(), parts, nil)
		for _, err := range []error{small, large} {
			if !ignored {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, sluice.ErrOptionIgnored)
			require.ErrorContains(t, err, "its upload timestamp is ")
		}
		require.Len(t, s.Files(s.Bucket()), 2)
	}
}

// A key that cannot see whether the bucket has Object Lock stores whatever is
// legal with Object Lock: the tag does not use up the room.
func TestTag_IsLeftOutWhereTheSmallerLimitMayHold(t *testing.T) {
	s := newServer(t, nil)
	blind := newKey(t, s, b2test.Key{Capabilities: []string{"listBuckets", "writeFiles"}})
	for _, size := range []int{2013, 2014, 2048} {
		b := askedFor(t, s, blind, b2backend.FileOptions{})
		file := sized("x", 0)
		file.Metadata = map[string]string{"k": strings.Repeat("v", size-2)}
		_, err := b.UploadFile(t.Context(), file, part(0, nil))
		require.NoError(t, err, size)
		f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "x", Size: sluice.UnknownSize, Metadata: file.Metadata})
		require.NoError(t, err, size)
		require.NoError(t, f.Cancel(t.Context()))
		stored, err := s.File("locked-bucket", "x")
		require.NoError(t, err)
		if size == 2013 {
			require.Contains(t, stored.Info, "sluice-id")
		} else {
			require.NotContains(t, stored.Info, "sluice-id")
		}
		s.Advance(time.Second)
	}
	file := sized("x", 0)
	file.Metadata = map[string]string{"k": strings.Repeat("v", 6900)}
	_, err := dial(t, s).UploadFile(t.Context(), file, part(0, nil))
	require.NoError(t, err)
	stored, err := s.File(s.Bucket(), "x")
	require.NoError(t, err)
	require.Contains(t, stored.Info, "sluice-id", "the key sees that there is no Object Lock")
}

// A file that a look-up finds is compared as the answer to the finish is.
func TestOptionsThatAreIgnored_ByAFinishAreErrors(t *testing.T) {
	const file = `{"fileId":"large","fileName":"file","action":"upload","contentLength":200,"contentType":"text/html"}`
	for name, answers := range map[string]map[string]string{
		"its own answer": {"b2_finish_large_file": file},
		"the file's":     {"b2_get_file_info": file},
		"a list's":       {"b2_list_file_versions": `{"files":[` + file + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{answers: map[string]func(*http.Request) (int, string){
				"b2_start_large_file": func(*http.Request) (int, string) {
					return 200, `{"fileId":"large","fileName":"file","contentType":"text/plain"}`
				},
			}}
			for _, call := range []string{"b2_finish_large_file", "b2_get_file_info"} {
				f.answers[call] = func(*http.Request) (int, string) { return http.StatusBadGateway, "" }
			}
			for call, body := range answers {
				f.answers[call] = func(*http.Request) (int, string) { return 200, body }
			}
			b, err := dialFake(t, f, &b2backend.Options{Retry: swift})
			require.NoError(t, err)
			asked := spec("file")
			asked.ContentType = "text/plain"
			large, err := b.StartLargeFile(t.Context(), asked)
			require.NoError(t, err)
			digests := part(1, testutil.Content(100)).Digests
			_, err = large.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 100, Digests: digests}, {Number: 2, Size: 100, Digests: digests}}, nil)
			require.ErrorIs(t, err, sluice.ErrOptionIgnored)
			require.NotErrorIs(t, err, sluice.ErrFinishUnknown)
			require.ErrorContains(t, err, `"file" is stored as large, but`)
			require.NoError(t, large.Cancel(t.Context()), "it is finished, and stays")
			require.Zero(t, f.count("b2_cancel_large_file"))
		})
	}
}

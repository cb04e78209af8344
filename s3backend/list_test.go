package s3backend

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// overOnePage is more than a page of a list holds (S3 API reference: 1000).
const overOnePage = 1003

// The server of the tests refuses its own markers (versitygw 1.8.0), so the
// pages are written down here as the API reference has them.
func TestListOfUploadsGoesOverPages(t *testing.T) {
	const upload = `<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>`
	p := newProxy(t, false, &fault{strike: func(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		q := r.URL.Query()
		fmt.Fprint(w, `<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>`)
		switch q.Get("key-marker") + " " + q.Get("upload-id-marker") {
		case " ":
			fmt.Fprintf(w, upload, "a%20%26", "u3", "2026-11-20T12:00:03.000Z")
			fmt.Fprint(w, `<IsTruncated>true</IsTruncated><NextKeyMarker>a%20%26</NextKeyMarker><NextUploadIdMarker>u3</NextUploadIdMarker>`)
		case "a & u3":
			fmt.Fprintf(w, upload, "a%20%26", "u4", "2026-11-20T12:00:04.000Z")
			fmt.Fprint(w, `<IsTruncated>true</IsTruncated><NextKeyMarker>a%20%26</NextKeyMarker><NextUploadIdMarker>u4</NextUploadIdMarker>`)
		case "a & u4":
			fmt.Fprintf(w, upload, "b", "u1", "2026-11-20T12:00:01.000Z")
			fmt.Fprintf(w, upload, "b", "u2", "2026-11-20T12:00:01.000Z")
		}
		fmt.Fprint(w, `</ListMultipartUploadsResult>`)
	}})
	b := newBackend(t, p.URL, "data", nil)
	var got []string
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		require.EqualValues(t, sluice.UnknownSize, u.Spec.Size)
		got = append(got, u.Spec.Name+" "+u.ID)
	}
	require.Equal(t, []string{"b u1", "b u2", "a & u3", "a & u4"}, got, "oldest first")
	require.Equal(t, 3, p.count("ListMultipartUploads"))
}

func TestListOfPartsGoesOverPages(t *testing.T) {
	p := newProxy(t, false)
	b := newBackend(t, p.URL, newBucket(t), nil)
	spec := sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}
	f, err := b.StartLargeFile(t.Context(), spec)
	require.NoError(t, err)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range overOnePage {
		group.Go(func() error {
			_, err := f.UploadPart(t.Context(), part(i+1, []byte{byte(i)}))
			return err
		})
	}
	require.NoError(t, group.Wait())
	again, err := b.ResumeLargeFile(t.Context(), spec, f.Info().ID)
	require.NoError(t, err)
	stored := again.Info().Stored
	require.Len(t, stored, overOnePage)
	for i, r := range stored {
		require.Equal(t, i+1, r.Number)
		require.Equal(t, part(i+1, []byte{byte(i)}).Digests, r.Digests)
	}
	require.Equal(t, 2, p.count("ListParts"))
}

// A store whose lists go round in circles is not followed for ever.
func TestListsThatDoNotEndAreErrors(t *testing.T) {
	for _, text := range []string{
		`<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker></ListMultipartUploadsResult>`,
		`<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>`,
		`<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>`,
		`<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber></Part></ListPartsResult>`,
	} {
		p := newProxy(t, false, &fault{strike: func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			fmt.Fprint(w, text)
		}})
		b := newBackend(t, p.URL, "data", nil)
		for _, id := range []string{"", "u1"} {
			_, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}, id)
			require.ErrorContains(t, err, "unusable answer")
		}
	}
}

// A page that went wrong on the way is a failed attempt, like any other wrong answer.
func TestAWrongPageIsAskedForAgain(t *testing.T) {
	for text, list := range map[string]string{
		`<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>`:                               "ListMultipartUploads",
		`<ListMultipartUploadsResult><EncodingType>url</EncodingType><Upload><Key>%</Key></Upload></ListMultipartUploadsResult>`: "ListMultipartUploads",
		`<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>`:                                                     "ListParts",
		`<ListPartsResult><Part><PartNumber>2</PartNumber></Part><Part><PartNumber>2</PartNumber></Part></ListPartsResult>`:      "ListParts",
	} {
		p := newProxy(t, false, &fault{calls: list, times: 1, strike: func(_ *testing.T, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			fmt.Fprint(w, text)
		}})
		b := newBackend(t, p.URL, newBucket(t), nil)
		spec := sluice.FileSpec{Name: "a", Size: sluice.UnknownSize}
		f, err := b.StartLargeFile(t.Context(), spec)
		require.NoError(t, err)
		again, err := b.ResumeLargeFile(t.Context(), spec, "")
		require.NoError(t, err)
		require.Equal(t, f.Info().ID, again.Info().ID)
		require.Equal(t, f.Info().Stored, again.Info().Stored)
		require.Equal(t, 2, p.count(list))
	}
}

func TestPartsTellsWhatIsStoredAndWhen(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	var want []sluice.StoredPart
	for _, n := range []int{2, 1} {
		r, err := f.UploadPart(t.Context(), part(n, testutil.Content(n)))
		require.NoError(t, err)
		want = append([]sluice.StoredPart{{Receipt: r}}, want...)
	}
	u := sluice.UnfinishedFile{ID: f.Info().ID, Spec: sluice.FileSpec{Name: "a"}}
	got, err := b.Parts(t.Context(), u)
	require.NoError(t, err)
	for i := range got {
		require.WithinDuration(t, time.Now(), got[i].Stored, time.Minute)
		got[i].Stored = time.Time{}
	}
	require.Equal(t, want, got)
	require.NoError(t, f.Cancel(t.Context()))
	_, err = b.Parts(t.Context(), u)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// lists answers lists of uploads and objects of these names, two a page, in the ways of stores.
type lists struct {
	names   []string
	escapes func(asked bool) bool // whether keys are escaped
	says    bool                  // the answer says that they are
	prefix  func(name, prefix string) bool
	refuses int // the status of a list without a prefix, if not 0
}

func (l lists) serve(_ *testing.T, w http.ResponseWriter, r *http.Request, _ http.Handler) {
	q := r.URL.Query()
	if q.Get("prefix") == "" && l.refuses != 0 {
		writeError(w, l.refuses, "AccessDenied")
		return
	}
	show := func(key string) string { return key }
	escaped := l.escapes(q.Get("encoding-type") == "url")
	if escaped {
		show = url.QueryEscape
	}
	root, entry, from := "ListMultipartUploadsResult", "Upload", q.Get("key-marker")
	if !q.Has("uploads") {
		root, entry, from = "ListBucketResult", "Contents", q.Get("continuation-token")
	}
	fmt.Fprintf(w, "<%s>", root)
	if escaped && l.says {
		fmt.Fprint(w, "<EncodingType>url</EncodingType>")
	}
	n := 0
	for _, name := range l.names {
		if name <= from || !l.prefix(name, q.Get("prefix")) {
			continue
		}
		if n == 2 {
			marker := from
			if l.says {
				marker = show(from)
			}
			fmt.Fprintf(w, "<IsTruncated>true</IsTruncated><NextKeyMarker>%s</NextKeyMarker><NextContinuationToken>%s</NextContinuationToken>", marker, from)
			break
		}
		n, from = n+1, name
		fmt.Fprintf(w, `<%s><Key>%s</Key><UploadId>id</UploadId><ETag>"e"</ETag></%[1]s>`, entry, show(name))
	}
	fmt.Fprintf(w, "</%s>", root)
}

// listed returns the names of unfinished uploads and those of files.
func listed(t *testing.T, l lists, prefix string) (uploads, files []string, err error) {
	b := newBackend(t, newProxy(t, false, &fault{strike: l.serve}).URL, "data", nil)
	for u, failed := range b.Unfinished(t.Context(), prefix) {
		if failed != nil {
			err = failed
			break
		}
		uploads = append(uploads, u.Spec.Name)
	}
	for f, failed := range b.List(t.Context(), prefix) {
		if failed == nil {
			files = append(files, f.Name)
		}
	}
	return uploads, files, err
}

var oddNames = []string{"a b", "a%20b", "a%zz", "a+b", "plain", "plain+", "plain2", "ü"}

func TestLists_TellEscapedNamesFromOthersByEvidence(t *testing.T) {
	never := func(bool) bool { return false }
	asked := func(asked bool) bool { return asked }
	for store, l := range map[string]lists{
		"escapes and says so":         {escapes: asked, says: true},
		"escapes and does not say so": {escapes: asked},
		"does not know encoding-type": {escapes: never},
		"escapes always, and says so": {escapes: func(bool) bool { return true }, says: true},
	} {
		t.Run(store, func(t *testing.T) {
			l.names, l.prefix = oddNames, strings.HasPrefix
			for _, prefix := range []string{"", "a", "a%", "a+", "pl", "ü", "none"} {
				var want []string
				for _, name := range oddNames {
					if strings.HasPrefix(name, prefix) {
						want = append(want, name)
					}
				}
				uploads, files, err := listed(t, l, prefix)
				require.NoError(t, err)
				require.Equal(t, want, uploads, "prefix %q", prefix)
				require.Equal(t, want, files, "prefix %q", prefix)
			}
		})
	}
}

// MinIO's way: an exact name, or all of them.
func exactly(name, prefix string) bool { return prefix == "" || name == prefix }

func TestUnfinished_FindsByPrefixWhereTheStoreListsExactNamesOnly(t *testing.T) {
	l := lists{names: oddNames, escapes: func(asked bool) bool { return asked }, says: true, prefix: exactly}
	for prefix, want := range map[string][]string{
		"plain": {"plain", "plain+", "plain2"}, "pl": {"plain", "plain+", "plain2"}, "ü": {"ü"}, "none": nil, "": oddNames,
	} {
		uploads, _, err := listed(t, l, prefix)
		require.NoError(t, err)
		require.Equal(t, want, uploads, "prefix %q", prefix)
	}
}

// Credentials may be good for names of a prefix only.
func TestUnfinished_TakesTheListByPrefixWhereNoOtherIsAllowed(t *testing.T) {
	l := lists{names: oddNames, escapes: func(asked bool) bool { return asked }, says: true, prefix: strings.HasPrefix, refuses: http.StatusForbidden}
	uploads, _, err := listed(t, l, "plain2")
	require.NoError(t, err)
	require.Equal(t, []string{"plain2"}, uploads)
	_, _, err = listed(t, l, "none")
	require.ErrorContains(t, err, "s3:ListBucketMultipartUploads", "there may be some that the store does not list")
	l.refuses = http.StatusNotImplemented
	_, _, err = listed(t, l, "none")
	require.ErrorContains(t, err, "501", "any other failure is one")
	uploads, _, err = listed(t, l, "plain2")
	require.ErrorContains(t, err, "501")
	require.Equal(t, []string{"plain2"}, uploads, "what was found is kept")
}

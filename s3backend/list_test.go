package s3backend

import (
	"fmt"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/c1508ce4/sluice"
)

// overOnePage is more than a page of a list holds (S3 API reference: 1000).
const overOnePage = 1003

// The server of the tests refuses its own markers (versitygw 1.8.0), so the pages are written down here as the API
// reference has them.
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
		require.Equal(t, f.Info(), again.Info())
		require.Equal(t, 2, p.count(list))
	}
}

func TestPartsTellsWhatIsStoredAndWhen(t *testing.T) {
	b := newBackend(t, server.URL, newBucket(t), nil)
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
	require.NoError(t, err)
	var want []sluice.StoredPart
	for _, n := range []int{2, 1} {
		r, err := f.UploadPart(t.Context(), part(n, random(n)))
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

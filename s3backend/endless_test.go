package s3backend

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// endless returns a backend whose store answers each request with the page of its number.
func endless(t *testing.T, page func(n int) string) (b *Backend, asked *int) {
	asked = new(int)
	b, err := New(t.Context(), "data", &Options{
		Endpoint: "https://store.test", Region: "r", Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", "key", "")),
		Retry: sluice.Retry{Attempts: 2, MaxWait: time.Microsecond},
		Transport: testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) {
			*asked++
			return response(http.StatusOK, page(*asked)), nil
		}),
	})
	require.NoError(t, err)
	return b, asked
}

// uploadsPage is a page of n uploads that says that there are more.
func uploadsPage(page, n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "<Upload><Key>k%[1]d-%[2]d</Key><UploadId>u%[1]d-%[2]d</UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload>", page, i)
	}
	return fmt.Sprintf("<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k%d</NextKeyMarker>%s</ListMultipartUploadsResult>", page, text.String())
}

// objectsPage is a page of the object k that says that more follow the token.
func objectsPage(token, k int) string {
	return fmt.Sprintf("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t%d</NextContinuationToken>"+
		"<Contents><Key>k%d</Key><ETag>t</ETag><Size>1</Size></Contents></ListBucketResult>", token, k)
}

func partsPage(first, n int, tag string) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>1</Size></Part>", first+i, tag)
	}
	return "<ListPartsResult><IsTruncated>true</IsTruncated>" + text.String() + "</ListPartsResult>"
}

func TestLists_EndWhateverTheStoreAnswers(t *testing.T) {
	unfinished := func(prefix string) func(*Backend) (int, error) {
		return func(b *Backend) (n int, _ error) {
			for _, err := range b.Unfinished(t.Context(), prefix) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		}
	}
	parts := func(b *Backend) (int, error) {
		found, err := b.Parts(t.Context(), sluice.UnfinishedFile{ID: "u", Spec: sluice.FileSpec{Name: "k"}})
		return len(found), err
	}
	resume := func(id string) func(*Backend) (int, error) {
		return func(b *Backend) (int, error) {
			_, err := b.ResumeLargeFile(t.Context(), sluice.FileSpec{Name: "k", Size: sluice.UnknownSize}, id)
			return 0, err
		}
	}
	objects := func(b *Backend) (n int, _ error) {
		for _, err := range b.List(t.Context(), "") {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	for name, c := range map[string]struct {
		page        func(n int) string
		want        string
		list        func(*Backend) (int, error)
		found, most int // entries, requests
	}{
		"parts of ever rising numbers": {func(n int) string { return partsPage(1000*(n-1)+1, 1000, "t") }, "is over the limit of 10000 parts", parts, 0, 12},
		"parts, resuming":              {func(n int) string { return partsPage(1000*(n-1)+1, 1000, "t") }, "is over the limit of 10000 parts", resume("u"), 0, 12},
		"one part a page":              {func(n int) string { return partsPage(n, 1, "t") }, "is over the limit of 10000 parts", parts, 0, 10_002},
		"a part of a huge number":      {func(int) string { return partsPage(1<<30, 1, "t") }, "part 1073741824 is over the limit", parts, 0, 2},
		"pages of no parts":            {func(int) string { return partsPage(1, 0, "t") }, "goes on where it began", parts, 0, 2},
		"a huge ETag":                  {func(int) string { return partsPage(1, 1, strings.Repeat("t", 30<<10)) }, "an ETag of 30720 bytes", parts, 0, 2},
		"more parts than a page has":   {func(int) string { return partsPage(1, 20_000, "t") }, "a list of more than 10100 entries", parts, 0, 2},
		"pages of no uploads":          {func(n int) string { return uploadsPage(n, 0) }, "100 pages in a row without an entry", unfinished(""), 0, 103},
		"pages of uploads":             {func(n int) string { return uploadsPage(n, 1) }, "more than 10000 pages", unfinished(""), 10_000, 10_003},
		"pages of others' uploads":     {func(n int) string { return uploadsPage(n, 1) }, "more than 10000 pages", unfinished("other"), 0, 10_003},
		"pages of uploads, resuming":   {func(n int) string { return uploadsPage(n, 1) }, "more than 10000 pages", resume(""), 0, 10_003},
		"the same page":                {func(int) string { return uploadsPage(1, 1) }, "the next page is one that came before", unfinished(""), 1, 3},
		"A, B, A, B":                   {func(n int) string { return uploadsPage(n%2, 1) }, "the next page is one that came before", unfinished(""), 2, 4},
		"objects, A, B, A, B":          {func(n int) string { return objectsPage(n%2, n) }, "the next page is one that came before", objects, 2, 4},
		"the same objects, new tokens": {func(n int) string { return objectsPage(n, n%2) }, "two pages end with the same entry", objects, 2, 4},
		"pages of objects":             {func(n int) string { return objectsPage(n, n) }, "more than 10000 pages", objects, 10_000, 10_003},
		"more than a list may have":    {func(n int) string { return uploadsPage(n, 1000) }, "there are more unfinished uploads than the 78", unfinished(""), 78_000, 90},
	} {
		t.Run(name, func(t *testing.T) {
			b, asked := endless(t, c.page)
			found, err := c.list(b)
			require.ErrorContains(t, err, c.want)
			require.InDelta(t, c.found, found, 1000)
			require.LessOrEqual(t, *asked, c.most)
		})
	}
}

// The parts of a file are not known where the list of them has no end. Parts
// without bytes do not end by the size of the file.
func TestAttributes_EndWhateverTheStoreAnswers(t *testing.T) {
	attributes := func(first, n, next int) string {
		var parts strings.Builder
		for i := range n {
			fmt.Fprintf(&parts, "<Part><PartNumber>%d</PartNumber><Size>0</Size></Part>", first+i)
		}
		return fmt.Sprintf("<GetObjectAttributesResponse><ObjectParts><IsTruncated>true</IsTruncated>"+
			"<NextPartNumberMarker>%d</NextPartNumberMarker>%s</ObjectParts></GetObjectAttributesResponse>", next, parts.String())
	}
	for name, c := range map[string]struct {
		page func(n int) string
		most int
	}{
		"ever rising numbers": {func(n int) string { return attributes(1000*(n-1)+1, 1000, 1000*n) }, 11},
		"the same page":       {func(int) string { return attributes(1, 1, 1) }, 2},
		"no parts":            {func(n int) string { return attributes(1, 0, n) }, 1},
		"a marker ahead":      {func(n int) string { return attributes(n, 1, n+1) }, 1},
	} {
		b, asked := endless(t, c.page)
		parts, err := b.attributes(t.Context(), &sluice.StoredFile{File: sluice.File{Name: "k", Size: 5}, ETag: "t"})
		require.NoError(t, err, name)
		require.Empty(t, parts, name)
		require.LessOrEqual(t, *asked, c.most, name)
	}
}

// One that cannot be is no reason to list no other.
func TestUnfinished_ListsOldestFirstBeforeAnError(t *testing.T) {
	pages := []string{
		`<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>` +
			`<Upload><Key>a</Key><UploadId>1</UploadId><Initiated>2026-01-02T00:00:00Z</Initiated></Upload>` +
			`<Upload><Key>b</Key><UploadId>2</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload></ListMultipartUploadsResult>`,
		`<Error><Code>AccessDenied</Code></Error>`,
	}
	b, _ := endless(t, func(n int) string { return pages[min(n, len(pages))-1] })
	var ids []string
	var last error
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, last, "an error is the end")
		if last = err; err == nil {
			ids = append(ids, u.ID)
		}
	}
	require.ErrorContains(t, last, "AccessDenied")
	require.Equal(t, []string{"2", "1"}, ids)
}

// What a store says of sizes and times hides no other entry, and becomes no negative sum.
func TestUnfinished_ListsAllWhateverTheirSizesAndTimes(t *testing.T) {
	odd := []string{"", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "-1", "yesterday"}
	var entries, parts strings.Builder
	for i, at := range append(odd, "2026-01-02T03:04:05Z") {
		fmt.Fprintf(&entries, "<Upload><Key>k</Key><UploadId>u%d</UploadId><Initiated>%s</Initiated></Upload>", i, at)
		fmt.Fprintf(&parts, "<Part><PartNumber>%d</PartNumber><ETag>t</ETag><Size>9223372036854775807</Size><LastModified>%s</LastModified></Part>", i+1, at)
	}
	b, _ := endless(t, func(n int) string {
		if n == 1 {
			return "<ListMultipartUploadsResult>" + entries.String() + "</ListMultipartUploadsResult>"
		}
		return "<ListPartsResult>" + parts.String() + "</ListPartsResult>"
	})
	n := 0
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		_, err := json.Marshal(u.Started)
		require.NoError(t, err)
		require.Equal(t, u.ID != "u7", u.Started.IsZero(), u.ID)
		require.Equal(t, u.Started.IsZero(), u.Age == 0)
		n++
	}
	require.Equal(t, len(odd)+1, n)
	stored, err := b.Parts(t.Context(), sluice.UnfinishedFile{ID: "u", Spec: sluice.FileSpec{Name: "k"}})
	require.NoError(t, err)
	require.Len(t, stored, n)
	require.True(t, stored[0].Stored.IsZero())
	require.False(t, stored[len(odd)].Stored.IsZero())
	_, err = sluice.New(t.Context(), b, "k", &sluice.Options{ResumeID: "u"})
	require.ErrorContains(t, err, "large file u has stored part 1 of 9223372 TB")
	require.NotRegexp(t, `-\d+ (bytes|[kMGT])`, err.Error())

	for _, size := range []string{"-1", "-9223372036854775808", "9223372036854775808", "x"} {
		b, _ := endless(t, func(int) string {
			return "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>t</ETag><Size>" + size + "</Size></Part></ListPartsResult>"
		})
		_, err := b.Parts(t.Context(), sluice.UnfinishedFile{ID: "u", Spec: sluice.FileSpec{Name: "k"}})
		require.Error(t, err, size)
	}
}

func TestList_HidesNoFileForASize(t *testing.T) {
	b, _ := endless(t, func(int) string {
		var files strings.Builder
		for i, size := range []string{"-1", "9223372036854775808", "-9223372036854775809", "", "7"} {
			fmt.Fprintf(&files, "<Contents><Key>k%d</Key><Size>%s</Size></Contents>", i, size)
		}
		return "<ListBucketResult>" + files.String() + "</ListBucketResult>"
	})
	var sizes []int64
	for f, err := range b.List(t.Context(), "") {
		require.NoError(t, err)
		sizes = append(sizes, f.Size)
	}
	require.Equal(t, []int64{-1, math.MaxInt64, math.MinInt64, 0, 7}, sizes)
}

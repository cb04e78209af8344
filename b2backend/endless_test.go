package b2backend_test

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// A list ends, whatever the service answers, and keeps nothing that it was not
// asked for.
func TestLists_EndWhateverTheServiceAnswers(t *testing.T) {
	listed := func(prefix string) func(context.Context, *b2backend.Backend) (int, error) {
		return func(ctx context.Context, b *b2backend.Backend) (n int, _ error) {
			for _, err := range b.Unfinished(ctx, prefix) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		}
	}
	parts := func(ctx context.Context, b *b2backend.Backend) (int, error) {
		found, err := b.Parts(ctx, sluice.UnfinishedFile{ID: "large"})
		return len(found), err
	}
	versions := func(ctx context.Context, b *b2backend.Backend) (int, error) {
		_, err := b.UploadFile(ctx, sized("file", 50), part(0, testutil.Content(50)))
		return 0, err
	}
	resume := func(ctx context.Context, b *b2backend.Backend) (int, error) {
		_, err := b.ResumeLargeFile(ctx, spec("file"), "")
		return 0, err
	}
	names := func(ctx context.Context, b *b2backend.Backend) (n int, _ error) {
		for _, err := range b.List(ctx, "") {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	stale := func(ctx context.Context, b *b2backend.Backend) (int, error) {
		gone, err := b.CancelStale(ctx, b2backend.StaleFilter{OlderThan: 100 * 365 * 24 * time.Hour, IncludeOtherClients: true})
		return len(gone), err
	}
	file := `{"files":[{"action":"start","fileId":"f%[1]d","fileName":"file","uploadTimestamp":9999}],"nextFileName":"file","nextFileId":"n%[1]d"}`
	for name, c := range map[string]struct {
		call, page, want string
		list             func(context.Context, *b2backend.Backend) (int, error)
		found, most      int // entries, requests
	}{
		"empty pages":              {"b2_list_unfinished_large_files", `{"nextFileId":"n%d"}`, "100 pages in a row without an entry", listed(""), 0, 103},
		"A, B, A, B":               {"b2_list_unfinished_large_files", `{"files":[{"action":"start","fileId":"f%[1]d","fileName":"file","uploadTimestamp":9999}],"nextFileId":"n%[3]d"}`, "is one that came before", listed(""), 2, 5},
		"the same file again":      {"b2_list_unfinished_large_files", `{"files":[{"action":"start","fileId":"f%[3]d","fileName":"file","uploadTimestamp":9999}],"nextFileId":"n%[1]d"}`, "end with the same entry", listed(""), 2, 5},
		"names, A, B, A, B":        {"b2_list_file_names", `{"files":[{"action":"upload","fileId":"f%[1]d","fileName":"file","contentLength":1}],"nextFileName":"n%[3]d"}`, "is one that came before", names, 2, 5},
		"the same name again":      {"b2_list_file_names", `{"files":[{"action":"upload","fileId":"f%[3]d","fileName":"file","contentLength":1}],"nextFileName":"n%[1]d"}`, "end with the same entry", names, 2, 5},
		"empty pages of versions":  {"b2_list_file_versions", `{"nextFileName":"file","nextFileId":"n%d"}`, "100 pages in a row without an entry", versions, 0, 1000},
		"empty pages of parts":     {"b2_list_parts", `{"nextPartNumber":%d}`, "100 pages in a row without an entry", parts, 0, 103},
		"pages":                    {"b2_list_unfinished_large_files", file, "more than 10000 pages", listed(""), 10_000, 10_003},
		"pages of versions":        {"b2_list_file_versions", file, "more than 10000 pages", versions, 0, 100_000},
		"pages of parts":           {"b2_list_parts", `{"parts":[{"partNumber":%[1]d,"contentLength":1}],"nextPartNumber":%[2]d}`, "of 1 bytes", parts, 0, 10_003},
		"pages of others' files":   {"b2_list_unfinished_large_files", file, "more than 10000 pages", listed("other"), 0, 10_003},
		"pages of no parts at all": {"b2_list_parts", `{"nextPartNumber":%d000}`, "over the limit of 10000", parts, 0, 13},
		"pages, resuming":          {"b2_list_unfinished_large_files", file, "more than 10000 pages", resume, 0, 10_003},
		"pages, cancelling":        {"b2_list_unfinished_large_files", file, "more than 10000 pages", stale, 0, 10_003},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			f := &fake{answers: map[string]func(*http.Request) (int, string){
				c.call: func(*http.Request) (int, string) {
					asked++
					return http.StatusOK, strings.NewReplacer("%[1]d", fmt.Sprint(asked), "%[2]d", fmt.Sprint(asked+1), "%[3]d", fmt.Sprint(asked%2), "%d", fmt.Sprint(asked+1)).Replace(c.page)
				},
				"b2_upload_file": func(*http.Request) (int, string) { return 0, "the answer is lost" },
			}}
			b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 3, MaxWait: time.Microsecond}})
			require.NoError(t, err)
			found, err := c.list(t.Context(), b)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.found, found)
			require.LessOrEqual(t, asked, c.most)
		})
	}
}

// What a service says of sizes and times hides no other entry, and becomes no
// negative sum.
func TestUnfinished_ListsAllWhateverTheirSizesAndTimes(t *testing.T) {
	odd := []string{"0", "-1", "-9223372036854775808", "253402300800000", "9223372036854775807", "9223372036854775808", "-9223372036854775809", `"x"`, "null"}
	entry := func(name, size, at string) string {
		return fmt.Sprintf(`{"action":"start","fileId":%q,"fileName":"f","contentLength":%s,"uploadTimestamp":%s}`, name, size, at)
	}
	entries := []string{entry("first", "0", "1767323045006")}
	for i, at := range odd {
		entries = append(entries, entry(fmt.Sprint(i), []string{"0", "-1", "9223372036854775807", "99999999999999999999"}[i%4], at))
	}
	entries = append(entries, entry("last", "0", "1767323045006"))
	var parts []string
	for i, at := range odd {
		parts = append(parts, fmt.Sprintf(`{"partNumber":%d,"contentLength":99999999999999999999,"uploadTimestamp":%s}`, i+1, at))
	}
	var due []string // in this order they are cancelled
	f := &fake{answers: map[string]func(*http.Request) (int, string){
		"b2_list_unfinished_large_files": func(*http.Request) (int, string) {
			return http.StatusOK, `{"files":[` + strings.Join(entries, ",") + `]}`
		},
		"b2_list_parts": func(*http.Request) (int, string) {
			return http.StatusOK, `{"parts":[` + strings.Join(parts, ",") + `]}`
		},
		"b2_cancel_large_file": func(*http.Request) (int, string) {
			id := due[0]
			due = due[1:]
			return http.StatusOK, fmt.Sprintf(`{"fileId":%q}`, id)
		},
	}}
	b, err := dialFake(t, f, nil)
	require.NoError(t, err)
	var all, known []string
	for u, err := range b.Unfinished(t.Context(), "") {
		require.NoError(t, err)
		_, err := json.Marshal(u.Started)
		require.NoError(t, err)
		require.Equal(t, u.Started.IsZero(), u.Age == 0)
		if !u.Started.IsZero() {
			known = append(known, u.ID)
		}
		all = append(all, u.ID)
	}
	require.Len(t, all, len(entries))
	require.Equal(t, []string{"first", "last"}, known)

	stored, err := b.Parts(t.Context(), sluice.UnfinishedFile{ID: "first"})
	require.NoError(t, err)
	require.Len(t, stored, len(odd))
	for _, p := range stored {
		require.Equal(t, int64(math.MaxInt64), p.Size)
		require.True(t, p.Stored.IsZero())
	}

	_, err = sluice.New(t.Context(), b, "f", &sluice.Options{ResumeID: "first"})
	require.ErrorContains(t, err, "large file first has stored part 1 of 9223372 TB")
	require.NotRegexp(t, `-\d+ (bytes|[kMGT])`, err.Error())

	due = slices.Clone(known)
	_, err = b.CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: time.Hour, IncludeOtherClients: true})
	require.NoError(t, err, "one whose age is not known is not old")
	require.Empty(t, due)
	due = slices.Clone(all)
	_, err = b.CancelStale(t.Context(), b2backend.StaleFilter{OlderThan: -1, IncludeOtherClients: true})
	require.NoError(t, err)
	require.Empty(t, due)
}

func TestASizeThatCannotBe_IsNoSuccess(t *testing.T) {
	for _, size := range []string{"-1", "0", "-9223372036854775808", "9223372036854775807", "9223372036854775808", "99999999999999999999"} {
		answer := func(*http.Request) (int, string) {
			return http.StatusOK, fmt.Sprintf(`{"fileId":"large","fileName":"file","partNumber":1,"contentLength":%s,"contentSha1":"%x"}`, size, sha1.Sum(testutil.Content(50)))
		}
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_upload_file": answer, "b2_upload_part": answer, "b2_finish_large_file": answer, "b2_copy_file": answer, "b2_copy_part": answer,
		}}
		b, err := dialFake(t, f, &b2backend.Options{Retry: sluice.Retry{Attempts: 1, MaxWait: time.Microsecond}})
		require.NoError(t, err)
		_, err = b.UploadFile(t.Context(), sized("file", 50), part(0, testutil.Content(50)))
		require.ErrorContains(t, err, "bytes stored of 50", size)
		large, err := b.StartLargeFile(t.Context(), spec("file"))
		require.NoError(t, err)
		_, err = large.UploadPart(t.Context(), part(1, testutil.Content(50)))
		require.ErrorContains(t, err, "bytes stored of 50", size)
	}
}

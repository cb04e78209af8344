package b2backend_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend"
)

// What another program has stored is quoted by errors, whatever it is.
func TestErrorsAboutForeignFiles_ArePrintableAndBounded(t *testing.T) {
	ugly := "\x1b[2J\u009b\u202e\u2028" + strings.Repeat("x", 30<<10)
	quoted, err := json.Marshal(ugly)
	require.NoError(t, err)
	for name, file := range map[string]string{
		"its content type is": `{"contentType":%s,"fileInfo":{"a":"b"}}`,
		"its info is":         `{"contentType":"text/plain","fileInfo":{%[1]s:%[1]s}}`,
		"its legal hold is":   `{"contentType":"text/plain","fileInfo":{},"legalHold":{"isClientAuthorizedToRead":true,"value":%s}}`,
		"its retention is":    `{"contentType":"text/plain","fileInfo":{},"fileRetention":{"isClientAuthorizedToRead":true,"value":{"mode":%s}}}`,
		"its encryption is":   `{"contentType":"text/plain","fileInfo":{},"serverSideEncryption":{"mode":%s}}`,
	} {
		file = `{"files":[{"action":"start","fileId":"large","fileName":"file",` + strings.TrimPrefix(fmt.Sprintf(file, quoted), "{") + `]}`
		f := &fake{answers: map[string]func(*http.Request) (int, string){
			"b2_list_unfinished_large_files": func(*http.Request) (int, string) { return 200, file },
			"b2_list_file_versions":          func(*http.Request) (int, string) { return 200, file },
		}}
		b, err := dialFake(t, f, nil)
		require.NoError(t, err)
		if name == "its encryption is" {
			b = b.With(b2backend.FileOptions{Encryption: b2backend.EncryptB2()})
		} else if name != "its content type is" {
			b = b.With(b2backend.FileOptions{LegalHold: b2backend.HoldOn, Retention: b2backend.Retention{Mode: b2backend.Governance, Until: time.Unix(1<<31, 0)}})
		}
		s := spec("file")
		s.ContentType = "text/plain"
		_, err = b.ResumeLargeFile(t.Context(), s, "")
		require.ErrorContains(t, err, name)
		require.Less(t, len(err.Error()), 2000)
		require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsGraphic(r) }), "%q", err)
	}
}

//go:build unix

package b2test_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// curl is the requests of the service's documentation, as it shows them: no
// content type but curl's own, and files sent as they are.
type curl struct {
	t *testing.T
}

// call returns the answer, which must have the status.
func (c curl) call(status int, args ...string) fields {
	c.t.Helper()
	raw := c.raw(status, args...)
	var out fields
	require.NoError(c.t, json.Unmarshal([]byte(raw), &out), "%s", raw)
	return out
}

func (c curl) raw(status int, args ...string) string {
	c.t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("curl", append([]string{"-sS", "--disable", "--write-out", "\n%{http_code}"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(c.t, err, "%s", stderr.String())
	body, code, _ := strings.Cut(string(out[:len(out)-4])+"\x00"+string(out[len(out)-3:]), "\x00")
	require.Equal(c.t, strconv.Itoa(status), code, "%q: %s", args, body)
	return body
}

func TestCurlAsTheDocumentationHasIt(t *testing.T) {
	need(t, "curl")
	for _, version := range []string{"v1", "v2", "v3", "v4"} {
		t.Run(version, func(t *testing.T) {
			s := newServer(t, &b2test.Options{MinPartSize: 100})
			c := curl{t}
			dir := t.TempDir()
			file := func(name, content string) string {
				path := filepath.Join(dir, name)
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				return "@" + path
			}

			login := c.call(200, "-u", s.KeyID()+":"+s.Key(), s.URL()+"/b2api/"+version+"/b2_authorize_account")
			token := "Authorization: " + login["authorizationToken"].(string)
			where := login
			if info, ok := login["apiInfo"].(fields); ok {
				where = info["storageApi"].(fields)
			}
			api, down := where["apiUrl"].(string)+"/b2api/"+version+"/", where["downloadUrl"].(string)
			post := func(call string, in fields) fields {
				body, err := json.Marshal(in)
				require.NoError(t, err)
				return c.call(200, "-H", token, "-d", string(body), api+call)
			}
			bucket := fields{"bucketId": s.BucketID()}

			buckets := post("b2_list_buckets", fields{"accountId": login["accountId"]})["buckets"].([]any)
			require.Equal(t, "test-bucket", buckets[0].(fields)["bucketName"])

			to := post("b2_get_upload_url", bucket)
			stored := c.call(200, "-H", "Authorization: "+to["authorizationToken"].(string), "-H", "X-Bz-File-Name: typing_test.txt",
				"-H", "Content-Type: text/plain", "-H", "X-Bz-Content-Sha1: "+sum("typing"), "-H", "X-Bz-Info-Author: unknown",
				"--data-binary", file("typing_test.txt", "typing"), to["uploadUrl"].(string))
			require.Equal(t, fields{"author": "unknown"}, stored["fileInfo"])

			large := post("b2_start_large_file", fields{"bucketId": s.BucketID(), "fileName": "large", "contentType": "b2/x-auto"})
			parts := []string{strings.Repeat("1", 100), "22"}
			for i, part := range parts {
				to := post("b2_get_upload_part_url", fields{"fileId": large["fileId"]})
				c.call(200, "-H", "Authorization: "+to["authorizationToken"].(string), "-H", "X-Bz-Part-Number: "+strconv.Itoa(i+1),
					"-H", "X-Bz-Content-Sha1: "+sum(part), "-H", "Content-Length: "+strconv.Itoa(len(part)),
					"--data-binary", file("part", part), to["uploadUrl"].(string))
			}
			require.Len(t, post("b2_list_parts", fields{"fileId": large["fileId"], "startPartNumber": 1, "maxPartCount": 1000})["parts"], 2)
			require.Len(t, post("b2_list_unfinished_large_files", bucket)["files"], 1)
			post("b2_finish_large_file", fields{"fileId": large["fileId"], "partSha1Array": []string{sum(parts[0]), sum(parts[1])}})
			cancelled := post("b2_start_large_file", fields{"bucketId": s.BucketID(), "fileName": "no", "contentType": "b2/x-auto"})
			post("b2_cancel_large_file", fields{"fileId": cancelled["fileId"]})

			listed := post("b2_list_file_names", bucket)["files"].([]any)
			require.Len(t, listed, 2)
			require.EqualValues(t, 102, listed[0].(fields)["contentLength"])
			_, old := listed[0].(fields)["size"]
			require.Equal(t, version == "v1", old, "size is version 1's")
			require.Len(t, post("b2_list_file_versions", bucket)["files"], 2)
			require.Equal(t, "large", post("b2_get_file_info", fields{"fileId": large["fileId"]})["fileName"])

			byName, byID := down+"/file/test-bucket/large", down+"/b2api/"+version+"/b2_download_file_by_id?fileId="+large["fileId"].(string)
			require.Equal(t, parts[0]+parts[1], c.raw(200, "-H", token, byName))
			require.Equal(t, parts[0]+parts[1], c.raw(200, "-H", token, byID))
			require.Equal(t, "122", c.raw(206, "-H", token, "-H", "Range: bytes=99-", byName))
			head := c.raw(200, "-I", "-H", token, down+"/file/test-bucket/typing_test.txt")
			require.Contains(t, head, "X-Bz-Content-Sha1: "+sum("typing"))
			require.Contains(t, head, "X-Bz-Info-author: unknown")

			post("b2_hide_file", fields{"bucketId": s.BucketID(), "fileName": "typing_test.txt"})
			require.Equal(t, "not_found", c.call(404, "-H", token, down+"/file/test-bucket/typing_test.txt")["code"])
			post("b2_delete_file_version", fields{"fileName": "large", "fileId": large["fileId"]})
			require.Equal(t, "bad_auth_token", c.call(401, "-H", "Authorization: nonsense", "-d", "{}", api+"b2_list_buckets")["code"])
			require.NoError(t, s.Check())
		})
	}
}

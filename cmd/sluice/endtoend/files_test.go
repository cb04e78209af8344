//go:build unix

package endtoend

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/engines"
)

// newS3World is a world that has an S3 server too, with a bucket "files".
func newS3World(t *testing.T) *world {
	w := newWorld(t)
	server, err := engines.Start(t.Context(), engines.Versitygw)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.MakeBucket("files"))
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": engines.Region, "AWS_ACCESS_KEY_ID": engines.AccessKey,
		"AWS_SECRET_ACCESS_KEY": engines.SecretKey, "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none",
	} {
		w.set(name, value)
	}
	return w
}

func TestFiles_AreListedDescribedVerifiedAndRemoved(t *testing.T) {
	w := newS3World(t)
	w.run("head -c 12000000 /dev/urandom > large; echo text > small; mkdir -p files/dir")
	sum := strings.Fields(w.run("sha256sum < large"))[0]
	for base, flags := range map[string]string{"b2://demo-bucket/": "", "s3://files/": "--path-style", "file://" + filepath.Join(w.dir, "files") + "/": ""} {
		t.Run(base, func(t *testing.T) {
			sluice := func(command string, args ...string) (code int, stdout, stderr string) {
				return w.try(fmt.Sprintf("sluice %s %s %s", command, flags, strings.Join(args, " ")))
			}
			must := func(command string, args ...string) string {
				t.Helper()
				code, stdout, stderr := sluice(command, args...)
				require.Zero(t, code, "%s %v: %s", command, args, stderr)
				return stdout
			}
			object := func(text string) (o map[string]any) {
				t.Helper()
				require.NoError(t, json.Unmarshal([]byte(text), &o), text)
				return o
			}
			must("put", "--part-size 5MiB", base+"dir/large", "< large")
			must("put", base+"dir/small", "< small")
			must("put", base+"top", "< small")

			require.Equal(t, base+"dir/\n"+base+"top\n", must("ls", base))
			require.Equal(t, base+"dir/large\n"+base+"dir/small\n"+base+"top\n", must("ls", "-r", base))
			require.Equal(t, base+"dir/large\n"+base+"dir/small\n", must("ls", base+"dir/"))
			require.Regexp(t, `^ +12000000  20\d\d-\S+Z  `+base+"dir/large\n +5  20.*small\n$", must("ls", "-l", base+"dir/"))
			require.EqualValues(t, 5, object(must("ls", "--json", base+"top"))["size"])
			require.Empty(t, must("ls", base+"none"))

			require.Regexp(t, `(?m)^size +12000000 \(12 MB\)$`, must("stat", base+"dir/large"))
			o := object(must("stat", "--json", base+"dir/large"))
			require.Equal(t, base+"dir/large", o["destination"])
			require.EqualValues(t, 12000000, o["size"])

			code, _, stderr := sluice("verify", "--sha256 "+sum, base+"dir/large")
			require.Zero(t, code, stderr)
			require.Contains(t, stderr, "checked by its length")
			require.Contains(t, stderr, "the digest given")
			code, _, stderr = sluice("verify", "--sha256 "+strings.Repeat("0", 64), base+"dir/large")
			require.Equal(t, 1, code)
			require.Contains(t, stderr, "file is damaged")
			must("get", base+"dir/large", "| cmp - large")

			code, _, stderr = sluice("rm", base+"dir/large", "< /dev/null")
			require.Equal(t, 2, code)
			require.Contains(t, stderr, "--yes removes without asking")
			require.Equal(t, base+"top", object(must("rm", "--yes --json", base+"top"))["destination"])
			for _, command := range []string{"stat", "verify", "get", "rm --yes"} {
				code, stdout, stderr := sluice(command, base+"top")
				require.Equal(t, 1, code, command)
				require.Empty(t, stdout)
				require.Regexp(t, "does not exist|no such file", stderr, command)
			}
			must("rm", "--yes", base+"dir/small")
			require.Equal(t, base+"dir/large\n", must("ls", "-r", base))
			require.Empty(t, must("unfinished", base))
		})
	}
}

// tar exits 1 where a file changes while it is read, as one does on a machine in use.
func TestTar_ThatSawAFileChangeIsStoredIfThatIsSaid(t *testing.T) {
	w := newWorld(t)
	w.run("mkdir tree; echo still > tree/still; head -c 3000000 /dev/urandom > tree/log")
	tar := `tar -C tree --checkpoint=100 --checkpoint-action=exec='echo more >> tree/log' -cf - still log`
	w.set("TAR", tar)
	code, _, stderr := w.try(`sluice put b2://demo-bucket/x -- sh -c "$TAR"`)
	require.Equal(t, 3, code, stderr)
	require.Contains(t, stderr, "file changed as we read it")
	w.requireNothingLeft("x")

	code, report, stderr := w.try(`sluice put --json --ok-exit 1 b2://demo-bucket/x -- sh -c "$TAR"`)
	require.Zero(t, code, stderr)
	require.Contains(t, report, `"command_exit":1`)
	require.Contains(t, stderr, "sh exited 1 (--ok-exit)")
	w.run("mkdir back; sluice get b2://demo-bucket/x | tar -xC back -f -; cmp back/still tree/still; cmp -n 3000000 back/log tree/log")

	code, _, stderr = w.try(`sluice put --ok-exit 1 b2://demo-bucket/y -- tar -cf - tree nosuch`)
	require.Equal(t, 3, code, "2 of tar is a failure: %s", stderr)
	w.requireNothingLeft("y")
}

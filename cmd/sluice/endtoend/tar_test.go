//go:build unix

package endtoend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// makeTree makes a tree of all that tar has to think about.
func makeTree(t *testing.T, root string) {
	path := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"empty", "deep/" + strings.Repeat("long/", 30)} {
		require.NoError(t, os.MkdirAll(path(dir), 0o755))
	}
	for name, content := range map[string]string{
		"a b":                          "space",
		"new\nline":                    "newline",
		"-rf":                          "dash",
		`back\slash "quoted" 'single'`: "quotes",
		"$(touch oops); * ?":           "shell",
		"näme ☃ e\u0301":               "unicode",
		"latin-\xe9":                   "not UTF-8",
		strings.Repeat("l", 255):       "longest",
		"deep/" + strings.Repeat("long/", 30) + "file": "deep",
		".hidden": "",
		"large":   strings.Repeat("0123456789abcdef", 200_000),
	} {
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o640))
	}
	holes, err := os.Create(path("holes"))
	require.NoError(t, err)
	for _, at := range []int64{0, 3 << 20, 7 << 20} {
		_, err := holes.WriteAt([]byte("data between holes"), at)
		require.NoError(t, err)
	}
	require.NoError(t, holes.Truncate(9<<20))
	require.NoError(t, holes.Close())
	require.NoError(t, os.Link(path("large"), path("hard link")))
	require.NoError(t, os.Symlink("large", path("symlink")))
	require.NoError(t, os.Symlink("/nowhere/at all", path("dangling")))
	require.NoError(t, os.Symlink("../..", path("deep/loop")))
	require.NoError(t, os.Chmod(path("a b"), 0o4751))
	require.NoError(t, os.Chtimes(path("-rf"), time.Unix(1, 0), time.Unix(1_000_000_000, 123_456_789)))
}

func TestTarComesBackAndComparesEqual(t *testing.T) {
	need(t, "zstd", "zstd")
	w := newWorld(t)
	makeTree(t, filepath.Join(w.dir, "tree"))
	for _, c := range []struct{ up, down string }{
		{"sluice -z b2://demo-bucket/x.tar -- tar -SC tree -cf - .", "zstd -dc"},
		{"tar -SC tree --zstd -cf - . | tee sent | sluice b2://demo-bucket/x.tar", "zstd -dc"},
		{"sluice b2://demo-bucket/x.tar -- tar -SC tree -cf - .", "cat"},
		{"tar -SC tree -cf - . | tee sent | sluice b2://demo-bucket/x.tar", "cat"},
	} {
		w.run("rm -f sent; " + c.up)
		w.run("sluice get b2://demo-bucket/x.tar > back; " + c.down + " < back | tar -dC tree -f -")
		if strings.Contains(c.up, "tee sent") {
			w.run("cmp sent back")
		}
	}
	w.requireUnfinished(0)
	code, stdout, _ := w.try("echo changed >> tree/a\\ b; tar -dC tree -f back")
	require.Equal(t, 1, code, "tar -d finds differences")
	require.Contains(t, stdout, "a b")
}

func TestSHA256SumAgreesWithWhatPipeSays(t *testing.T) {
	w := newWorld(t)
	w.run("head -c 5000000 /dev/urandom > data")
	sum := strings.Fields(w.run("sha256sum < data"))[0]
	report := w.run("sluice -json -sha256 b2://demo-bucket/data < data")
	require.Contains(t, report, `"sha256":"`+sum+`"`)
	code, _, stderr := w.try("sluice get -sha256 " + sum + " b2://demo-bucket/data | cmp - data")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "sha256 "+sum)
	code, _, _ = w.try("sluice get -sha256 " + strings.Repeat("0", 64) + " b2://demo-bucket/data > /dev/null")
	require.Equal(t, 1, code)
}

func TestRcloneReadsWhatWasStored(t *testing.T) {
	need(t, "rclone", "rclone")
	w := newWorld(t)
	w.set("RCLONE_CONFIG", filepath.Join(w.dir, "no such configuration"))
	w.set("RCLONE_CONFIG_STORE_TYPE", "b2")
	w.set("RCLONE_CONFIG_STORE_ACCOUNT", w.variable("B2_APPLICATION_KEY_ID"))
	w.set("RCLONE_CONFIG_STORE_KEY", w.key())
	w.set("RCLONE_CONFIG_STORE_ENDPOINT", w.variable("B2_ENDPOINT"))
	for _, size := range []string{"0", "1000", "5000000"} {
		w.set("SIZE", size)
		w.run(`head -c $SIZE /dev/urandom > data; sluice b2://demo-bucket/dir/data < data; rclone cat store:demo-bucket/dir/data | cmp - data`)
	}
	w.run(`rclone rcat store:demo-bucket/theirs < data; sluice get b2://demo-bucket/theirs | cmp - data`)
}

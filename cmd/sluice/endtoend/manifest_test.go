//go:build unix

package endtoend

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/memorybackend"
)

// The script of docs/MANIFEST.md finds every damaged part.
func TestManifest_IsCheckedByTheScriptOfItsDocument(t *testing.T) {
	need(t, "jq", "jq")
	doc, err := os.ReadFile("../../../docs/MANIFEST.md")
	require.NoError(t, err)
	_, script, _ := strings.Cut(string(doc), "```sh\n")
	script, _, found := strings.Cut(script, "```")
	require.True(t, found)
	script = strings.Replace(script, "algorithm=sha1", "algorithm=sha256", 1)

	const pages, page = 10, 1 << 10
	b := memorybackend.New(&memorybackend.Options{Limits: &sluice.Limits{
		MinPart: page, MinParts: 2, MaxSingle: page, PartDigests: []sluice.Algorithm{memorybackend.SHA256()},
	}})
	data := bytes.Repeat([]byte("0123456789abcdef"), pages*page/16)
	o := &sluice.Options{Manifest: true, MemoryLimit: 4 * page, PageSize: page}
	_, err = sluice.Upload(t.Context(), b, "monday.dump", o, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	require.NoError(t, err)
	dir := t.TempDir()
	manifest, err := b.Open("monday.dump.manifest.json")
	require.NoError(t, err)
	text, err := io.ReadAll(manifest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "monday.dump.manifest.json"), text, 0o600))

	check := func(data []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "monday.dump"), data, 0o600))
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err)
		return string(out)
	}
	require.Empty(t, check(data))
	data[3*page+7] ^= 1
	require.Equal(t, "damaged: 1024 bytes from byte 3073 on\n", check(data))
	data[3*page+7] ^= 1
	require.Equal(t, "the file has another length\n", check(append(data, 0)))
}

//go:build linux

package endtoend

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice/internal/hostile"
)

// manifestMemory is what sluice takes at most with --memory 32MiB while it reads
// a file that has a manifest, in MiB of resident memory. SECURITY.md states it.
const manifestMemory = 384

// manifestOf returns a manifest of parts that are a zero each, with the right
// digest and others.
func manifestOf(id string, parts, others, size int) string {
	var b, digests strings.Builder
	digests.WriteString(`"crc32c":"527d5351"`)
	for i := range others {
		fmt.Fprintf(&digests, `,"%d":"%s"`, i, strings.Repeat("ab", size))
	}
	fmt.Fprintf(&b, `{"sluice_manifest":1,"name":"x","id":%q,"size":%d,"created":"2026-11-27T12:00:00Z","digests":{},"parts":[`, id, parts)
	for i := range parts {
		fmt.Fprintf(&b, `{"offset":%d,"size":1,"digests":{%s}},`, i, digests.String())
	}
	return strings.TrimSuffix(b.String(), ",") + "]}"
}

// The largest manifests that are read: of the most parts, elements and bytes, and
// of the most digests of one part.
func TestManifests_TakeNoMoreMemoryThanIsStated(t *testing.T) {
	security, err := os.ReadFile("../../../SECURITY.md")
	require.NoError(t, err)
	require.Contains(t, string(security), fmt.Sprintf("%d MiB", manifestMemory))
	for name, c := range map[string]struct{ parts, others, size int }{
		"many parts":       {99_999, 4, 30},
		"the most bytes":   {99_999, 1, 290},
		"hardly any parts": {1, 99_998, 300},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			require.NoError(t, os.WriteFile(path, make([]byte, c.parts), 0o600))
			info, err := os.Stat(path)
			require.NoError(t, err)
			id := fmt.Sprintf("%d-%d-%d", info.ModTime().UnixNano(), info.Size(), info.Sys().(*syscall.Stat_t).Ino)
			require.NoError(t, os.WriteFile(path+".manifest.json", []byte(manifestOf(id, c.parts, c.others, c.size)), 0o600))
			peak, out := measure(t, "", []string{"get", "--memory", "32MiB", "-o", filepath.Join(dir, "out"), "file://" + path})
			require.Contains(t, out, fmt.Sprintf("and the crc32c of each of its %d parts", c.parts), "the manifest is used")
			require.LessOrEqual(t, peak, int64(manifestMemory))
		})
	}
}

// What is no manifest takes no more memory than the largest one.
func TestManifestBombs_TakeNoMoreMemoryThanIsStated(t *testing.T) {
	for name, bomb := range hostile.Bombs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
			text, err := io.ReadAll(bomb.Reader(63 << 20))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".manifest.json", text, 0o600))
			peak, out := measure(t, "", []string{"verify", "--memory", "32MiB", "file://" + path})
			require.Contains(t, out, `manifest "x.manifest.json"`)
			require.Less(t, len(out), 8<<10)
			require.LessOrEqual(t, peak, int64(manifestMemory))
		})
	}
}

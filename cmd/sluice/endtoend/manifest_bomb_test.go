//go:build linux

package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// manifestMemory is what sluice takes at most with --memory 32MiB while it reads
// a file that has a manifest, in MiB of resident memory. SECURITY.md states it.
const manifestMemory = 384

// manifestOf returns a manifest of parts that are a zero each, with the right
// digest and others.
func manifestOf(id string, parts, others, size int) string {
	digests := `"crc32c":"527d5351"`
	for i := range others {
		digests += fmt.Sprintf(`,"%d":"%s"`, i, strings.Repeat("ab", size))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"sluice_manifest":1,"name":"x","id":%q,"size":%d,"created":"2026-11-27T12:00:00Z","digests":{},"parts":[`, id, parts)
	for i := range parts {
		fmt.Fprintf(&b, `{"offset":%d,"size":1,"digests":{%s}},`, i, digests)
	}
	return strings.TrimSuffix(b.String(), ",") + "]}"
}

// The largest manifests that are read: of the most elements, in few parts and in
// many, and of the most bytes.
func TestManifests_TakeNoMoreMemoryThanIsStated(t *testing.T) {
	security, err := os.ReadFile("../../../SECURITY.md")
	require.NoError(t, err)
	require.Contains(t, string(security), fmt.Sprintf("%d MiB", manifestMemory))
	for name, c := range map[string]struct{ parts, others, size int }{
		"many parts":       {99_999, 4, 30},
		"few parts":        {9, 99_998, 3},
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
			require.Contains(t, out, "checked by")
			require.NotContains(t, out, "its length", "the manifest is used")
			t.Logf("%d MiB of memory", peak)
			require.LessOrEqual(t, peak, int64(manifestMemory))
		})
	}
}

package sluice

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is written is what is read.
func TestManifest_IsWrittenOnlyIfItWouldBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		parts, digests int
		want           string
	}{
		"the most parts":   {100_000, 1, ""},
		"a part too many":  {100_001, 0, "the file has 100001 parts, and a manifest has 100000 at most; set a larger Options.PartSize"},
		"too many digests": {1, 100_001, "a restore could not read it: not of the form expected: it has a list of more than 100000 entries"},
	} {
		t.Run(name, func(t *testing.T) {
			var digests Digests
			for i := range c.digests {
				digests = append(digests, Digest{fmt.Sprint(i), make([]byte, 4)})
			}
			parts := make([]Receipt, c.parts)
			for i := range parts {
				parts[i] = Receipt{Number: i + 1, Size: 1, Digests: digests}
			}
			_, err := newManifest(File{Name: "f", ID: "i", Size: int64(c.parts)}, parts).text()
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
		})
	}
}

package httpx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/httpx"
)

func TestLocked_IsAnErrorWhileSomethingKeepsTheFile(t *testing.T) {
	for _, c := range []struct {
		mode, until string
		hold        bool
		want        string
	}{
		{"", "", false, ""},
		{"COMPLIANCE", "2999-01-31T00:00:00Z", false, "Object Lock (compliance) keeps it until 2999-01-31T00:00:00Z"},
		{"governance", "2020-01-31T00:00:00.000Z", false, ""},
		{"governance", "2020-01-31T00:00:00Z", true, "a legal hold keeps it"},
		{"governance", "later", true, "Object Lock (governance) keeps it until later; a legal hold keeps it"},
	} {
		err := httpx.Locked(c.mode, c.until, c.hold)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, sluice.ErrLocked)
	}
}

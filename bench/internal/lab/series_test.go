package lab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFiguresAreComparedRoundByRound(t *testing.T) {
	slow, fast := Series{2, 20, 4}, Series{1, 10, 4}
	require.Equal(t, Series{2, 2, 1}, slow.Over(fast), "though the second round was slow for both")
	require.Equal(t, Series{3, 30, 8}, slow.Plus(fast))
	require.Equal(t, Series{2}, Series{1, 2}.Over(Series{0, 1}), "nothing to compare with")
	require.InDelta(t, 4, slow.Median(), 0)
	require.InDelta(t, 3, Series{4, 2}.Median(), 0)
	require.InDelta(t, 2, slow.Min(), 0)
	require.InDelta(t, 20, slow.Max(), 0)
	require.Equal(t, "4.0 (2.0-20.0)", slow.Spread(1))
	require.Equal(t, "2.00", slow[:1].Spread(2))
	require.Equal(t, "-", Series(nil).Spread(2))
	for _, f := range []func(Series) float64{Series.Median, Series.Min, Series.Max} {
		require.Zero(t, f(nil))
	}
}

package size

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSums_StayWithinRange(t *testing.T) {
	const most, least = math.MaxInt64, math.MinInt64
	for _, c := range []struct{ a, b, sum int64 }{
		{0, 0, 0},
		{1, 2, 3},
		{-1, 2, 1},
		{most, 0, most},
		{most, 1, most},
		{most, most, most},
		{1, most - 1, most},
		{most, -1, most - 1},
		{least, -1, least},
		{least, least, least},
		{least, most, -1},
		{least + 1, -1, least},
	} {
		require.Equal(t, c.sum, Add(c.a, c.b), "%d + %d", c.a, c.b)
		require.Equal(t, c.sum, Add(c.b, c.a), "%d + %d", c.b, c.a)
	}
	for _, c := range []struct{ a, b, product int64 }{
		{0, most, 0}, {most, 0, 0}, {most, 1, most}, {most, 2, most}, {1 << 32, 1 << 31, most}, {1 << 31, 1 << 31, 1 << 62},
	} {
		require.Equal(t, c.product, Mul(c.a, c.b), "%d * %d", c.a, c.b)
	}
	for f, n := range map[float64]int64{
		1.9: 1, -1.9: -1, 1e300: most, -1e300: least, math.Inf(1): most, math.Inf(-1): least, 1 << 62: 1 << 62,
	} {
		require.Equal(t, n, Nearest(f), f)
	}
	require.Zero(t, Nearest(math.NaN()))
}

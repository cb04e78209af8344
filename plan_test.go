package sluice

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	mib = 1 << 20
)

// stores the schedule has to serve: part and file limits as documented.
var scheduleCases = []struct {
	name                            string
	base, maxPart, maxFile, reaches int64
	maxParts                        int
}{
	{"B2 with 128 MiB", 8 * mib, 64 * mib, 10e12, 603_979_776_000, 10_000},
	{"B2 with 256 MiB", 16 * mib, 128 * mib, 10e12, 1_207_959_552_000, 10_000},
	{"B2 with 1 GiB", 64 * mib, 512 * mib, 10e12, 4_831_838_208_000, 10_000},
	{"B2 with 2.1 GiB", 134 * mib, 1075 * mib, 10e12, 10e12, 10_000},
	{"S3 with 1 GiB", 64 * mib, 512 * mib, 5 << 40, 4_831_838_208_000, 10_000},
	{"1,000-part store", 8 * mib, 64 * mib, math.MaxInt64, 60_397_977_600, 1000},
	{"fixed size", 64 * mib, 64 * mib, math.MaxInt64, 671_088_640_000, 10_000},
	{"three parts", mib, 8 * mib, math.MaxInt64, 22_649_242, 3},
	{"one part", mib, 8 * mib, math.MaxInt64, 7_549_748, 1},
}

func TestScheduleReachesExactlyTheTargetInTheNumbersThereAre(t *testing.T) {
	for _, c := range scheduleCases {
		t.Run(c.name, func(t *testing.T) {
			target := min(c.maxFile, carries(c.base, c.maxPart, c.maxParts))
			require.InDelta(t, float64(c.reaches), float64(target), 1)
			s := schedule{base: c.base, maxPart: c.maxPart, target: target, maxParts: c.maxParts, round: mib}
			var done int64
			parts := 0
			for last := int64(0); done < target; parts++ {
				n := s.next(done, parts)
				require.GreaterOrEqual(t, n, c.base)
				require.LessOrEqual(t, n, c.maxPart)
				if c.maxParts == 10_000 && parts > 0 && n < c.maxPart {
					require.Zero(t, n%mib)
					require.GreaterOrEqual(t, n, last-max(mib, last/100), "sizes grow, but for rounding")
				}
				last = n
				done += min(n, target-done)
			}
			require.LessOrEqual(t, parts, c.maxParts)
		})
	}
}

func TestScheduleMakesUpForOddParts(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := schedule{base: 8 * mib, maxPart: 64 * mib, maxParts: 10_000, round: mib}
		s.target = carries(s.base, s.maxPart, s.maxParts)
		var done int64
		parts := 0
		// A stored run of small parts, as an earlier run with less memory leaves behind.
		for range rng.IntN(900) {
			done += 5e6
			parts++
		}
		for ; done < s.target; parts++ {
			done += min(s.next(done, parts), s.target-done)
		}
		require.LessOrEqual(t, parts, s.maxParts, "seed %d", seed)
	}
}

func TestScheduleStaysSmallForASmallTarget(t *testing.T) {
	s := schedule{base: 8 * mib, maxPart: 64 * mib, target: 80_000 * mib, maxParts: 10_000, round: mib}
	for parts := range 10_000 {
		require.EqualValues(t, 8*mib, s.next(int64(parts)*8*mib, parts))
	}
}

func TestTheLastPartIsSharedByTheIdleUploads(t *testing.T) {
	for _, c := range []struct {
		tail, minPart, page int64
		idle, numbers       int
		piece               int64
	}{
		{64 * mib, 5e6, mib, 8, 1000, 8 * mib},
		{64 * mib, 5e6, mib, 100, 1000, 5 * mib}, // thirteen pieces of 5 MB at most
		{64 * mib, 5e6, mib, 8, 3, 22 * mib},
		{64 * mib, 5e6, mib, 1, 1000, 64 * mib},
		{64 * mib, 5e6, mib, 0, 1000, 64 * mib},
		{64 * mib, 5e6, mib, -3, 1000, 64 * mib},
		{8 * mib, 5e6, mib, 8, 1000, 8 * mib},
		{10e6, 5e6, mib, 8, 1000, 5 * mib},
		{5, 0, mib, 8, 1000, 5},
		{5*mib + 1, 0, mib, 8, 1000, 2 * mib},
	} {
		require.Equal(t, c.piece, tailPiece(c.tail, c.minPart, c.page, c.idle, c.numbers), "%+v", c)
	}
}

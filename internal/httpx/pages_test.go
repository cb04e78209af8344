package httpx

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPages_EndWhateverTheStoreAnswers(t *testing.T) {
	marker := func(i int) string { return strconv.Itoa(i) }
	for want, c := range map[string]struct {
		entries func(page int) int
		from    func(page int) string
		pages   int
	}{
		"the next page is the same":   {func(int) int { return 1 }, func(int) string { return "x" }, 2},
		"100 pages in a row without":  {func(int) int { return 0 }, marker, 101},
		"100 pages in a row without ": {func(i int) int { return i % 1000 / 999 }, marker, 101},
		"more than 10000 pages":       {func(int) int { return 1 }, marker, 10_001},
		"more than 10000 pages ":      {func(i int) int { return i % 100 / 99 }, marker, 10_001},
		"more than 10000 pages  ":     {func(int) int { return 1 }, func(i int) string { return marker(i % 2) }, 10_001},
	} {
		var p Pages
		page := 0
		var err error
		for err == nil {
			page++
			err = p.Next(c.entries(page), c.from(page))
		}
		require.Contains(t, err.Error()+"   ", want)
		require.Equal(t, c.pages, page, want)
	}
	require.Error(t, new(Pages).Next(1, ""), "the first page again")
}

package httpx

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPages_EndWhateverTheStoreAnswers(t *testing.T) {
	always := func(entry bool) func(int) bool { return func(int) bool { return entry } }
	every := func(n int) func(int) bool { return func(page int) bool { return page%n == n-1 } }
	modulo := func(n int) func(int) string { return func(page int) string { return strconv.Itoa(page % n) } }
	type list struct {
		want  string
		entry func(page int) bool   // whether a page has one
		last  func(page int) string // which
		from  func(page int) string
		pages int // that are asked for
	}
	number := strconv.Itoa
	const circle, twice = "the next page is one that came before", "two pages end with the same entry"
	for name, c := range map[string]list{
		"A, A":                        {circle, always(true), number, func(int) string { return "A" }, 2},
		"A, B, A, B":                  {circle, always(true), number, modulo(2), 3},
		"a circle of a thousand":      {circle, always(true), number, modulo(1000), 1001},
		"A, B, A, B without an entry": {circle, always(false), number, modulo(2), 3},
		"the first page again":        {circle, always(true), number, func(int) string { return "" }, 1},
		"the same entry, new markers": {twice, always(true), modulo(1), number, 2},
		"a circle of entries":         {twice, always(true), modulo(7), number, 8},
		"no entries":                  {"100 pages in a row without", always(false), number, number, 101},
		"hardly an entry":             {"100 pages in a row without", every(1000), number, number, 101},
		"pages without end":           {"more than 10000 pages", always(true), number, number, 10_001},
		"an entry now and then":       {"more than 10000 pages", every(100), number, number, 10_001},
	} {
		var p Pages
		page := 0
		var err error
		for err == nil {
			page++
			var last string
			if c.entry(page) {
				last = c.last(page)
			}
			err = p.Next(last, c.from(page))
		}
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, c.pages, page, name)
	}
}

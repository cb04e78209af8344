package httpx

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// What a list may take: pages, and of them such without an entry in a row.
const (
	maxPages = 10_000
	maxEmpty = 100
)

// Pages bounds a list that a store gives in pages, so that it comes to an end
// whatever the store answers. Every page must make progress: the next one begins
// where none did before, and no two pages end with the same entry. Where the
// order of entries is known the caller checks it. The zero value is ready to
// use.
type Pages struct {
	count, empty int
	seed         maphash.Seed
	begun, ended map[uint64]struct{} // hashes, because a marker may be long
}

// Next returns why no page is to be asked for after one that ends with the entry
// last, "" if it has none, and says that the next one begins at from. It is nil
// if there is reason to go on.
func (p *Pages) Next(last, from string) error {
	if p.begun == nil {
		p.seed, p.begun, p.ended = maphash.MakeSeed(), map[uint64]struct{}{}, map[uint64]struct{}{}
		p.add(p.begun, "") // the first page
	}
	p.count++
	p.empty++
	if last != "" {
		p.empty = 0
	}
	switch {
	case !p.add(p.begun, from):
		return errors.New("the list goes in circles: the next page is one that came before")
	case last != "" && !p.add(p.ended, last):
		return errors.New("the list goes in circles: two pages end with the same entry")
	case p.empty > maxEmpty:
		return fmt.Errorf("the list has more than %d pages in a row without an entry", maxEmpty)
	case p.count > maxPages:
		return fmt.Errorf("the list has more than %d pages", maxPages)
	}
	return nil
}

func (p *Pages) add(set map[uint64]struct{}, text string) bool {
	sum, before := maphash.String(p.seed, text), len(set)
	set[sum] = struct{}{}
	return len(set) > before
}

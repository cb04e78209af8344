package httpx

import (
	"errors"
	"fmt"
)

// What a list may take: pages, and of them such without an entry in a row.
const (
	maxPages = 10_000
	maxEmpty = 100
)

// Pages bounds a list that a store gives in pages, so that it comes to an end
// whatever the store answers. The zero value is ready to use.
type Pages struct {
	count, empty int
	from         string // where the page asked for begins
}

// Next returns why no page is to be asked for after one of so many entries, which
// says that the next one begins at from. It is nil if there is reason to go on.
func (p *Pages) Next(entries int, from string) error {
	p.count++
	p.empty++
	if entries > 0 {
		p.empty = 0
	}
	switch {
	case from == p.from:
		return errors.New("the next page is the same")
	case p.empty > maxEmpty:
		return fmt.Errorf("the list has more than %d pages in a row without an entry", maxEmpty)
	case p.count > maxPages:
		return fmt.Errorf("the list has more than %d pages", maxPages)
	}
	p.from = from
	return nil
}

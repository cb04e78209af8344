package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// covered is a package's statements, and those among them that some test ran.
type covered struct{ statements, ran int }

func (c covered) percent() float64 { return 100 * float64(c.ran) / float64(max(1, c.statements)) }

// packages are by their import paths.
type packages map[string]covered

// coverage reads a profile. With -coverpkg every test binary reports every
// block, so that a block is there many times; it has run if any of them says
// so. What runs in a process of its own is not seen.
func coverage(profile io.Reader) (packages, error) {
	type block struct{ statements, count int }
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	for first := true; lines.Scan(); first = false {
		if first && strings.HasPrefix(lines.Text(), "mode: ") {
			continue
		}
		var at string
		var b block
		if n, err := fmt.Sscan(lines.Text(), &at, &b.statements, &b.count); n != 3 {
			return nil, fmt.Errorf("coverage profile: %q: %w", lines.Text(), err)
		}
		b.count += blocks[at].count
		blocks[at] = b
	}
	p := packages{}
	for at, b := range blocks {
		file, _, _ := strings.Cut(at, ":")
		c := p[path.Dir(file)]
		c.statements += b.statements
		if b.count > 0 {
			c.ran += b.statements
		}
		p[path.Dir(file)] = c
	}
	return p, lines.Err()
}

func (p packages) print(out io.Writer) {
	var all covered
	for _, c := range p {
		all.statements += c.statements
		all.ran += c.ran
	}
	names := slices.SortedFunc(maps.Keys(p), func(a, b string) int {
		return cmp.Or(cmp.Compare(p[a].percent(), p[b].percent()), cmp.Compare(a, b))
	})
	fmt.Fprintf(out, "\ncoverage: %.1f%% of %d statements, in the tests' own processes; least:\n", all.percent(), all.statements)
	for _, name := range names[:min(shown, len(names))] {
		fmt.Fprintf(out, "%7.1f%% %s\n", p[name].percent(), name)
	}
}

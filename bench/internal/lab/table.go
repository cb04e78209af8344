package lab

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table is figures in columns.
type Table struct {
	Head []string
	Rows [][]string
}

// Add adds a row, of as many cells as the head has.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Text writes the table for a terminal, in aligned columns.
func (t Table) Text(w io.Writer) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{t.Head}, t.Rows...) {
		fmt.Fprintln(tabs, strings.Join(cells, "\t"))
	}
	return tabs.Flush()
}

// Markdown is the table for a document.
func (t Table) Markdown() string {
	var s strings.Builder
	write := func(cells []string) { fmt.Fprintf(&s, "| %s |\n", strings.Join(cells, " | ")) }
	write(t.Head)
	s.WriteString(strings.Repeat("|---", len(t.Head)) + "|\n")
	for _, cells := range t.Rows {
		write(cells)
	}
	return s.String()
}

// Verdict is what a table says of a bound.
func Verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

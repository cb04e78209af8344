package lab

import (
	"fmt"
	"io"
	"os"
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

// The lines of a document between which a run's figures stand.
const (
	sectionBegins = "<!-- measured: %s -->"
	sectionEnds   = "<!-- end of %s -->"
)

// WriteSection puts body in place of what stands between the document's two lines for that name.
func WriteSection(file, name, body string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := replaceSection(string(old), name, body)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func replaceSection(text, name, body string) (string, error) {
	begins, ends := fmt.Sprintf(sectionBegins, name), fmt.Sprintf(sectionEnds, name)
	before, rest, found := strings.Cut(text, begins)
	_, after, closed := strings.Cut(rest, ends)
	if !found || !closed {
		return "", fmt.Errorf("no place for %s: it lies between lines %q and %q", name, begins, ends)
	}
	return before + begins + "\n" + strings.TrimSpace(body) + "\n" + ends + after, nil
}

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// section is what a run has to say under one name.
type section struct {
	name   string
	tables []lab.Table
}

// sections are those of the groups that were measured.
func (r result) sections() []section {
	var all []section
	for _, g := range groups {
		if mine := g.of(r); len(mine) > 0 {
			all = append(all, section{g.name, g.tables(r, mine)})
		}
	}
	return all
}

// text writes a section for a terminal.
func (s section) text(w io.Writer) error {
	for _, t := range s.tables {
		if err := t.Text(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// markdown is a section of a document. Tables after the first are folded.
func (s section) markdown(header string) string {
	var text strings.Builder
	text.WriteString(header + "\n\n")
	for i, t := range s.tables {
		if i == 0 {
			text.WriteString(t.Markdown() + "\n")
			continue
		}
		fmt.Fprintf(&text, "<details><summary>%s</summary>\n\n%s\n</details>\n\n", t.Head[0]+"s", t.Markdown())
	}
	return text.String()
}

// report puts sections into the documents of a folder, in place of those of an earlier run.
func report(folder, header string, sections []section) error {
	for _, s := range sections {
		if err := lab.WriteSection(folder, s.name, s.markdown(header)); err != nil {
			return err
		}
	}
	return nil
}

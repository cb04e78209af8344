package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// reportFolder is that of the pictures, in the folder of the documents.
const reportFolder = "performance"

// section is what a run has to say under one name.
type section struct {
	name     string
	tables   []lab.Table
	pictures map[string]string // SVG by file name
}

// sections are those of the groups that were measured.
func (r result) sections() []section {
	var all []section
	for _, g := range groups {
		if mine := g.of(r); len(mine) > 0 {
			all = append(all, section{g.name, g.tables(r, mine), pictures(g.name, mine)})
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
	for _, file := range slices.Sorted(maps.Keys(s.pictures)) {
		fmt.Fprintf(&text, "![%s](%s/%s)\n\n", strings.TrimSuffix(file, ".svg"), reportFolder, file)
	}
	for i, t := range s.tables {
		if i == 0 {
			text.WriteString(t.Markdown() + "\n")
			continue
		}
		fmt.Fprintf(&text, "<details><summary>%s</summary>\n\n%s\n</details>\n\n", t.Head[0]+"s", t.Markdown())
	}
	return text.String()
}

// draw writes the section's pictures.
func (s section) draw(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, picture := range s.pictures {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// report puts sections and pictures into the documents of a folder, in place of those of an earlier run.
func report(folder, header string, sections []section) error {
	for _, s := range sections {
		if err := s.draw(filepath.Join(folder, reportFolder)); err != nil {
			return err
		}
		if err := lab.WriteSection(folder, s.name, s.markdown(header)); err != nil {
			return err
		}
	}
	return nil
}

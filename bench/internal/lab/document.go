package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Document is the file, in the folder of the documents, into which a run's figures go.
const Document = "PERFORMANCE.md"

// The lines of the document between which they stand.
const (
	sectionBegins = "<!-- measured: %s -->"
	sectionEnds   = "<!-- end of %s -->"
)

// CheckSections fails if the document has no place for one of these names: to
// be known before hours of measuring.
func CheckSections(folder string, names ...string) error {
	for _, name := range names {
		if _, err := withSection(folder, name, ""); err != nil {
			return err
		}
	}
	return nil
}

// WriteSection puts body in place of what stands between the document's two lines for that name.
func WriteSection(folder, name, body string) error {
	text, err := withSection(folder, name, body)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, Document), []byte(text), 0o644)
}

// withSection is the document with that body.
func withSection(folder, name, body string) (string, error) {
	file := filepath.Join(folder, Document)
	old, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	begins, ends := fmt.Sprintf(sectionBegins, name), fmt.Sprintf(sectionEnds, name)
	before, rest, found := strings.Cut(string(old), begins)
	_, after, closed := strings.Cut(rest, ends)
	if !found || !closed {
		return "", fmt.Errorf("%s has no place for %s: it lies between lines %q and %q", file, name, begins, ends)
	}
	return before + begins + "\n" + strings.TrimSpace(body) + "\n" + ends + after, nil
}

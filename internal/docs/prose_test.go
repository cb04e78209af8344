package docs

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	widestComment   = 100 // columns, with tabs of four
	longestSentence = 40  // words
)

// person matches words that speak of code as of a person.
var person = regexp.MustCompile(`(?i)\b(who|whom|whoever|whomever|nobody|somebody|himself|herself)\b`)

// quoted matches code and quotations, which may have any word.
var quoted = regexp.MustCompile("`[^`]*`|\"[^\"]*\"|\\]\\([^)]*\\)")

// goProse returns what is wrong with the comments of a Go file.
func goProse(name string, source []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for i, line := range strings.Split(string(source), "\n") {
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\t", "    ")
		text, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "//")
		indented := strings.HasPrefix(text, "  ")
		if ok && !indented && len([]rune(line)) > widestComment && !strings.Contains(line, "://") {
			wrong = append(wrong, fmt.Sprintf("%s:%d: a comment of more than %d columns", name, i+1, widestComment))
		}
	}
	for _, group := range file.Comments {
		at := files.Position(group.Pos())
		for _, p := range paragraphs(group) {
			if word := person.FindString(quoted.ReplaceAllString(p, "")); word != "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %q speaks of code as of a person", name, at.Line, word))
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		doc := docComment(n)
		if doc == nil {
			return true
		}
		for _, p := range paragraphs(doc) {
			for _, s := range sentences(p) {
				if n := len(strings.Fields(s)); n > longestSentence {
					wrong = append(wrong, fmt.Sprintf("%s:%d: a sentence of %d words: %s", name, files.Position(doc.Pos()).Line, n, s))
				}
			}
		}
		return true
	})
	return wrong, nil
}

// paragraphs returns the prose of a comment, without code and tables. Each item
// of a list is a paragraph.
func paragraphs(group *ast.CommentGroup) []string {
	var p comment.Parser
	var printer comment.Printer
	var all []string
	add := func(b comment.Block) {
		text := printer.Text(&comment.Doc{Content: []comment.Block{b}})
		all = append(all, strings.Join(strings.Fields(string(text)), " "))
	}
	for _, b := range p.Parse(group.Text()).Content {
		switch b := b.(type) {
		case *comment.List:
			for _, item := range b.Items {
				for _, inner := range item.Content {
					add(inner)
				}
			}
		case *comment.Code:
		default:
			add(b)
		}
	}
	return all
}

// sentences splits at full stops, colons and semicolons.
func sentences(paragraph string) []string {
	return regexp.MustCompile(`[.:;?!]["')]*( |$)`).Split(paragraph, -1)
}

// markdownProse returns what is wrong with the prose of a Markdown file.
func markdownProse(name, text string) []string {
	var wrong []string
	var code bool
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		}
		if word := person.FindString(quoted.ReplaceAllString(line, "")); word != "" && !code {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %q speaks of code as of a person", name, i+1, word))
		}
	}
	return wrong
}

// written returns the names of all files with an extension: of tests, test data
// and nested modules too.
func written(t *testing.T, extension string) []string {
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || name == "dist"):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, extension):
			names = append(names, name)
		}
		return nil
	})
	require.NoError(t, err)
	return names
}

func TestProse_RulesFindWhatBreaksThem(t *testing.T) {
	words := func(n int) string { return strings.Repeat("word ", n-1) + "word." }
	for comment, want := range map[string]string{
		"// " + strings.Repeat("a", widestComment-3):                                      "",
		"// " + strings.Repeat("a", widestComment-2):                                      "columns",
		"\t// " + strings.Repeat("é", widestComment-6):                                    "columns",
		"// https://example.com/" + strings.Repeat("a", 100):                              "",
		"//\n//\t" + strings.Repeat("code ", 40):                                          "",
		"// It waits for nobody.":                                                         `"nobody"`,
		"// Whoever calls it waits.":                                                      `"Whoever"`,
		"// It runs as the user \"nobody\", whose files it reads.":                        "",
		"// It is a whole.":                                                               "",
		"// " + strings.ReplaceAll(words(40), "word word", "word\n// word"):               "",
		"// " + strings.ReplaceAll(words(41), "word word", "word\n// word"):               "41 words",
		"// " + strings.ReplaceAll(words(30)+" "+words(30), "word word", "word\n// word"): "",
		"// A list:\n//   - " + words(30) + "\n//   - " + words(30):                       "",
	} {
		found, err := goProse("x.go", []byte("package x\n\n"+comment+"\nvar x int\n"))
		require.NoError(t, err)
		if want == "" {
			require.Empty(t, found, comment)
			continue
		}
		require.Len(t, found, 1, comment)
		require.Contains(t, found[0], want)
	}
	require.Len(t, markdownProse("x.md", "It asks nobody.\n\n| somebody |\n"), 2)
	require.Empty(t, markdownProse("x.md", "The user `nobody`.\n\n```\nwho am i\n```\n"))
}

func TestProse_KeepsTheRules(t *testing.T) {
	var wrong []string
	for _, name := range written(t, ".go") {
		found, err := goProse(name, read(t, name))
		require.NoError(t, err)
		wrong = append(wrong, found...)
	}
	for _, name := range written(t, ".md") {
		wrong = append(wrong, markdownProse(name, string(read(t, name)))...)
	}
	require.Empty(t, wrong, strings.Join(wrong, "\n"))
}

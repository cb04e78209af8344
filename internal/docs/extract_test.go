package docs

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// document is text that is read from the top: a block of code may use what an
// earlier one has declared.
type document struct {
	name   string
	blocks []block
}

// block is some lines of code, or of something else, in a document.
type block struct {
	language string // "go", "sh", "" for what no machine reads
	line     int    // of the first line in the document
	text     string
}

// of returns the blocks of a language.
func (d document) of(language string) []block {
	return slices.DeleteFunc(slices.Clone(d.blocks), func(b block) bool { return b.language != language })
}

// markdown finds the fenced blocks. A language that is not known here is an
// error, lest it be passed over.
func markdown(name, text string) (document, error) {
	d := document{name: name}
	var open *block
	for i, line := range strings.SplitAfter(text, "\n") {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open != nil:
			d.blocks = append(d.blocks, *open)
			open = nil
		case fence && !slices.Contains([]string{"go", "sh", ""}, language):
			return d, fmt.Errorf("%s:%d: a block in %q; known are go, sh, and none", name, i+1, language)
		case fence:
			open = &block{language: language, line: i + 2}
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		return d, fmt.Errorf("%s:%d: the block has no end", name, open.line)
	}
	return d, nil
}

// columns is a first line of a table: words, a gap, words.
var columns = regexp.MustCompile(`^\S.*\S {2,}\S`)

// comments finds the indented blocks in the doc comments of a Go file, each
// comment being a document. A block is Go, unless its first line has columns:
// then it is a table.
func comments(name string, source []byte) ([]document, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var documents []document
	ast.Inspect(file, func(n ast.Node) bool {
		doc := docComment(n)
		if doc == nil {
			return true
		}
		line := files.Position(doc.Pos()).Line
		d := document{name: name}
		var p comment.Parser
		for _, c := range p.Parse(doc.Text()).Content {
			if code, ok := c.(*comment.Code); ok {
				first, _, _ := strings.Cut(code.Text, "\n")
				beforeComment, _, _ := strings.Cut(first, "//")
				b := block{language: "go", line: line + lineOf(doc, first), text: code.Text}
				if columns.MatchString(beforeComment) {
					b.language = ""
				}
				d.blocks = append(d.blocks, b)
			}
		}
		if d.blocks != nil {
			documents = append(documents, d)
		}
		return true
	})
	return documents, nil
}

func docComment(n ast.Node) *ast.CommentGroup {
	switch n := n.(type) {
	case *ast.File:
		return n.Doc
	case *ast.GenDecl:
		return n.Doc
	case *ast.FuncDecl:
		return n.Doc
	case *ast.TypeSpec:
		return n.Doc
	case *ast.ValueSpec:
		return n.Doc
	case *ast.Field:
		return n.Doc
	}
	return nil
}

// lineOf is how many lines below the first one of a comment a text stands.
func lineOf(doc *ast.CommentGroup, text string) int {
	return max(0, slices.IndexFunc(doc.List, func(c *ast.Comment) bool { return strings.HasSuffix(c.Text, text) }))
}

// exampleBody is what the Example function of that name in a test file does,
// without the output it has.
func exampleBody(source []byte, name string) (string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "example_test.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			body := string(source[files.Position(f.Body.Lbrace).Offset+1 : files.Position(f.Body.Rbrace).Offset])
			body, _, _ = strings.Cut(body, "\t// Output:")
			return unindent(body), nil
		}
	}
	return "", fmt.Errorf("there is no %s", name)
}

// unindent takes away the indentation that all lines have, and empty lines around.
func unindent(text string) string {
	text = strings.Trim(text, "\n")
	indentation := text[:len(text)-len(strings.TrimLeft(text, "\t"))]
	return strings.ReplaceAll("\n"+text, "\n"+indentation, "\n")[1:]
}

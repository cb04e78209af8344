package docs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// compiler type-checks the Go blocks of documents.
type compiler struct {
	prelude string            // source of a file that all blocks see
	paths   map[string]string // of packages by their names
	exports map[string]string // files of export data by the paths of packages
}

// newCompiler builds the packages of the module, so that documents can import
// them and all that they import.
func newCompiler(root, prelude string) (*compiler, error) {
	source, err := os.ReadFile(prelude)
	if err != nil {
		return nil, err
	}
	list := exec.Command("go", "list", "-buildvcs=false", "-export", "-deps", "-f", "{{.Name}}\t{{.ImportPath}}\t{{.Export}}", "./...")
	list.Dir = root
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, &stderr)
	}
	c := &compiler{prelude: string(source), paths: make(map[string]string), exports: make(map[string]string)}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		name, path, export := fields[0], fields[1], fields[2]
		c.exports[path] = export
		if name == "main" || regexp.MustCompile(`(^|/)(internal|vendor)/`).MatchString(path) {
			continue
		}
		if old, ok := c.paths[name]; !ok || cmp.Compare(len(path), len(old)) < 0 {
			c.paths[name] = path
		}
	}
	return c, nil
}

// compile returns, joined, what is wrong with the Go blocks of a document. A
// block is a whole file, declarations, or statements of a function that returns
// an error. Statements may leave variables unused.
func (c *compiler) compile(d document) error {
	var declarations, statements, ends strings.Builder
	var errs []error
	for _, b := range d.of("go") {
		text := fmt.Sprintf("//line %s:%d\n%s\n", d.name, b.line, b.text)
		if strings.HasPrefix(b.text, "package ") {
			errs = append(errs, c.check(text))
			continue
		}
		_, notDeclarations := parse("package docs\n" + text)
		_, notStatements := parse("package docs\nfunc _() {\n" + text + "}\n")
		switch {
		case notDeclarations == nil:
			declarations.WriteString(text)
		case notStatements == nil:
			statements.WriteString("{\n" + text)
			ends.WriteString("}\n")
		case declares.MatchString(b.text):
			errs = append(errs, notDeclarations)
		default:
			errs = append(errs, notStatements)
		}
	}
	body := declarations.String() + "func _() error {\n" + statements.String() + ends.String() + "return nil\n}\n"
	return errors.Join(append(errs, c.check("package docs\n"+c.imports(body)+body, c.prelude))...)
}

// declares matches what can only be meant as declarations.
var declares = regexp.MustCompile(`^(func \w|func \(|type |import )`)

func parse(source string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
}

// imports are the declarations for the packages that the source of a file may mean by x in x.Name.
func (c *compiler) imports(body string) string {
	file, err := parse("package docs\n" + body)
	if err != nil {
		return "" // check says so
	}
	wanted := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && c.paths[x.Name] != "" {
				wanted[c.paths[x.Name]] = true
			}
		}
		return true
	})
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		fmt.Fprintf(&text, "import %q\n", path)
	}
	return text.String()
}

// check type-checks files of one package.
func (c *compiler) check(sources ...string) error {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, s := range sources {
		f, err := parser.ParseFile(fset, "", s, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	var errs []error
	config := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
			if c.exports[path] == "" {
				return nil, fmt.Errorf("no package of the module imports %q", path)
			}
			return os.Open(c.exports[path])
		}),
		Error: func(err error) {
			// soft: what is declared or imported and not used
			if e, ok := err.(types.Error); !ok || !e.Soft {
				errs = append(errs, err)
			}
		},
	}
	_, _ = config.Check("docs", fset, files, nil)
	return errors.Join(errs...)
}

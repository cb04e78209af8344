package docs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// goBlocks makes a document of Go blocks, ten lines each.
func goBlocks(texts ...string) document {
	d := document{name: "x.md"}
	for i, text := range texts {
		d.blocks = append(d.blocks, block{language: "go", line: 10*i + 10, text: text})
	}
	return d
}

func TestSoundBlocksCompile(t *testing.T) {
	c, err := blocks()
	require.NoError(t, err)
	for name, d := range map[string]document{
		"statements":          goBlocks("file, err := sluice.Upload(ctx, backend, \"x\", nil, fill)\nif err != nil {\n\treturn err\n}"),
		"declarations":        goBlocks("func save() error { return w.Close() }\n\ntype limits = sluice.Limits"),
		"a file":              goBlocks("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }"),
		"an earlier variable": goBlocks("m := memorybackend.New(nil)", "names := m.Names()\nfmt.Println(names)"),
		"an earlier function": goBlocks("func save() error { return nil }", "return save()"),
		"nothing":             {name: "x.md", blocks: []block{{language: "sh", text: "not Go"}}},
	} {
		require.NoError(t, c.compile(d), name)
	}
}

func TestBrokenBlocksAreFoundAtTheirLines(t *testing.T) {
	c, err := blocks()
	require.NoError(t, err)
	for text, d := range map[string]document{
		"x.md:11: w.Finnish undefined":              goBlocks("_ = w.Stats()\nreturn w.Finnish()"),
		"x.md:10: not enough arguments":             goBlocks("sluice.Upload(ctx, backend)"),
		"x.md:10: undefined: sluice.Uplaod":         goBlocks("_, err := sluice.Uplaod(ctx)"),
		"x.md:10: undefined: nobody":                goBlocks("_ = nobody"),
		"x.md:10: undefined: nowhere":               goBlocks("nowhere.Call()"),
		"x.md:12: expected operand, found '}'":      goBlocks("if true {\n\tw.Close(\n}"),
		"x.md:10: expected '}'":                     goBlocks("func save() error {"),
		"x.md:10: unknown field Sise":               goBlocks("_ = sluice.Options{Sise: 1}"),
		"x.md:10: cannot use \"1\"":                 goBlocks("_ = sluice.Options{Size: \"1\"}"),
		"x.md:20: undefined: m":                     goBlocks("if m := 1; m > 0 {\n}", "m++"),
		"x.md:11: could not import no/such/package": goBlocks("package main\nimport \"no/such/package\"\nfunc main() {}"),
		"x.md:20: cannot use 1":                     goBlocks("return nil", "return 1"),
	} {
		require.ErrorContains(t, c.compile(d), text)
	}
}

func TestMarkdownFences(t *testing.T) {
	d, err := markdown("x.md", "text\n```go\na := 1\n\nb := 2\n```\n```\npicture\n```\n1. list\n   ```sh\n   ls\n   ```\n")
	require.NoError(t, err)
	require.Equal(t, []block{{"go", 3, "a := 1\n\nb := 2\n"}, {"", 8, "picture\n"}, {"sh", 12, "   ls\n"}}, d.blocks)

	_, err = markdown("x.md", "\n```golang\na := 1\n```\n")
	require.EqualError(t, err, `x.md:2: a block in "golang"; known are go, sh, and none`)
	_, err = markdown("x.md", "```go\na := 1\n")
	require.EqualError(t, err, "x.md:2: the block has no end")
}

func TestBlocksInDocComments(t *testing.T) {
	const source = `// Package p does.
//
//	a := 1   // aligned
//	b := 2
//
// And has
//
//	a table   of
//	two       columns
package p

// F does
//
//	if broken {
func F() {
	// and
	//
	//	this is no documentation
}

type T struct {
	// Field is
	//
	//	t.Field = 1
	Field int
}
`
	documents, err := comments("p.go", []byte(source))
	require.NoError(t, err)
	require.Equal(t, []document{
		{"p.go", []block{{"go", 3, "a := 1   // aligned\nb := 2\n"}, {"", 8, "a table   of\ntwo       columns\n"}}},
		{"p.go", []block{{"go", 14, "if broken {\n"}}},
		{"p.go", []block{{"go", 24, "t.Field = 1\n"}}},
	}, documents)
}

func TestAnExamplesBodyIsWithoutItsOutput(t *testing.T) {
	const source = "package p\n\nfunc ExampleF() {\n\tif true {\n\t\tf()\n\t}\n\n\tg()\n\t// Output: x\n}\n"
	body, err := exampleBody([]byte(source), "ExampleF")
	require.NoError(t, err)
	require.Equal(t, "if true {\n\tf()\n}\n\ng()", body)
	_, err = exampleBody([]byte(source), "ExampleG")
	require.EqualError(t, err, "there is no ExampleG")
}

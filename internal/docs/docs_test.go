// Package docs holds the documentation to the code: every block of Go in it
// compiles, README's example is one that runs, README's first commands work,
// and links lead somewhere.
package docs

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// blocks is the compiler with testdata/prelude.go, built once for all tests.
var blocks = sync.OnceValues(func() (*compiler, error) { return newCompiler(root, "testdata/prelude.go") })

func read(t *testing.T, name string) []byte {
	data, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return data
}

func readMarkdown(t *testing.T, name string) document {
	d, err := markdown(name, string(read(t, name)))
	require.NoError(t, err)
	return d
}

// files are the files below the root whose names end in a suffix, without
// tests, testdata and nested modules.
func files(t *testing.T, suffix string) []string {
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." {
			_, err := os.Stat(filepath.Join(root, name, "go.mod"))
			if err == nil || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
		}
		if !entry.IsDir() && strings.HasSuffix(name, suffix) && !strings.HasSuffix(name, "_test.go") {
			names = append(names, name)
		}
		return nil
	})
	require.NoError(t, err)
	return names
}

func TestGoInMarkdownCompiles(t *testing.T) {
	c, err := blocks()
	require.NoError(t, err)
	names := files(t, ".md")
	require.Subset(t, names, []string{"README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"})
	for _, name := range names {
		require.NoError(t, c.compile(readMarkdown(t, name)))
	}
	require.NotEmpty(t, readMarkdown(t, "README.md").of("go"))
}

// The comments of commands show command lines and are left out.
func TestGoInDocCommentsCompiles(t *testing.T) {
	c, err := blocks()
	require.NoError(t, err)
	compiled := make(map[string]int)
	for _, name := range files(t, ".go") {
		source := read(t, name)
		if regexp.MustCompile(`(?m)^package main$`).Match(source) {
			continue
		}
		documents, err := comments(name, source)
		require.NoError(t, err)
		for _, d := range documents {
			require.NoError(t, c.compile(d), "(Names that are to be known come from internal/docs/testdata/prelude.go.)")
			compiled[name] += len(d.of("go"))
		}
	}
	require.Equal(t, 4, compiled["doc.go"])
	require.Equal(t, 2, compiled["b2backend/doc.go"])
	require.Equal(t, 1, compiled["writer.go"])
	require.Zero(t, compiled["pool.go"], "a table")
}

func TestREADMEsExampleIsOneThatRuns(t *testing.T) {
	body, err := exampleBody(read(t, "example_test.go"), "ExampleUpload")
	require.NoError(t, err)
	require.Equal(t, body, strings.TrimSpace(readMarkdown(t, "README.md").of("go")[0].text))
}

func TestREADMEsFirstCommandWorks(t *testing.T) {
	command := exec.CommandContext(t.Context(), "sh", "-c", readMarkdown(t, "README.md").of("sh")[0].text)
	command.Dir = root
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "%s", &stderr)
	var report struct{ Size int64 }
	require.NoError(t, json.Unmarshal(out, &report), "%s", out)
	require.Greater(t, report.Size, int64(1<<20))
}

// The second one is the suite itself, which a test cannot run: the gate does.
func TestREADMEsSecondCommandIsRunByTheGate(t *testing.T) {
	command := strings.TrimSpace(readMarkdown(t, "README.md").of("sh")[1].text)
	require.Equal(t, "go test ./...", command)
	require.Regexp(t, `(?m)^go test (-(json|timeout \d+m|coverpkg\S*|coverprofile\S*) )*\./\.\.\.( \||$)`, string(read(t, ".ci/run")), "with flags that only report")
}

func TestShellInMarkdownParses(t *testing.T) {
	for _, name := range files(t, ".md") {
		for _, b := range readMarkdown(t, name).of("sh") {
			out, err := exec.CommandContext(t.Context(), "sh", "-n", "-c", b.text).CombinedOutput()
			require.NoError(t, err, "%s:%d: %s", name, b.line, out)
		}
	}
}

func TestLinksInMarkdownLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	var found int
	for _, name := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(string(read(t, name)), -1) {
			if !strings.Contains(m[1], "://") {
				_, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1]))
				require.NoError(t, err, name)
				found++
			}
		}
	}
	require.NotZero(t, found)
}

func TestEveryDecisionIsInTheIndex(t *testing.T) {
	index := string(read(t, "docs/decisions/README.md"))
	pages, err := filepath.Glob(filepath.Join(root, "docs/decisions/0*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		number := filepath.Base(page)[:4]
		require.Contains(t, index, "["+number+"]("+filepath.Base(page)+")")
		require.Regexp(t, "^# "+number+" — ", string(read(t, "docs/decisions/"+filepath.Base(page))))
	}
}

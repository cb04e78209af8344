package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// prose is a document's text with the code in it: fenced, indented, and between backquotes.
func prose(t *testing.T) map[string]string {
	texts := map[string]string{".ci/run": string(read(t, ".ci/run"))}
	for _, name := range files(t, ".md") {
		texts[name] = string(read(t, name))
	}
	return texts
}

// named calls check with each match of pattern's first group, and fails if
// there is none: then the pattern is wrong.
func named(t *testing.T, pattern string, check func(document, name string)) {
	t.Helper()
	found := 0
	for document, text := range prose(t) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			check(document, m[1])
			found++
		}
	}
	require.NotZero(t, found)
}

func TestMakeTargetsThatDocumentsNameExist(t *testing.T) {
	makefile := string(read(t, "Makefile"))
	named(t, "`make ([a-z-]+)`", func(document, target string) {
		require.Regexp(t, "(?m)^"+target+":", makefile, document)
	})
}

func TestPackagesThatCommandsNameExist(t *testing.T) {
	named(t, `go (?:run|test|doc|build|vet)\s[^|;&`+"`"+`\n]*?\s(\./[a-z0-9/]+)`, func(document, folder string) {
		sources, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, sources, "%s: %s", document, folder)
	})
	named(t, `(?:go test -C|cd) ([a-z]+/[a-z0-9/]+)`, func(document, folder string) {
		require.DirExists(t, filepath.Join(root, folder), document)
	})
}

func TestTestsThatDocumentsNameExist(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			data, err := os.ReadFile(path)
			sources.Write(data)
			return err
		}
		return err
	})
	require.NoError(t, err)
	named(t, `\b((?:Test|Fuzz|Example)[A-Z]\w+)[^\w(]`, func(document, name string) {
		// -run takes beginnings
		require.True(t, strings.Contains(sources.String(), "\nfunc "+name), "%s: %s", document, name)
	})
}

// unknown matches what sluice prints about a flag that it does not have.
var unknown = regexp.MustCompile("unknown (shorthand )?flag")

// commands are those of sluice that take flags.
const commands = "put|get|verify|ls|stat|rm|unfinished|cancel"

// Flags are taken up to the command that sluice runs, to a pipe, and to the end of the quotation.
func TestFlagsOfSluiceThatDocumentsNameExist(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sluice")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/sluice")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	known := func(sub, flag string) bool {
		args := []string{flag, "-h"}
		if sub != "" {
			args = append([]string{sub}, args...)
		}
		out, _ := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return !unknown.Match(out)
	}
	require.False(t, known("", "--nonesuch"))
	require.False(t, known("get", "--nonesuch"))
	require.True(t, known("put", "--json"))
	flags := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z0-9-]*)`)
	named(t, "(?:^|[\\s`|])(?:sluice|\\./cmd/sluice)((?: (?:"+commands+"))?(?: [^\\s|&`-][^\\s|&`]*| --?[a-z][^\\s|&`]*)+)", func(document, arguments string) {
		var sub string
		if first, _, _ := strings.Cut(strings.TrimSpace(arguments), " "); regexp.MustCompile("^(" + commands + ")$").MatchString(first) {
			sub = first
		}
		for _, m := range flags.FindAllStringSubmatch(arguments, -1) {
			require.True(t, known(sub, m[1]), "%s: sluice %s %s", document, sub, m[1])
		}
	})
}

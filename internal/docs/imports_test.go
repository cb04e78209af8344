package docs

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/c1508ce4/sluice"

// picture is the entries of ARCHITECTURE.md's picture of imports, by name, with
// the rows they are in.
func picture(t *testing.T) map[string]int {
	_, section, found := strings.Cut(string(read(t, "docs/ARCHITECTURE.md")), "## What imports what")
	require.True(t, found)
	d, err := markdown("docs/ARCHITECTURE.md", section)
	require.NoError(t, err)
	rows, row := map[string]int{}, 0
	for line := range strings.Lines(d.blocks[0].text) {
		names := strings.Fields(line)
		if !strings.HasPrefix(line, " ") {
			row, names = row+1, names[1:]
		}
		for _, name := range names {
			rows[name] = row
		}
	}
	return rows
}

// entry is what the picture calls a package: itself, or the folder above that it names.
func entry(rows map[string]int, path string) string {
	if path == module {
		return "sluice"
	}
	name := strings.TrimPrefix(path, module+"/")
	for {
		if _, ok := rows[name]; ok {
			return name
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return ""
		}
		name = name[:i]
	}
}

func TestImportsGoDownThePicture(t *testing.T) {
	rows := picture(t)
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	drawn := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		importer := entry(rows, paths[0])
		require.NotEmpty(t, importer, "%s is not in the picture", paths[0])
		drawn[importer] = true
		for _, path := range paths[1:] {
			if path != module && !strings.HasPrefix(path, module+"/") {
				continue
			}
			if importer == "examples" {
				require.NotContains(t, path, "/internal/", "%s is to be copied by users", paths[0])
			}
			if imported := entry(rows, path); imported != importer {
				require.Greater(t, rows[imported], rows[importer], "%s imports %s", paths[0], path)
			}
		}
	}
	for name := range rows {
		require.True(t, drawn[name], "the picture has %s, the module has not", name)
	}
}

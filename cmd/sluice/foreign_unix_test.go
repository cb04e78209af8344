//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
)

// foreign are texts that a hostile server could send for an ID or a name.
var foreign = []string{
	"x;touch pwned;", "x`touch pwned`", "$(touch pwned)", "a' ; touch pwned ; '", "a\ntouch pwned\n", "* ~ $HOME !! \\", "--prefix", "--", "-x y", "=ls",
	"\x1b[2J\x1b]0;title\a", "\u009b31m\u0090", "\u202egnp.exe\u2066", "\u2028\u2029\ufeff", "\x00\x7f\r",
}

// strange is a store whose IDs and names are its own.
type strange struct {
	sluice.Backend
	id  string
	err error
}

func (b *strange) StartLargeFile(context.Context, sluice.FileSpec) (sluice.LargeFile, error) {
	return &strangeFile{b}, nil
}

func (b *strange) Unfinished(context.Context, string) iter.Seq2[sluice.UnfinishedFile, error] {
	return func(yield func(sluice.UnfinishedFile, error) bool) {
		yield(sluice.UnfinishedFile{ID: b.id, Spec: sluice.FileSpec{Name: b.id}, Started: time.Unix(0, 0)}, nil)
	}
}

// Stat describes a file in the store's own words. Its byte cannot be read.
func (b *strange) Stat(_ context.Context, name string) (sluice.StoredFile, error) {
	f := sluice.StoredFile{
		File:        sluice.File{ID: b.id, Name: name, Size: 1, Digests: sluice.Digests{{Name: b.id, Sum: []byte{1}}}},
		ContentType: b.id, ETag: b.id, Metadata: map[string]string{b.id: b.id},
	}
	f.Receipts = []sluice.Receipt{{Number: 1, Size: 1, ETag: b.id, Digests: f.Digests}}
	return f, nil
}

func (b *strange) ReadRange(context.Context, sluice.StoredFile, *sluice.Range) error { return b.err }

func (b *strange) List(ctx context.Context, prefix string) iter.Seq2[sluice.StoredFile, error] {
	return func(yield func(sluice.StoredFile, error) bool) {
		f, err := b.Stat(ctx, prefix+b.id)
		folder, _ := b.Stat(ctx, prefix+b.id+"/below")
		_ = yield(f, err) && yield(folder, nil) && yield(f, b.err)
	}
}

type strangeFile struct{ *strange }

func (f *strangeFile) Info() sluice.LargeFileInfo { return sluice.LargeFileInfo{ID: f.id} }

func (f *strangeFile) UploadPart(context.Context, *sluice.Part) (sluice.Receipt, error) {
	return sluice.Receipt{}, f.err
}

func (f *strangeFile) Finish(context.Context, []sluice.Receipt, sluice.Digests) (sluice.File, error) {
	return sluice.File{}, f.err
}

func (f *strangeFile) Cancel(context.Context) error { return f.err }

func newStrangeTrial(t *testing.T, id string) *trial {
	tr := newTrial(t)
	b := &strange{tr.store, id, errors.New("it said: " + id)}
	s := &tr.sys.schemes[0]
	s.commands = allCommands
	s.open = func(context.Context, string, opening) (*destination, error) {
		return &destination{backend: b, name: "x", source: b, remove: func(context.Context, sluice.StoredFile) error { return nil }, parts: func(context.Context, sluice.UnfinishedFile) ([]sluice.StoredPart, error) {
			return []sluice.StoredPart{{Receipt: sluice.Receipt{Number: 1, Size: 1, ETag: id}}}, nil
		}}, nil
	}
	return tr
}

// requirePrints sees text that does nothing to a terminal.
func requirePrints(t *testing.T, text string) {
	t.Helper()
	require.False(t, strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }), "%q", text)
}

func TestForeignText_DoesNothingToATerminal(t *testing.T) {
	for _, text := range foreign {
		for _, flag := range []string{"-v", "--json", "-q"} {
			tr := newStrangeTrial(t, text)
			tr.stdin(noise(3_000_000))
			require.Equal(t, exitFailed, tr.run(args(flag, "mem://x")...))
			requirePrints(t, tr.stderr())
			requirePrints(t, tr.stdout.String())
			require.Equal(t, text, tr.object()["large_file"], "what scripts read is the ID itself")
		}
		for _, command := range [][]string{
			{"unfinished", "mem://x"},
			{"unfinished", "--parts", "mem://x"},
			{"unfinished", "--json", "mem://x"},
			{"unfinished", "--parts", "--json", "mem://x"},
			{"cancel", "--prefix", "--older", "1s", "mem://x"},
		} {
			tr := newStrangeTrial(t, text)
			tr.run(command...)
			requirePrints(t, tr.stderr())
			requirePrints(t, tr.stdout.String())
			if strings.Contains(strings.Join(command, " "), "--json") {
				require.Equal(t, text, tr.object()["id"])
				require.Equal(t, text, tr.object()["name"])
			}
		}
	}
}

func TestForeignText_PrintsInJSONLines(t *testing.T) {
	for _, text := range foreign {
		tr := newStrangeTrial(t, text)
		tr.stdin(noise(3_000_000))
		require.Equal(t, exitFailed, tr.run(args("--log-format=json", "-v", "mem://x")...))
		requirePrints(t, tr.stderr())
		tr.logged()
	}
}

func TestForeignText_OfAStoredFileDoesNothingToATerminal(t *testing.T) {
	for _, text := range foreign {
		for command, exit := range map[string]int{
			"ls": exitFailed, "ls -l": exitFailed, "ls -r": exitFailed, "ls -rl": exitFailed, "ls --json": exitFailed,
			"stat": exitDone, "stat --json": exitDone,
			"rm --yes": exitDone, "rm --yes --json": exitDone,
			"get": exitFailed, "get --json": exitFailed, "get --decompress": exitFailed, "get --length 1": exitFailed,
			"verify": exitFailed, "verify --json": exitFailed,
		} {
			tr := newStrangeTrial(t, text)
			require.Equal(t, exit, tr.run(append(strings.Fields(command), "mem://x")...), "%s: %s", command, tr.stderr())
			shown := tr.stderr() + tr.stdout.String()
			require.NotEmpty(t, shown, command)
			requirePrints(t, shown)
			if exit == exitFailed {
				require.Contains(t, shown, "it said", command)
			}
		}
	}
}

// What the program suggests to type means what it says, and nothing else, to a shell.
func TestForeignText_IsOneWordOfASuggestedCommand(t *testing.T) {
	for _, text := range foreign {
		tr := newStrangeTrial(t, text)
		tr.stdin(noise(3_000_000))
		require.Equal(t, exitFailed, tr.run(args("mem://x")...))
		shown := printable.Text(text)
		require.Equal(t, [][]string{{"put", "--resume-id", shown, "mem://x"}, cancelArguments(shown)}, suggested(t, tr.stderr()))
	}
}

func TestShellQuote_QuotesAWordThatZshExpands(t *testing.T) {
	for word, want := range map[string]string{"=ls": "'=ls'", "=": "'='", "a=b": "a=b", "--flag=x": "--flag=x"} {
		require.Equal(t, want, shellQuote(word))
	}
}

func cancelArguments(id string) []string {
	if strings.HasPrefix(id, "-") {
		return []string{"cancel", "mem://x", "--", id}
	}
	return []string{"cancel", "mem://x", id}
}

// suggested gives a shell the commands that the program suggests, and returns
// the arguments that sluice is called with. It sees that nothing else is run.
func suggested(t *testing.T, stderr string) (calls [][]string) {
	dir := t.TempDir()
	for _, m := range regexp.MustCompile(`(?m)sluice: to resume it, with the same stream and flags: (.*); to remove it: (.*)$`).FindAllStringSubmatch(stderr, -1) {
		for _, command := range m[1:] {
			sh := exec.CommandContext(t.Context(), "sh", "-c", `sluice() { printf '%s\0' "$@"; }; `+command)
			sh.Dir = dir
			var out bytes.Buffer
			sh.Stdout, sh.Stderr = &out, &out
			require.NoError(t, sh.Run(), "%s: %s", command, out.String())
			calls = append(calls, strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00"))
		}
	}
	require.NoFileExists(t, filepath.Join(dir, "pwned"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	return calls
}

func TestWriteJSON_IsJSONThatPrints(t *testing.T) {
	for _, text := range foreign {
		var line bytes.Buffer
		require.NoError(t, writeJSON(&line, text))
		requirePrints(t, line.String())
		var back string
		require.NoError(t, json.Unmarshal(line.Bytes(), &back))
		require.Equal(t, text, back)
	}
}

package endtoend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// completed returns what bash offers for the last word of a line, without descriptions.
func (w *world) completed(setup, line string) []string {
	w.t.Helper()
	w.set("LINE", line)
	// Readline calls the function in this way, with the words as it splits them.
	out := w.run(setup + `
		. <(sluice completion bash)
		COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=63 COMP_KEY=9
		read -ra COMP_WORDS <<<"$LINE"
		[[ $LINE != *' ' ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		compopt() { :; } # only within a completion that readline has begun
		function=$(complete -p sluice | sed 's/.*-F \([^ ]*\).*/\1/')
		set +eu # as in an interactive shell
		$function
		printf '%s\n' "${COMPREPLY[@]}"`)
	var names []string
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func TestCompletion_OffersCommandsFlagsAndChoicesInBash(t *testing.T) {
	const library = "/usr/share/bash-completion/bash_completion"
	for name, setup := range map[string]string{"bash alone": "", "with bash-completion": "set +eu; . " + library + "; set -eu"} {
		t.Run(name, func(t *testing.T) {
			if setup != "" {
				need(t, library, "bash-completion")
			}
			w := newWorld(t)
			require.ElementsMatch(t, []string{"verify", "version"}, w.completed(setup, "sluice ver"))
			require.Subset(t, w.completed(setup, "sluice "), []string{"put", "get", "ls", "stat", "rm", "verify", "unfinished", "cancel", "completion", "help"})
			require.Subset(t, w.completed(setup, "sluice completion "), []string{"bash", "zsh", "fish", "powershell"})
			require.Equal(t, []string{"--manifest"}, w.completed(setup, "sluice put --mani"))
			require.Equal(t, []string{"--manifest"}, w.completed(setup, "sluice --mani"), "the name of put may be left out")
			require.Equal(t, []string{"--recursive"}, w.completed(setup, "sluice ls --recu"))
			require.Subset(t, w.completed(setup, "sluice put --checksum "), []string{"crc64nvme", "sha256", "none"})
			require.Empty(t, w.completed(setup, "sluice put --no-such-fl"))
		})
	}
}

// A user presses the key in a shell on a terminal.
func TestCompletion_CompletesAtTheTabKeyInBash(t *testing.T) {
	need(t, "script", "bsdutils")
	w := newWorld(t)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "rc"), []byte(`. <(sluice completion bash); PS1='$ '`), 0o600))
	w.run(`printf 'slui\tvers\t>version; sluice put --qui\tmem://x <rc && echo done >result; exit\n' |
		TERM=dumb script -qec 'bash --noprofile --rcfile rc -i' /dev/null >screen 2>&1 </dev/stdin`)
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(w.dir, name))
		require.NoError(t, err)
		return string(data)
	}
	require.Contains(t, read("version"), "sluice ", "%s", read("screen"))
	require.Equal(t, "done\n", read("result"), "%s", read("screen"))
}

func TestCompletion_ParsesInZshAndFish(t *testing.T) {
	for shell, check := range map[string]string{"zsh": "zsh -n script", "fish": "fish --no-execute script"} {
		t.Run(shell, func(t *testing.T) {
			need(t, shell, shell)
			w := newWorld(t)
			w.run("sluice completion " + shell + " >script; test -s script; " + check)
		})
	}
}

func TestCompletion_OffersCommandsAndFlagsInFish(t *testing.T) {
	need(t, "fish", "fish")
	w := newWorld(t)
	w.set("HOME", w.dir)
	out := w.run(`fish --no-config -c 'sluice completion fish | source; complete -C "sluice ver"; complete -C "sluice put --mani"'`)
	for _, name := range []string{"verify", "version", "--manifest"} {
		require.Contains(t, out, name)
	}
}

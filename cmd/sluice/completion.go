package main

import (
	"io"

	"github.com/spf13/cobra"
)

// completion writes the script that has a shell complete the program's arguments.
func (p *program) completion(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "write a shell's completion script",
		Long:      completionText,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%s needs the name of one shell: bash, zsh, fish or powershell", cmd.CommandPath())
			}
			out := cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				if err := root.GenBashCompletionV2(out, true); err != nil {
					return err
				}
				_, err := io.WriteString(out, bashAlone)
				return err
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usagef("there is no completion for %q; there is for bash, zsh, fish and powershell", args[0])
		},
	}
}

// bashAlone stands in for the functions that the library's script takes from the package
// bash-completion, in a shell that has not loaded it.
const bashAlone = `
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    __sluice_init_completion()
    {
        local line=${COMP_LINE:0:COMP_POINT}
        COMPREPLY=()
        read -ra words <<<"$line"
        [[ $line != *[[:space:]] ]] || words+=("")
        cword=$((${#words[@]} - 1))
        cur=${words[cword]}
        prev=${words[cword - 1]}
    }
fi
if ! declare -F _filedir >/dev/null; then
    _filedir() { COMPREPLY=(); } # and bash completes the names of files
fi
`

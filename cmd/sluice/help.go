package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand shows the help of a command or topic.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "show the help of a command or topic",
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, c := range root.Commands() {
				if len(args) == 0 && !c.Hidden && strings.HasPrefix(c.Name(), begun) {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			if cmd := commandNamed(root, args[0]); cmd != nil && len(args) == 1 {
				return cmd.Help()
			}
			return usagef("there is no help on %q", strings.Join(args, " "))
		},
	}
}

// topics are pages of help that no command has.
func (p *program) topics() (topics []*cobra.Command) {
	var rows strings.Builder
	for _, s := range p.sys.schemes {
		fmt.Fprintf(&rows, "    %-18s %s\n", s.form, s.about)
	}
	for _, t := range []struct{ name, short, text string }{
		{"destinations", "how DEST is written, and dates in names", strings.Replace(destinationsText, "{destinations}\n", rows.String(), 1)},
		{"config", "destinations by name, and defaults of flags", configText},
		{"environment", "credentials, and what CMD sees of them", environmentText},
		{"output", "what is printed, and the JSON of --json", outputText},
		{"retention", "removing older files", retentionText},
		{"encryption", "encrypting with age, and its keys", encryptionText},
		{"resume", "resuming an upload that was interrupted", resumeText},
		{"signals", "what signals do, and what follows", signalsText},
		{"exit-status", "exit statuses", exitText},
	} {
		topics = append(topics, &cobra.Command{Use: t.name, Short: t.short, Long: t.text})
	}
	return topics
}

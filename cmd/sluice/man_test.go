package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manualPages returns the manual pages of the program by the names of their files: one for the
// program and one for each command in section 1, one for each topic in section 7.
func manualPages(root *cobra.Command) map[string]string {
	pages := make(map[string]string)
	for _, cmd := range append([]*cobra.Command{root}, root.Commands()...) {
		name, section := strings.ReplaceAll(cmd.CommandPath(), " ", "-"), 1
		if cmd.IsAdditionalHelpTopicCommand() {
			section = 7
		}
		pages[fmt.Sprintf("%s.%d", name, section)] = manualPage(root, cmd, name, section)
	}
	return pages
}

// manualPage formats the help of a command for man.
func manualPage(root, cmd *cobra.Command, name string, section int) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q \"%d\" \"\" \"sluice\" \"sluice manual\"\n", strings.ToUpper(name), section)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	switch {
	case cmd == root:
		fmt.Fprintf(&b, ".SH SYNOPSIS\n.B sluice\nCOMMAND [flags] ...\n")
	case section == 1:
		fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	}
	if cmd.Long != "" {
		fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", roffText(cmd.Long))
	}
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(&b, ".SH %q\n", strings.ToUpper(g.heading))
		g.VisitAll(func(f *pflag.Flag) { b.WriteString(roffFlag(f)) })
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n%s", roffText(cmd.Example))
	}
	b.WriteString(".SH \"SEE ALSO\"\n")
	var others []string
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		section := 1
		if c.IsAdditionalHelpTopicCommand() {
			section = 7
		}
		if c != cmd {
			others = append(others, fmt.Sprintf("\\fB%s\\fP(%d)", roff(strings.ReplaceAll(c.CommandPath(), " ", "-")), section))
		}
	}
	b.WriteString(strings.Join(others, ",\n") + "\n")
	return b.String()
}

func roffFlag(f *pflag.Flag) string {
	form := "--" + f.Name
	if f.Shorthand != "" {
		form = "-" + f.Shorthand + ", " + form
	}
	kind, usage := pflag.UnquoteUsage(f)
	switch {
	case kind != "" && f.NoOptDefVal != "":
		kind = "[=" + kind + "]"
	case kind != "":
		kind = " " + kind
	}
	return fmt.Sprintf(".TP\n\\fB%s\\fP%s\n%s\n", roff(form), roff(kind), roff(usage))
}

// roffText formats paragraphs, and as they are those that begin with four spaces.
func roffText(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, "    ") {
			fmt.Fprintf(&b, ".PP\n.RS 4\n.nf\n%s\n.fi\n.RE\n", roff(strings.ReplaceAll("\n"+paragraph, "\n    ", "\n")[1:]))
			continue
		}
		fmt.Fprintf(&b, ".PP\n%s\n", roff(paragraph))
	}
	return b.String()
}

// roff returns text that man shows as it is.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

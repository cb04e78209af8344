package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program makes the commands. Each has a file of its own.
type program struct {
	sys      system
	console  *console
	now      time.Time
	settings settings
}

// root returns the program's commands, below one that only has help.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "sluice",
		Short:             "stream data of unknown length into large files of a store, and read them back",
		Long:              rootText,
		Example:           rootExamples,
		Version:           version(),
		ValidArgsFunction: p.completeDest,
		SilenceErrors:     true,
		SilenceUsage:      true,
		// The command completion writes the scripts.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentPreRunE = p.configure
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(p.sys.stdout)
	root.SetErr(p.sys.stderr)
	root.SetUsageFunc(writeUsage)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(p.put(), p.get(), p.verify(), p.ls(), p.stat(), p.rm(), p.prune(), p.unfinished(), p.cancel(), p.version(), p.completion(root))
	root.AddCommand(p.topics()...)
	root.InitDefaultHelpCmd()
	return root
}

// arguments puts args into the form that the library reads: the name of a command is the first
// one, put if none is given, and long flags have two dashes, which one dash may stand for.
func arguments(root *cobra.Command, args []string) ([]string, error) {
	var completion []string // the request for it, which comes first, and the unfinished word
	if len(args) > 1 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		last := len(args) - 1
		completion = []string{args[0], args[last]}
		args = args[1:last]
		if len(args) == 0 && !strings.HasPrefix(completion[1], "-") {
			return completion, nil // a command's name, perhaps
		}
	}
	switch {
	case len(args) == 0:
	case slices.Contains([]string{"-h", "-help", "--help"}, args[0]):
		return []string{"help"}, nil
	case args[0] == "--version":
		return args, nil
	}
	name := "put"
	if len(args) > 0 && commandNamed(root, args[0]) != nil {
		name, args = args[0], args[1:]
	}
	args, err := twoDashes(commandNamed(root, name).Flags(), args)
	if completion != nil {
		return slices.Concat(completion[:1], []string{name}, args, completion[1:]), nil
	}
	return slices.Concat([]string{name}, args), err
}

// commandNamed returns the command, or nil if there is none.
func commandNamed(root *cobra.Command, name string) *cobra.Command {
	all := root.Commands()
	if i := slices.IndexFunc(all, func(c *cobra.Command) bool { return c.Name() == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// twoDashes gives long flags that have one dash the other one. It rejects a flag that stands
// where the value of the flag before it belongs.
func twoDashes(flags *pflag.FlagSet, args []string) ([]string, error) {
	args = slices.Clone(args)
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		f, form := lookup(flags, args[i])
		args[i] = form
		if f == nil || f.NoOptDefVal != "" || strings.Contains(form, "=") {
			continue
		}
		i++ // the value
		if i < len(args) {
			if next, _ := lookup(flags, args[i]); next != nil || args[i] == "--" {
				return args, usageError{fmt.Errorf("flag --%s needs a value, and %s follows; --%s=%s makes that the value",
					f.Name, args[i], f.Name, args[i])}
			}
		}
	}
	return args, nil
}

// asksForJSON reports whether --log-format json stands in arguments that could not be read.
func asksForJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return strings.Contains(strings.Join(args, "="), "-log-format=json")
}

// lookup returns the flag that arg sets, nil if there is none, and arg as the library reads it.
func lookup(flags *pflag.FlagSet, arg string) (*pflag.Flag, string) {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	switch dashes := len(arg) - len(strings.TrimLeft(arg, "-")); {
	case name == "" || dashes == 0 || dashes > 2:
		return nil, arg
	case dashes == 2:
		return flags.Lookup(name), arg
	case len(name) == 1:
		return flags.ShorthandLookup(name), arg
	case flags.Lookup(name) != nil:
		return flags.Lookup(name), "-" + arg
	case flags.ShorthandLookup(name[:1]) != nil:
		return nil, arg // several short flags
	}
	return nil, "-" + arg // which the library calls unknown by its whole name
}

// groupAnnotation holds the heading that a flag has in help.
const groupAnnotation = "group"

// addFlags adds flags to a command, in their order, under a heading.
func addFlags(cmd *cobra.Command, heading string, flags *pflag.FlagSet) {
	flags.SortFlags = false
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		f.Annotations = map[string][]string{groupAnnotation: {heading}}
		if choices := strings.Split(f.Value.Type(), "|"); len(choices) > 1 {
			// it exists
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// flagGroup is the flags of a command that have the same heading.
type flagGroup struct {
	heading string
	*pflag.FlagSet
}

// flagGroups returns the flags of a command in their order.
func flagGroups(cmd *cobra.Command) (groups []flagGroup) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[groupAnnotation]) == 0 {
			return // of the library's: --help of the program itself
		}
		heading := f.Annotations[groupAnnotation][0]
		i := slices.IndexFunc(groups, func(g flagGroup) bool { return g.heading == heading })
		if i < 0 {
			i = len(groups)
			groups = append(groups, flagGroup{heading, pflag.NewFlagSet("", pflag.ContinueOnError)})
			groups[i].SortFlags = false
		}
		groups[i].AddFlag(f)
	})
	return groups
}

// writeUsage writes what follows a command's description in its help.
func writeUsage(cmd *cobra.Command) error {
	var b strings.Builder
	if cmd.Runnable() {
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	}
	var commands, topics strings.Builder
	for _, c := range cmd.Commands() {
		switch row := fmt.Sprintf("  %-14s %s\n", c.Name(), c.Short); {
		case c.IsAdditionalHelpTopicCommand():
			topics.WriteString(row)
		case c.IsAvailableCommand() || c.Name() == "help":
			commands.WriteString(row)
		}
	}
	if cmd.HasSubCommands() {
		fmt.Fprintf(&b, "Commands, each with flags of its own: sluice help COMMAND\n%s\nTopics: sluice help TOPIC\n%s", &commands, &topics)
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, g := range flagGroups(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", g.heading, g.FlagUsagesWrapped(80))
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

// usageError is what the user has to write differently.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// oneDest returns the DEST of a command that takes nothing else, with its time patterns replaced.
func (p *program) oneDest(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 1 {
		return "", usagef("%q is one argument too many after DEST %q", args[1], args[0])
	}
	return p.firstDest(cmd, args)
}

// firstDest returns the DEST of a command that may take more arguments after it.
func (p *program) firstDest(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 {
		return "", missingDest(cmd)
	}
	dest, err := expandTime(args[0], p.now)
	if err != nil {
		return "", usageError{err}
	}
	return dest, nil
}

// missingDest says that DEST is missing, and which flag may have taken it for its value.
func missingDest(cmd *cobra.Command) error {
	err := errors.New("no DEST is given, such as b2://BUCKET/NAME; mem://NAME only tries sluice out")
	if cmd.Name() != "put" {
		err = fmt.Errorf("%s needs a DEST", cmd.CommandPath())
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if taken := f.Value.String(); strings.Contains(taken, "://") {
			err = fmt.Errorf("no DEST is given: %q is the value of --%s", taken, f.Name)
		}
	})
	return usageError{err}
}

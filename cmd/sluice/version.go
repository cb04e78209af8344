package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version prints what --version prints.
func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "show the version, the commit and the version of Go",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version describes the build of this program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describeBuild(info)
}

// describeBuild names the version, the commit and the version of Go. The go command records no
// commit for a version that it has downloaded, which names its commit, or for a build that is
// told to leave it out.
func describeBuild(info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	text := "sluice " + info.Main.Version
	if commit := settings["vcs.revision"]; commit != "" {
		text += ", commit " + commit
		if settings["vcs.modified"] == "true" {
			text += " with changes"
		}
		text += " of " + settings["vcs.time"]
	}
	return text + fmt.Sprintf(", %s %s/%s", info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// noArguments rejects arguments of a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, such as %q", cmd.CommandPath(), args[0])
	}
	return nil
}

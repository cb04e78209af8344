package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
)

// prune removes the older files of a DEST with a date.
func (p *program) prune() *cobra.Command {
	s := p.newSession()
	var keep retention
	cmd := &cobra.Command{
		Use:                   "prune [flags] DEST",
		Short:                 "remove the older files of a DEST with a date",
		Long:                  pruneText,
		Example:               pruneExamples,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	addFlags(cmd, "What is kept", keep.flags())
	s.bind(cmd, p.now, accessFlags...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.oneDest(cmd, args)
		if err == nil {
			err = keep.check(cmd.Flags())
		}
		switch {
		case err != nil:
			return err
		case !keep.given():
			return usagef("%s needs --%s or --%s", cmd.CommandPath(), flagKeepLast, flagKeepWithin)
		}
		return s.run(cmd, dest, unwatched{}, func(ctx context.Context, d *destination) error {
			base := d.base(s.url)
			show := func(f sluice.StoredFile) error {
				dest := s.settings.shown(base + f.Name)
				if s.json {
					return writeJSON(s.sys.stdout, describeFile(dest, f))
				}
				_, err := fmt.Fprintln(s.sys.stdout, printable.Text(dest))
				return err
			}
			run, err := keep.newPruning(d, s.settings.url(args[0]), s.url, show)
			if err != nil {
				return err
			}
			err = run.run(ctx)
			if err == nil && (!s.quiet || run.locked != nil) {
				s.console.printf("sluice: %s", run.summary())
			}
			return err
		})
	}
	return cmd
}

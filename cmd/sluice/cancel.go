package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
)

// cancel removes unfinished large files.
func (p *program) cancel() *cobra.Command {
	s := &selection{session: p.newSession()}
	cmd := &cobra.Command{
		Use:                   "cancel [flags] DEST [ID...]",
		Short:                 "remove unfinished large files and their parts",
		Long:                  cancelText,
		Example:               "    sluice cancel --prefix --older 7d b2://backups/",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.bindOlder(flags)
	flags.BoolVar(&s.prefix, "prefix", false, "those of every name that begins with that of DEST; needs --older")
	addFlags(cmd, "Which", flags)
	s.bind(cmd, p.now, accessFlags...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.firstDest(cmd, args)
		if err != nil {
			return err
		}
		s.ids = args[1:]
		switch {
		case s.prefix && !s.olderSet:
			return usagef("--prefix needs --older: one of those large files may be being uploaded just now")
		case s.prefix && len(s.ids) > 0:
			return usagef("--prefix and an ID contradict each other")
		}
		return s.run(cmd, dest, unwatched{}, s.cancelAll)
	}
	return cmd
}

// cancelAll cancels the selection and lists it. A large file that cannot be cancelled, or listed,
// does not keep it from trying the others.
func (s *selection) cancelAll(ctx context.Context, d *destination) error {
	if err := d.named(s.dest); err != nil && !s.prefix {
		return err
	}
	var found []sluice.UnfinishedFile
	var errs []error
	for f, err := range d.backend.Unfinished(ctx, d.name) {
		if err != nil {
			errs = append(errs, err)
		} else if s.selects(f, d.name) {
			found = append(found, f)
		}
	}
	errs = append(errs, s.missing(found)...)
	cancelled := 0
	for _, f := range found {
		err := cancelOne(ctx, d.backend, f)
		switch {
		case errors.Is(err, fs.ErrNotExist) && len(s.ids) == 0: // it has gone meanwhile
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("large file %s: %w", f.ID, err))
			continue
		}
		cancelled++
		if err := s.list(f); err != nil {
			errs = append(errs, err)
		}
	}
	if !s.quiet && len(errs) == 0 {
		s.console.printf("sluice: %d cancelled", cancelled)
	}
	return errors.Join(errs...)
}

// cancelOne cancels a large file. The error matches fs.ErrNotExist if there is none.
func cancelOne(ctx context.Context, b sluice.Backend, f sluice.UnfinishedFile) error {
	large, err := b.ResumeLargeFile(ctx, f.Spec, f.ID)
	if err != nil {
		return err
	}
	return large.Cancel(ctx)
}

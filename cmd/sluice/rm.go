package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/size"
)

// removal is one run of rm.
type removal struct {
	*session
	yes bool
}

// rm removes a file.
func (p *program) rm() *cobra.Command {
	r := &removal{session: p.newSession()}
	cmd := &cobra.Command{
		Use:                   "rm [flags] DEST",
		Short:                 "remove the newest version of a file",
		Long:                  rmText,
		Example:               "    sluice rm --yes b2://backups/db-2026-01-31.dump",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	how := pflag.NewFlagSet("", pflag.ContinueOnError)
	how.BoolVarP(&r.yes, "yes", "y", false, "remove it without asking")
	addFlags(cmd, "How", how)
	r.bind(cmd, p.now, accessFlags...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.oneDest(cmd, args)
		switch {
		case err != nil:
			return err
		case !r.yes && !isTerminal(r.sys.stdin):
			return usagef("standard input is no terminal, where sluice would ask; --yes removes without asking")
		}
		return r.run(cmd, dest, unwatched{}, r.remove)
	}
	return cmd
}

var errNotRemoved = errors.New("nothing was removed")

func (r *removal) remove(ctx context.Context, d *destination) error {
	f, err := r.find(ctx, d)
	if err != nil {
		return err
	}
	if !r.yes {
		if err := r.ask(ctx, f); err != nil {
			return err
		}
	}
	if err := d.remove(ctx, f); err != nil {
		return err
	}
	if r.json {
		return writeJSON(r.sys.stdout, describeFile(r.dest, f))
	}
	if !r.quiet {
		r.console.printf("sluice: %s is removed, %s, id %s", r.dest, size.Decimal(f.Size), f.ID)
	}
	return nil
}

// ask returns nil if the user wants f removed.
func (r *removal) ask(ctx context.Context, f sluice.StoredFile) error {
	question := fmt.Sprintf("remove %s, %s, stored %s? [y/N] ", printable.Text(r.dest), size.Decimal(f.Size), moment(printable.Time(f.Modified)))
	if r.console.json {
		r.console.printf("%s", question)
	} else {
		r.console.write(question)
	}
	var answer string
	err := attend(func() (err error) {
		answer, err = bufio.NewReader(r.sys.stdin).ReadString('\n')
		return err
	}, ctx.Done(), func() error { return context.Cause(ctx) })
	switch answer := strings.ToLower(strings.TrimSpace(answer)); {
	case err != nil:
		return err
	case answer != "y" && answer != "yes":
		return errNotRemoved
	}
	return nil
}

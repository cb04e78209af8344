package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
)

// selection is the unfinished large files that a command means.
type selection struct {
	*session
	ids      []string // after DEST
	older    time.Duration
	olderSet bool
	prefix   bool // of every name that begins with that of DEST
	parts    bool // list them too
}

// unfinished lists unfinished large files.
func (p *program) unfinished() *cobra.Command {
	s := &selection{session: p.newSession(), prefix: true}
	cmd := &cobra.Command{
		Use:                   "unfinished [flags] DEST-PREFIX [ID...]",
		Short:                 "list unfinished large files, whose parts the store may bill",
		Long:                  unfinishedText,
		Example:               "    sluice unfinished --parts b2://backups/disk.img",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.bindOlder(flags)
	flags.BoolVar(&s.parts, "parts", false, "list the parts of each, or of those with an ID that is given")
	addFlags(cmd, "Which", flags)
	s.bind(cmd, p.now, accessFlags...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.firstDest(cmd, args)
		if err != nil {
			return err
		}
		if s.ids = args[1:]; len(s.ids) > 0 && !s.parts {
			return usagef("%q is one argument too many after DEST %q; an ID comes with --parts", s.ids[0], dest)
		}
		return s.run(cmd, dest, unwatched{}, s.listAll)
	}
	return cmd
}

func (s *selection) bindOlder(flags *pflag.FlagSet) {
	addValue(flags, "older", "AGE", func(text string) error {
		s.olderSet = true
		return setAge(&s.older)(text)
	}, "only those started longer ago: 36h, 30d")
}

// listAll lists the selection. A large file whose parts cannot be listed does not keep it from
// listing the others.
func (s *selection) listAll(ctx context.Context, d *destination) error {
	var found []sluice.UnfinishedFile
	var errs []error
	for f, err := range d.backend.Unfinished(ctx, d.name) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if !s.selects(f, d.name) {
			continue
		}
		found = append(found, f)
		write := s.list
		if s.parts {
			parts, err := d.parts(ctx, f)
			switch {
			case errors.Is(err, fs.ErrNotExist): // finished or cancelled meanwhile
				continue
			case err != nil && ctx.Err() == nil:
				errs = append(errs, err)
				continue
			case err != nil:
				return errors.Join(append(errs, err)...)
			}
			write = func(f sluice.UnfinishedFile) error { return s.listParts(f, parts) }
		}
		if err := write(f); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(append(errs, s.missing(found)...)...)
}

// missing returns an error for each ID that was not found.
func (s *selection) missing(found []sluice.UnfinishedFile) (errs []error) {
	for _, id := range s.ids {
		if !slices.ContainsFunc(found, func(f sluice.UnfinishedFile) bool { return f.ID == id }) {
			errs = append(errs, fmt.Errorf("%s has no unfinished large file %s%s", s.dest, id, s.condition()))
		}
	}
	return errs
}

// selects reports whether the arguments mean f.
func (s *selection) selects(f sluice.UnfinishedFile, name string) bool {
	return (s.prefix || f.Spec.Name == name) &&
		(len(s.ids) == 0 || slices.Contains(s.ids, f.ID)) &&
		(!s.olderSet || f.Age >= s.older)
}

func (s *selection) condition() string {
	if s.olderSet {
		return fmt.Sprintf(" that was started more than %v ago", s.older)
	}
	return ""
}

// leftover is a line of unfinished and cancel in JSON.
type leftover struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started,omitzero"`
	Name    string    `json:"name"`
}

func newLeftover(f sluice.UnfinishedFile) leftover {
	return leftover{f.ID, printable.Time(f.Started), f.Spec.Name}
}

// String returns a line for people.
func (l leftover) String() string {
	return fmt.Sprintf("%s  %s  %s", printable.Text(l.ID), moment(l.Started), printable.Text(l.Name))
}

// moment formats a time, which may be unknown.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

// list writes one line of standard output.
func (s *selection) list(f sluice.UnfinishedFile) error {
	if s.json {
		return writeJSON(s.sys.stdout, newLeftover(f))
	}
	_, err := fmt.Fprintln(s.sys.stdout, newLeftover(f))
	return err
}

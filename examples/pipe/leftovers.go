package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/c1508ce4/sluice"
)

// leftover is a line of unfinished and cancel in JSON.
type leftover struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Name    string    `json:"name"`
}

func newLeftover(f sluice.UnfinishedFile) leftover {
	return leftover{f.ID, f.Started.UTC(), f.Spec.Name}
}

// String is a line for people.
func (l leftover) String() string {
	return fmt.Sprintf("%s  %s  %s", l.ID, l.Started.Format(time.RFC3339), printable(l.Name))
}

func unfinishedFlags(r *request, fs *flag.FlagSet) {
	olderFlag(r, fs)
	fs.BoolVar(&r.parts, "parts", false, "")
}

func olderFlag(r *request, fs *flag.FlagSet) {
	fs.Func("older", "", func(s string) error {
		r.olderSet = true
		return setAge(&r.older)(s)
	})
}

func cancelFlags(r *request, fs *flag.FlagSet) {
	olderFlag(r, fs)
	fs.BoolVar(&r.prefix, "prefix", false, "")
}

func checkUnfinished(r *request) error {
	r.prefix = true
	if len(r.ids) > 0 && !r.parts {
		return fmt.Errorf("%q is one argument too many after DEST %q; an ID comes with -parts", r.ids[0], r.dest)
	}
	return nil
}

func checkCancel(r *request) error {
	switch {
	case r.prefix && !r.olderSet:
		return errors.New("-prefix needs -older: among all those large files may be one that is being uploaded just now")
	case r.prefix && len(r.ids) > 0:
		return errors.New("-prefix and an ID contradict each other")
	}
	return nil
}

// unfinished lists the unfinished large files whose names begin with DEST's, with -parts those of the IDs, if any are given.
func unfinished(ctx context.Context, r *request, d *destination) error {
	var found []sluice.UnfinishedFile
	for f, err := range d.backend.Unfinished(ctx, d.name) {
		if err != nil {
			return err
		}
		if !r.selects(f, d.name) {
			continue
		}
		found = append(found, f)
		list := r.list
		if r.parts {
			list = func(f sluice.UnfinishedFile) error { return r.inspect(ctx, d, f) }
		}
		if err := list(f); err != nil {
			return err
		}
	}
	return errors.Join(r.missing(found)...)
}

// missing is an error for each ID that was not found.
func (r *request) missing(found []sluice.UnfinishedFile) (errs []error) {
	for _, id := range r.ids {
		if !slices.ContainsFunc(found, func(f sluice.UnfinishedFile) bool { return f.ID == id }) {
			errs = append(errs, fmt.Errorf("%s has no unfinished large file %s%s", r.dest, id, r.condition()))
		}
	}
	return errs
}

// cancel cancels large files and lists them. One that fails, or cannot be listed, does not keep it from trying the others.
func cancel(ctx context.Context, r *request, d *destination) error {
	if err := d.named(r.dest); err != nil && !r.prefix {
		return err
	}
	var found []sluice.UnfinishedFile
	var errs []error
	for f, err := range d.backend.Unfinished(ctx, d.name) {
		if err != nil {
			errs = append(errs, err)
		} else if r.selects(f, d.name) {
			found = append(found, f)
		}
	}
	errs = append(errs, r.missing(found)...)
	for _, f := range found {
		if err := cancelOne(ctx, d.backend, f); err != nil {
			errs = append(errs, fmt.Errorf("large file %s: %w", f.ID, err))
		} else if err := r.list(f); err != nil {
			errs = append(errs, err)
		}
	}
	if !r.quiet && len(errs) == 0 {
		r.console.printf("pipe: %d cancelled", len(found))
	}
	return errors.Join(errs...)
}

// cancelOne cancels a large file, unless it has gone already.
func cancelOne(ctx context.Context, b sluice.Backend, f sluice.UnfinishedFile) error {
	large, err := b.ResumeLargeFile(ctx, f.Spec, f.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return large.Cancel(ctx)
}

// selects tells whether the arguments mean f.
func (r *request) selects(f sluice.UnfinishedFile, name string) bool {
	return (r.prefix || f.Spec.Name == name) &&
		(len(r.ids) == 0 || slices.Contains(r.ids, f.ID)) &&
		(!r.olderSet || r.now.Sub(f.Started) > r.older)
}

func (r *request) condition() string {
	if r.olderSet {
		return fmt.Sprintf(" that was started more than %v ago", r.older)
	}
	return ""
}

// list writes one line of standard output.
func (r *request) list(f sluice.UnfinishedFile) error {
	var err error
	if r.json {
		err = json.NewEncoder(r.stdout).Encode(newLeftover(f))
	} else {
		_, err = fmt.Fprintln(r.stdout, newLeftover(f))
	}
	return err
}

// printable quotes a name that would do something to a terminal.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(name)
	}
	return name
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
)

// retention is which files of a DEST with a date stay. A file stays if one of the rules keeps it.
type retention struct {
	last   int           // the newest ones, 0: no such rule
	within time.Duration // those no older than that, 0: no such rule
	dryRun bool
}

const (
	flagKeepLast   = "keep-last"
	flagKeepWithin = "keep-within"
	flagDryRun     = "dry-run"
)

func (r *retention) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(fs, flagKeepLast, "N", setPositive(&r.last), "keep the N newest files that the {time:LAYOUT} in DEST has made, and remove older ones; see sluice help retention")
	addValue(fs, flagKeepWithin, "AGE", setAge(&r.within), "keep those that are no older than AGE, such as 30d, counted from the newest one, and remove older ones; with --keep-last, those that neither keeps")
	fs.BoolVar(&r.dryRun, flagDryRun, false, "list the files that would be removed, and remove none")
	return fs
}

// setPositive reads a number that is at least 1.
func setPositive(to *int) func(string) error {
	return func(s string) error {
		if err := setCount(to)(s); err != nil || *to < 1 {
			return errors.New("must be a number that is at least 1")
		}
		return nil
	}
}

// given reports whether there is a rule.
func (r *retention) given() bool { return r.last > 0 || r.within > 0 }

// check rejects flags that say nothing, or cannot be meant.
func (r *retention) check(flags *pflag.FlagSet) error {
	switch {
	case flags.Changed(flagKeepWithin) && r.within == 0:
		return usagef("--%s must be longer than 0", flagKeepWithin)
	case r.dryRun && !r.given():
		return usagef("--%s is about --%s and --%s, and neither is given", flagDryRun, flagKeepLast, flagKeepWithin)
	}
	return nil
}

// pruning is one run of the rules on the files of a DEST.
type pruning struct {
	retention
	store  *destination
	names  *datedNames
	newest time.Time // of the name of this run; files dated later are left alone
	show   func(sluice.StoredFile) error

	removed []sluice.StoredFile // or, of a dry run, that would be
	kept    int
	locked  []error // why files stay that no rule keeps
}

// newPruning checks that files of DEST can be told from others, and removed. given is DEST as it
// was given, and dest what it stands for now.
func (r *retention) newPruning(d *destination, given, dest string, show func(sluice.StoredFile) error) (*pruning, error) {
	scheme, _, _ := strings.Cut(dest, "://")
	if d.remove == nil || d.source == nil {
		return nil, usagef("%s:// has no command rm, and cannot honour --%s and --%s", scheme, flagKeepLast, flagKeepWithin)
	}
	pattern, err := namePattern(given, d.base(dest))
	if err != nil {
		return nil, usageError{err}
	}
	names, err := newDatedNames(pattern)
	if err != nil {
		return nil, usageError{err}
	}
	newest, ok := names.read(d.name)
	if !ok {
		return nil, usagef("the name %q does not tell the time at which it was made", d.name)
	}
	return &pruning{retention: *r, store: d, names: names, newest: newest, show: show}, nil
}

// datedFile is a file that the pattern has made, or the manifest of one.
type datedFile struct {
	sluice.StoredFile
	made     time.Time
	manifest bool
}

// run removes the files that no rule keeps, each with its manifest, the oldest first. It
// ends with the first failure other than a lock.
func (p *pruning) run(ctx context.Context) error {
	files, err := p.list(ctx)
	if err != nil {
		return err
	}
	for _, f := range p.choose(files) {
		err := p.remove(ctx, f.StoredFile)
		if errors.Is(err, sluice.ErrLocked) {
			p.locked = append(p.locked, err)
			continue
		}
		if err == nil {
			p.removed = append(p.removed, f.StoredFile)
			err = p.show(f.StoredFile)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list returns the files of the pattern that are not dated later than this run, and their
// manifests.
func (p *pruning) list(ctx context.Context) (files []datedFile, err error) {
	for f, err := range p.store.source.List(ctx, p.names.literals[0]) {
		if err != nil {
			return nil, err
		}
		made, ok := p.names.read(f.Name)
		manifest := false
		if name, found := strings.CutSuffix(f.Name, sluice.ManifestSuffix); !ok && found {
			made, ok = p.names.read(name)
			manifest = true
		}
		if ok && !made.After(p.newest) {
			files = append(files, datedFile{f, made, manifest})
		}
	}
	return files, nil
}

// choose returns what is to be removed, which is never the newest file. A manifest goes by the
// date of its file, after it, and also if its file is gone.
func (p *pruning) choose(files []datedFile) (old []datedFile) {
	var dates []time.Time
	for _, f := range files {
		if !f.manifest {
			dates = append(dates, f.made)
		}
	}
	if len(dates) == 0 {
		return nil
	}
	slices.SortFunc(dates, func(a, b time.Time) int { return b.Compare(a) })
	keeps := func(made time.Time) bool {
		return p.last > 0 && !made.Before(dates[min(p.last, len(dates))-1]) ||
			p.within > 0 && p.names.end(made).After(dates[0].Add(-p.within))
	}
	for _, f := range files {
		switch {
		case !keeps(f.made):
			old = append(old, f)
		case !f.manifest:
			p.kept++
		}
	}
	slices.SortStableFunc(old, func(a, b datedFile) int { return a.made.Compare(b.made) })
	return old
}

// maxVersions is how many versions of one file are removed in a run.
const maxVersions = 1000

// remove removes every version of a file: where the store keeps earlier ones, the one before
// takes the name. What is gone, or was replaced meanwhile, is no failure.
func (p *pruning) remove(ctx context.Context, f sluice.StoredFile) error {
	if p.dryRun {
		return nil
	}
	for range maxVersions {
		switch err := p.store.remove(ctx, f); {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, sluice.ErrReplaced):
			return nil
		case err != nil:
			return err
		}
		before, found, err := p.listed(ctx, f.Name)
		if err != nil || !found {
			return err
		}
		f = before
	}
	return fmt.Errorf("%q is still there after %d versions of it were removed", f.Name, maxVersions)
}

// listed returns the newest version of a file, if there is one. It takes no more permissions than
// the list before has taken.
func (p *pruning) listed(ctx context.Context, name string) (f sluice.StoredFile, found bool, err error) {
	for f, err = range p.store.source.List(ctx, name) { // by rising name
		return f, err == nil && f.Name == name, err
	}
	return f, false, nil
}

// summary says what was done.
func (p *pruning) summary() string {
	text := "removed"
	if p.dryRun {
		text = "would be removed"
	}
	text = fmt.Sprintf("%s %s, %d kept", plural(len(p.removed), "older file"), text, p.kept)
	if len(p.locked) > 0 {
		text += fmt.Sprintf(", %s locked, such as: %v", plural(len(p.locked), "older file"), p.locked[0])
	}
	return text
}

// plural returns a number of things.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

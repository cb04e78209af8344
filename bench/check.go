package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// check chooses the rows, and finds before anything runs what would fail after
// hours: streams that cannot be, and places for the figures that are not there.
func (c *command) check(ctx context.Context) error {
	if c.promise {
		c.targets = c.settings.targets()
		c.rows = targetRows(c.targets)
	} else {
		for _, g := range groups {
			if slices.Contains(c.groups, g.name) {
				c.rows = append(c.rows, g.rows(c.settings)...)
			}
		}
	}
	if c.rows = only(c.rows, c.only); len(c.rows) == 0 {
		return fmt.Errorf("-only %v matches no row", c.only)
	}
	for _, r := range c.rows {
		if err := r.stream.check(ctx); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if c.docs != "" {
		if err := lab.CheckSections(c.docs, c.sections()...); err != nil {
			return err
		}
	}
	if c.json == "" {
		return nil
	}
	// which keeps what an earlier run wrote
	f, err := os.OpenFile(c.json, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// sections are the names of what the run reports.
func (c *command) sections() []string {
	switch {
	case c.profile != "":
		return []string{"profile"}
	case c.promise:
		return []string{"targets"}
	default:
		return c.groups
	}
}

// check asks the writer whether it takes the settings, and carries as much.
func (j job) check(ctx context.Context) error {
	pool, err := sluice.NewPool(j.Memory, j.PageSize)
	if err != nil {
		return err
	}
	w, err := sluice.New(ctx, &cutter{limits: j.limits()}, "bench", j.options(pool))
	if err != nil {
		return err
	}
	defer w.Abort(nil)
	if reach := w.Settings().MaxStreamSize; j.Size > reach {
		return fmt.Errorf("a stream of %s is over %s, the most that %s of memory carry", size.Format(j.Size), size.Decimal(reach), size.Format(j.Memory))
	}
	return nil
}

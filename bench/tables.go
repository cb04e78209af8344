package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// withLimits shows streams, each beside what the raw limits together allow, and
// the limits one by one.
func withLimits(r result, all []outcome) []lab.Table {
	t := lab.Table{Head: []string{
		"stream", "GiB/s", "limit", "of limit", "CPU s/GiB", "limit", "over limit", "RSS MiB", "allocs/part", "tail", "parts", "requests",
	}}
	for _, o := range all {
		one := o.Samples[len(o.Samples)-1]
		t.Add(o.Name, o.of(gibPerSecond).Spread(2), gibOf(o.WallLimit), o.OfLimit.Spread(2),
			fmt.Sprintf("%.2f", o.of(cpuPerGiB).Median()), fmt.Sprintf("%.2f", o.CPULimit.Median()*(1<<30)), o.CPUOver.Spread(2),
			fmt.Sprintf("%.0f", o.of(rssMiB).Max()), fmt.Sprintf("%.1f", o.of(allocs).Median()),
			milliseconds(o.of(tail).Median()), fmt.Sprint(one.Parts), fmt.Sprint(one.Requests))
	}
	return []lab.Table{t, r.limitsOf(all)}
}

// limitsOf are the raw limits that outcomes are compared with.
func (r result) limitsOf(all []outcome) lab.Table {
	t := lab.Table{Head: []string{"raw limit", "GiB/s", "CPU s/GiB"}}
	for _, l := range r.Limits {
		if slices.ContainsFunc(all, func(o outcome) bool { return slices.Contains(o.limits, l.Job) }) {
			t.Add(l.Job.String(), l.of(gibPerSecond).Spread(2), fmt.Sprintf("%.2f", l.of(cpuPerGiB).Median()))
		}
	}
	return t
}

// growthTable shows what must not grow with the stream, and what must by no more than the parts.
func growthTable(_ result, all []outcome) []lab.Table {
	t := lab.Table{Head: []string{
		"store, length", "pages at most, of limit", "RSS MiB", "CPU s/GiB", "parts", "requests beyond parts", "allocs/part",
	}}
	for _, o := range all {
		one := o.Samples[len(o.Samples)-1]
		cpu, requests, held := fmt.Sprintf("%.2f", o.of(cpuPerGiB).Median()), "-", "-"
		if o.Job.To == toB2 {
			requests = fmt.Sprint(one.Requests - one.Parts)
		}
		if o.Job.PageSize > 0 {
			cpu = "-" // it is that of tiny pages
		} else {
			held = fmt.Sprintf("%.0f", o.of(rssMiB).Max())
		}
		t.Add(strings.TrimPrefix(o.Name, "growth/"), fmt.Sprintf("%.2f", o.of(pagesOfLimit).Max()), held, cpu,
			fmt.Sprint(one.Parts), requests, fmt.Sprintf("%.1f", o.of(allocs).Median()))
	}
	return []lab.Table{t}
}

// fairTable shows how alike many writers fare.
func fairTable(_ result, all []outcome) []lab.Table {
	t := lab.Table{Head: []string{"store, writers", "GiB/s together", "least over most", "CPU s/GiB", "pages at most, of limit", "RSS MiB", "limit"}}
	for _, o := range all {
		slowest := "-"
		if o.Job.Writers > 1 {
			slowest = o.of(least).Spread(2)
		}
		t.Add(strings.TrimPrefix(o.Name, "fair/"), o.of(gibPerSecond).Spread(2), slowest, fmt.Sprintf("%.2f", o.of(cpuPerGiB).Median()),
			fmt.Sprintf("%.2f", o.of(pagesOfLimit).Max()), fmt.Sprintf("%.0f", o.of(rssMiB).Max()), size.Format(o.Job.Memory))
	}
	return []lab.Table{t}
}

// gibOf is the rate of so many seconds for each byte.
func gibOf(perByte lab.Series) string {
	if m := perByte.Median(); m > 0 {
		return fmt.Sprintf("%.2f", 1/m/(1<<30))
	}
	return "-"
}

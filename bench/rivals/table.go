package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// write shows medians, and how long ours takes as a share of each rival's time, from least to most.
func write(w io.Writer, results []result, length int64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	gib := float64(length) / (1 << 30)
	fmt.Fprintf(t, "%s, %s/%s, %d cores, rounds: %d; medians\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		len(results[0].usage))
	fmt.Fprintln(t, "contender\tGiB/s\tCPU s/GiB\tRSS MiB\tours / theirs\t")
	for _, r := range results {
		wall := lab.Of(r.usage, func(u lab.Usage) float64 { return u.Wall })
		fmt.Fprintf(t, "%v\t%.2f\t%.2f\t%.0f\t", r.entry, gib/wall.Median(),
			lab.Of(r.usage, func(u lab.Usage) float64 { return u.CPU / gib }).Median(),
			lab.Of(r.usage, func(u lab.Usage) float64 { return float64(u.RSS) / (1 << 20) }).Max())
		for _, o := range results {
			if o.group != r.group || o.program != ours || r.program == ours {
				continue
			}
			ratio := lab.Of(o.usage, func(u lab.Usage) float64 { return u.Wall }).Over(wall)
			fmt.Fprintf(t, "%.2f (%.2f-%.2f)", ratio.Median(), ratio.Min(), ratio.Max())
			if r.bound > 0 && ratio.Median() <= r.bound {
				fmt.Fprintf(t, "\tat most %.2f: met", r.bound)
			} else if r.bound > 0 {
				fmt.Fprintf(t, "\tat most %.2f: MISSED", r.bound)
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

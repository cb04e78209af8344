package main

import (
	"fmt"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// table shows medians, and how long ours takes as a share of each rival's time, from least to most.
func table(results []result, length int64) lab.Table {
	gib := float64(length) / (1 << 30)
	t := lab.Table{Head: []string{"contender", "GiB/s", "CPU s/GiB", "RSS MiB", "wall, ours / theirs", "CPU, ours / theirs", "bound"}}
	restored := len(results) > 0 && results[0].restore
	if restored {
		t.Head = append(t.Head, fmt.Sprintf("of %d connections' cap", lanes))
	}
	for _, r := range results {
		gib := gib
		if r.restore {
			gib = float64(restoreSize(r.link, length)) / (1 << 30)
		}
		cells := []string{
			r.String(), fmt.Sprintf("%.2f", gib/r.of(wall).Median()), fmt.Sprintf("%.2f", r.of(cpu).Median()/gib),
			fmt.Sprintf("%.0f", r.of(rss).Max()/(1<<20)), "", "", "",
		}
		if restored {
			cells = append(cells, r.ofLink(length))
		}
		for _, o := range results {
			if o.group != r.group || o.program != ours || r.program == ours {
				continue
			}
			ratio := o.of(wall).Over(r.of(wall))
			cells[4], cells[5] = ratio.Spread(2), o.of(cpu).Over(r.of(cpu)).Spread(2)
			if r.bound > 0 {
				cells[6] = fmt.Sprintf("at most %.2f: %s", r.bound, lab.Verdict(ratio.Median() <= r.bound))
			}
		}
		t.Add(cells...)
	}
	return t
}

func (r result) of(figure func(lab.Usage) float64) lab.Series { return lab.Of(r.usage, figure) }

func wall(u lab.Usage) float64 { return u.Wall }
func cpu(u lab.Usage) float64  { return u.CPU }
func rss(u lab.Usage) float64  { return float64(u.RSS) }

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// pictures are those of a group, by file name.
func pictures(group string, all []outcome) map[string]string {
	drawn := map[string]string{}
	switch group {
	case "paths":
		drawn["share.svg"] = ofLimit(all)
	case "latency":
		drawn["latency.svg"] = overConcurrency(all)
	case "growth":
		drawn["memory.svg"] = overLength(all)
		drawn["simulated.svg"] = overSimulated(all)
	}
	for name, picture := range drawn {
		if picture == "" {
			delete(drawn, name)
		}
	}
	return drawn
}

// lineOf is the chart's line of that name, new if there is none.
func (c *chart) lineOf(name string) *line {
	i := slices.IndexFunc(c.lines, func(l line) bool { return l.name == name })
	if i < 0 {
		i = len(c.lines)
		c.lines = append(c.lines, line{name: name})
	}
	return &c.lines[i]
}

func (l *line) add(label string, value float64) { l.points = append(l.points, point{label, value}) }

// overConcurrency is throughput over concurrency, a line for each latency; what the writer chooses by itself comes last.
func overConcurrency(all []outcome) string {
	c := chart{title: "Throughput to B2 over simulated links", x: "uploads at once", y: "MB/s"}
	for _, o := range all {
		c.lineOf(fmt.Sprintf("%v away", o.Job.Link.Latency)).add(uploadsText(o.Job.Concurrency), o.of(sample.rate).Median()/1e6)
	}
	return c.svg()
}

// overLength is memory over the length of the stream, beside what the whole process may have.
func overLength(all []outcome) string {
	c := chart{title: "Memory over the length of the stream", x: "length", y: "MiB, peak"}
	for _, o := range all {
		label := size.Format(o.Job.Size)
		if !strings.HasPrefix(o.Name, "growth/drop/") {
			continue
		}
		c.lineOf("limit + 24 MiB").add(label, float64(o.Job.Memory+lab.Beside)/(1<<20))
		c.lineOf("memory limit").add(label, float64(o.Job.Memory)/(1<<20))
		c.lineOf("whole process").add(label, o.of(rssMiB).Max())
		c.lineOf("pages").add(label, o.of(pagesMiB).Max())
	}
	return c.svg()
}

// overSimulated is the share of the limit over the length that tiny pages stand for.
func overSimulated(all []outcome) string {
	c := chart{title: "Pages of 2.5 GiB in use, simulated by tiny ones", x: "length", y: "% of the limit, peak"}
	for _, o := range all {
		if label, ok := strings.CutPrefix(o.Name, "growth/simulated/"); ok {
			c.lineOf("pages").add(label, 100*o.of(pagesOfLimit).Max())
		}
	}
	return c.svg()
}

// ofLimit is how much of the raw limit each path reaches.
func ofLimit(all []outcome) string {
	var bars []point
	for _, o := range all {
		bars = append(bars, point{strings.TrimPrefix(o.Name, "paths/"), 100 * o.OfLimit.Median()})
	}
	return barsSVG("Throughput, as a share of the raw limit", "%", bars)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/c1508ce4/sluice/internal/size"
)

// draw writes the pictures that there are rows for.
func (r result) draw(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, picture := range map[string]string{
		"links.svg":  r.links(),
		"length.svg": r.lengths(),
		"share.svg":  r.shares(),
	} {
		if picture == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// links is throughput over concurrency, a line for each latency; what the writer chooses by itself is the last point.
func (r result) links() string {
	c := chart{title: "Throughput over simulated links, MB/s", x: "uploads at once"}
	var lines []*line
	byName := make(map[string]*line)
	for _, o := range r.Rows {
		if !strings.HasPrefix(o.Name, groupLinks+"/") {
			continue
		}
		name := o.Job.Link.Latency.String()
		if byName[name] == nil {
			byName[name] = &line{name: name}
			lines = append(lines, byName[name])
		}
		l := byName[name]
		l.points = append(l.points, point{uploadsText(o.Job.Concurrency), o.of(sample.rate).Median() / 1e6})
	}
	for _, l := range lines {
		c.lines = append(c.lines, *l)
	}
	return c.svg()
}

// lengths is memory over the length of the stream, beside what the whole process may have.
func (r result) lengths() string {
	c := chart{title: "Peak memory, MiB", x: "length of the stream"}
	used, limit := line{name: "whole process"}, line{name: "memory limit + 24 MiB"}
	for _, o := range r.Rows {
		if strings.HasPrefix(o.Name, groupLength+"/") {
			label := size.Format(o.Job.Size)
			used.points = append(used.points, point{label, o.of(rssMiB).Max()})
			limit.points = append(limit.points, point{label, float64(o.Job.Memory+beside) / (1 << 20)})
		}
	}
	if len(used.points) > 0 {
		c.lines = []line{used, limit}
	}
	return c.svg()
}

// shares is how much of the raw limit each path reaches.
func (r result) shares() string {
	var bars []point
	for _, o := range r.Rows {
		if name, ok := strings.CutPrefix(o.Name, groupPaths+"/"); ok {
			bars = append(bars, point{name, 100 * o.OfLimit.Median()})
		}
	}
	return barsSVG("Share of the raw limit, %", bars, func(v float64) string { return fmt.Sprintf("%.0f %%", v) })
}

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// target is a promise: the median of a figure of one row is at most, or at least, a number.
type target struct {
	text    string
	row     row
	figure  func(outcome) lab.Series
	bound   float64
	atLeast bool
	unit    string
}

// targets are those promises that need no rival beside them.
func (s settings) targets() []target {
	reader := func(to string, length int64) job {
		return job{To: to, From: fromReader, Size: length, PartSize: pathPart, Concurrency: pathUploads, Memory: pathMemory}
	}
	writes := reader(toDrop, s.size)
	writes.From = fromWrites
	small := reader(toB2, 4<<10)
	small.Link.TLS = true
	b2 := s.newRow("targets/b2", reader(toB2, 4*s.size)) // long enough that touching the pages first does not count
	longest := s.newRow("targets/longest", reader(toDrop, s.lengths[len(s.lengths)-1]))

	busy := reader(toB2, 4*s.size) // long enough that the calls around the parts do not count
	busy.Concurrency, busy.Memory = 8, 256<<20
	busy.Link.Latency = 100 * time.Millisecond
	ideal := float64(busy.Concurrency) * float64(busy.PartSize) / busy.Link.Latency.Seconds()

	last := reader(toB2, min(s.size, 256<<20))
	last.Rate = 100e6
	last.Link = lab.Link{Latency: 50 * time.Millisecond, Bandwidth: 100e6}
	const leastPart = 5e6 // B2's
	due := max(leastPart, pathPart/pathUploads)/float64(last.Link.Bandwidth) + 2*last.Link.Latency.Seconds() + 0.020

	return []target{
		{text: "CPU to B2, over SHA-1 alone and sending alone", row: b2, figure: overCPU, bound: 1.05},
		{
			text: "wall to the memory backend, over SHA-256 alone on all cores",
			row:  s.newRow("targets/memory", reader(toMemory, min(s.size, keptAtMost))), figure: overLimit, bound: 1.20,
		},
		{text: "peak RSS to B2", row: b2, figure: peak, bound: (pathMemory + beside) >> 20, unit: " MiB"},
		{text: "peak RSS of the longest stream", row: longest, figure: peak, bound: (pathMemory + beside) >> 20, unit: " MiB"},
		{
			text: "peak RSS of 4 KiB to B2 over TLS", row: s.newRow("targets/small", small),
			figure: peak, bound: 14, unit: " MiB",
		},
		{
			text: "8 uploads of 16 MiB, 100 ms each: share of the ideal throughput",
			row:  s.newRow("targets/busy", busy), bound: 0.95, atLeast: true,
			figure: func(o outcome) lab.Series {
				return o.of(func(x sample) float64 { return x.rate() / ideal })
			},
		},
		{
			text: "tail after the last byte, link of 50 ms and 100 MB/s", row: s.newRow("targets/tail", last),
			figure: func(o outcome) lab.Series { return o.of(tail) }, bound: due, unit: " s",
		},
		{text: "allocations for each part, ReadFrom, whole process", row: longest, figure: allocated, bound: 1},
		{text: "allocations for each part, Write of 32 KiB, whole process", row: s.newRow("targets/writes", writes), figure: allocated, bound: 1},
	}
}

func overCPU(o outcome) lab.Series   { return o.CPUOver }
func allocated(o outcome) lab.Series { return o.of(allocs) }

// peak is the largest of all rounds: a limit is kept every time.
func peak(o outcome) lab.Series { return lab.Series{o.of(rssMiB).Max()} }

func overLimit(o outcome) lab.Series {
	return lab.Of(o.OfLimit, func(share float64) float64 { return 1 / share })
}

// targetRows are the rows that targets are about, each once.
func targetRows(targets []target) []row {
	var rows []row
	seen := make(map[string]bool)
	for _, t := range targets {
		if !seen[t.row.name] {
			seen[t.row.name] = true
			rows = append(rows, t.row)
		}
	}
	return rows
}

// writeTargets tells which are met, and is false if one is not.
func writeTargets(w io.Writer, targets []target, r result) (bool, error) {
	met := true
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(targets) > 0 {
		fmt.Fprintln(t, "\ntarget\tbound\tmeasured\t")
	}
	for _, target := range targets {
		for _, o := range r.Rows {
			if o.Name != target.row.name {
				continue
			}
			s := target.figure(o)
			sign, verdict := "at most", "met"
			if target.atLeast {
				sign = "at least"
			}
			if m := s.Median(); target.atLeast && m < target.bound || !target.atLeast && m > target.bound {
				verdict, met = "MISSED", false
			}
			fmt.Fprintf(t, "%s\t%s %.4g%s\t%s\t%s\n", target.text, sign, target.bound, target.unit, spread(s, 2), verdict)
		}
	}
	return met, t.Flush()
}

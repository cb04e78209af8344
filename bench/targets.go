package main

import (
	"fmt"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// target is a promise: the median of a figure of one row is at most, or at least, a number.
type target struct {
	text    string
	row     row
	figure  func(result, outcome) lab.Series
	bound   float64
	atLeast bool
	unit    string
}

// targets are those promises that need no rival beside them.
func (s settings) targets() []target {
	small := s.path(toB2, fromReader, 4<<10)
	small.Link.TLS = true
	// Long enough that touching the pages first does not count.
	b2 := s.newRow("targets/b2", s.path(toB2, fromReader, 4*s.size))
	discard := s.newRow("targets/discard", s.path(toDiscard, fromReader, 4*s.size))
	memory := s.newRow("targets/memory", s.path(toMemory, fromReader, min(s.size, keptAtMost)))
	longest := s.newRow("targets/longest", s.path(toDrop, fromReader, s.lengths[len(s.lengths)-1]))

	// long enough that the calls around the parts do not count
	busy := s.path(toB2, fromReader, 4*s.size)
	busy.Concurrency, busy.Memory = 8, 256<<20
	busy.Link.Latency = 100 * time.Millisecond

	// Bytes take time too; the smaller the part, the less. Shorter, so that parts grow little.
	brisk := busy
	brisk.PartSize, brisk.Size = s.parts[0], 2*s.size
	// waits is the time that the waits for answers take at least, with all
	// uploads busy from the first to the last.
	waits := func(x sample) float64 {
		return float64(x.Parts) * busy.Link.Latency.Seconds() / float64(busy.Concurrency) / x.Wall
	}

	last := s.path(toB2, fromReader, min(s.size, 256<<20))
	last.Rate = 100e6
	last.Link = lab.Link{Latency: 50 * time.Millisecond, Bandwidth: 100e6}
	// URLs, pieces, finish
	due := max(minPart, float64(last.PartSize)/pathUploads)/float64(last.Link.Bandwidth) + 3*last.Link.Latency.Seconds() + 0.020

	held := float64(s.memory[0]+lab.Beside) / (1 << 20)
	return []target{
		{text: "CPU to B2, over SHA-1 alone and sending alone", row: b2, figure: over(sample.cpuPerByte, s.sole(workSHA1), posting(b2.stream)), bound: 1.05},
		{text: "wall to the memory backend with Discard, over SHA-256 alone on all cores", row: discard, figure: over(sample.wallPerByte, s.sole(workSHA256)), bound: 1.20},
		{text: "wall to the memory backend, over SHA-256 alone on all cores", row: memory, figure: over(sample.wallPerByte, s.sole(workSHA256)), bound: 1.20},
		{text: "peak RSS to B2", row: b2, figure: peak, bound: held, unit: " MiB"},
		{text: "peak RSS of the longest stream", row: longest, figure: peak, bound: held, unit: " MiB"},
		{text: "peak RSS of 4 KiB to B2 over TLS", row: s.newRow("targets/small", small), figure: peak, bound: 14, unit: " MiB"},
		{
			text: ideally(busy), row: s.newRow("targets/busy", busy),
			figure: each(waits), bound: 0.95, atLeast: true,
		},
		{
			text: ideally(brisk), row: s.newRow("targets/brisk", brisk),
			figure: each(waits), bound: 0.95, atLeast: true,
		},
		{text: "tail after the last byte, link of 50 ms and 100 MB/s", row: s.newRow("targets/tail", last), figure: each(tail), bound: due, unit: " s"},
		{text: "allocations for each part, ReadFrom, whole process", row: longest, figure: each(allocs), bound: 1},
		{
			text: "allocations for each part, Write of 32 KiB, whole process",
			row:  s.newRow("targets/writes", s.path(toDrop, fromWrites, s.size)), figure: each(allocs), bound: 1,
		},
	}
}

// ideally is the promise of a stream of uploads that wait for a link.
func ideally(j job) string {
	return fmt.Sprintf("%d uploads of %s, %v each: share of the ideal throughput", j.Concurrency, size.Format(j.PartSize), j.Link.Latency)
}

// over is a figure of the stream over the sum of those of raw limits, round by
// round. A promise names its limits, which may be fewer than those of the row:
// the copy that a Read is counts in the row's and in no promise.
func over(figure func(sample) float64, limits ...job) func(result, outcome) lab.Series {
	return func(r result, o outcome) lab.Series { return o.of(figure).Over(r.together(limits, figure)) }
}

func each(figure func(sample) float64) func(result, outcome) lab.Series {
	return func(_ result, o outcome) lab.Series { return o.of(figure) }
}

// peak is the largest of all rounds: a limit is kept every time.
func peak(_ result, o outcome) lab.Series { return lab.Series{o.of(rssMiB).Max()} }

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

// targetSection tells which targets are met, beside the streams that they are
// about; it is false if one is not.
func targetSection(targets []target, r result) (section, bool) {
	met := true
	t := lab.Table{Head: []string{"target", "bound", "measured", ""}}
	for _, target := range targets {
		for _, o := range r.Rows {
			if o.Name != target.row.name {
				continue
			}
			s := target.figure(r, o)
			sign, kept := "at most", s.Median() <= target.bound
			if target.atLeast {
				sign, kept = "at least", s.Median() >= target.bound
			}
			kept = kept && len(s) > 0
			met = met && kept
			t.Add(target.text, fmt.Sprintf("%s %.4g%s", sign, target.bound, target.unit), s.Spread(2), lab.Verdict(kept))
		}
	}
	return section{name: "targets", tables: append([]lab.Table{t}, withLimits(r, r.Rows)...)}, met
}

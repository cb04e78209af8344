package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// row is a line of the result: a stream, and the raw limits whose times add up to the least it could take.
type row struct {
	name   string
	stream job
	wall   []job // what the wall time is compared with
	cpu    []job // what the CPU time is compared with
}

// settings choose the matrix.
type settings struct {
	size        int64
	parts       []int64
	concurrency []int
	memory      []int64
	latencies   []time.Duration
	bandwidth   int64
	linkTime    time.Duration // about how long a stream over a simulated link lasts
	lengths     []int64
}

func defaults() settings {
	return settings{
		size:        2 << 30,
		parts:       []int64{5 << 20, 16 << 20},
		concurrency: []int{1, 4, 16, 0},
		memory:      []int64{128 << 20},
		latencies:   []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond},
		bandwidth:   50e6,
		linkTime:    3 * time.Second,
		lengths:     []int64{4 << 10, 1 << 20, 16 << 20, 256 << 20, 4 << 30, 64 << 30},
	}
}

// quick takes seconds and shows that everything works; its figures mean little.
func quick() settings {
	s := defaults()
	s.size = 64 << 20
	s.concurrency = []int{4, 0}
	s.latencies = []time.Duration{10 * time.Millisecond}
	s.linkTime = 300 * time.Millisecond
	s.lengths = []int64{4 << 10, 1 << 20, 64 << 20, 512 << 20}
	return s
}

// Groups of rows, as they are named in front of the slash.
const (
	groupPaths    = "paths"    // every way through the program, with one setting
	groupSettings = "settings" // part size, uploads and memory, to B2
	groupLinks    = "links"    // simulated links
	groupLength   = "length"   // how cost grows with the stream
)

// What the paths are measured with: peers are, too.
const (
	pathPart    = 16 << 20
	pathUploads = 4
	pathMemory  = 128 << 20
)

// keptAtMost bounds what the memory backend keeps.
const keptAtMost = 1 << 30

// rows are the matrix.
func (s settings) rows() []row {
	var rows []row
	for _, to := range []struct {
		name string
		job  job
	}{
		{"drop", job{To: toDrop, Size: s.size}},
		{"memory", job{To: toMemory, Size: min(s.size, keptAtMost)}},
		{"b2", job{To: toB2, Size: s.size}},
		{"b2-tls", job{To: toB2, Size: s.size, Link: lab.Link{TLS: true}}},
	} {
		for _, from := range []string{fromReader, fromWrites, fromPipe} {
			j := to.job
			j.From, j.PartSize, j.Concurrency, j.Memory = from, pathPart, pathUploads, pathMemory
			rows = append(rows, s.newRow(groupPaths+"/"+to.name+"/"+from, j))
		}
	}
	for _, memory := range s.memory {
		for _, part := range s.parts {
			for _, n := range s.concurrency {
				j := job{To: toB2, From: fromReader, Size: s.size, PartSize: part, Concurrency: n, Memory: memory}
				name := fmt.Sprintf("%s/%s x %s in %s", groupSettings, size.Format(part), uploadsText(n), size.Format(memory))
				rows = append(rows, s.newRow(name, j))
			}
		}
	}
	for _, latency := range s.latencies {
		for _, n := range s.concurrency {
			rows = append(rows, s.linkRow(latency, n))
		}
	}
	for _, length := range s.lengths {
		j := job{To: toDrop, From: fromReader, Size: length, PartSize: pathPart, Concurrency: pathUploads, Memory: pathMemory}
		rows = append(rows, s.newRow(groupLength+"/"+size.Format(length), j))
	}
	return rows
}

// linkRow is a stream over a slow link: small parts, so that many uploads fit the memory.
func (s settings) linkRow(latency time.Duration, n int) row {
	part, memory := s.parts[0], s.memory[0]
	link := lab.Link{Latency: latency, Bandwidth: s.bandwidth}
	j := job{
		To: toB2, From: fromReader, PartSize: part, Concurrency: n, Memory: memory, Link: link,
		Size: int64(float64(resolved(n, part, memory)) * perConnection(link, part) * s.linkTime.Seconds()),
	}
	return s.newRow(fmt.Sprintf("%s/%v/x %s", groupLinks, latency, uploadsText(n)), j)
}

// perConnection is the bytes per second that one connection carries at best, in parts of that size.
func perConnection(l lab.Link, part int64) float64 {
	return float64(part) / (l.Latency.Seconds() + float64(part)/float64(cmp.Or(l.Bandwidth, 1<<40)))
}

// resolved is how many uploads there are at most if n are asked for: as many as fit in memory beside the part that
// is filled.
func resolved(n int, part, memory int64) int {
	fit := max(1, int(memory/part)-1)
	if n == 0 {
		return fit
	}
	return min(n, fit)
}

// newRow adds the raw limits. On this machine's own loopback client and server share the cores, so the times of
// hashing and sending add up; behind a slow link hashing costs processor time but no wall time.
func (s settings) newRow(name string, j job) row {
	j.Work = workStream
	r := row{name: name, stream: j}
	if j.To != toB2 {
		r.wall = []job{s.hash(workSHA256)}
		r.cpu = r.wall
		return r
	}
	post := job{
		Work: workPost, Size: j.Size, PartSize: j.PartSize, Concurrency: resolved(j.Concurrency, j.PartSize, j.Memory), Link: j.Link,
	}
	r.cpu = []job{s.hash(workSHA1), post}
	r.wall = r.cpu
	if j.Link.Bandwidth > 0 || j.Link.Latency > 0 {
		r.wall = []job{post}
	}
	return r
}

// hash is the limit of a digest. All rows share one, whatever the length of their streams.
func (s settings) hash(work string) job { return job{Work: work, Size: min(s.size, 1<<30)} }

// jobs are those of the rows, with their limits, each once: what a round runs.
func (s settings) jobs(rows []row) []job {
	all := []job{{Work: workCopy, Size: min(s.size, 1<<30)}}
	seen := make(map[job]bool)
	for _, r := range rows {
		for _, j := range slices.Concat(r.wall, r.cpu, []job{r.stream}) {
			if !seen[j] {
				seen[j] = true
				all = append(all, j)
			}
		}
	}
	return all
}

// only keeps the rows whose names match.
func only(rows []row, pattern *regexp.Regexp) []row {
	var kept []row
	for _, r := range rows {
		if pattern.MatchString(r.name) {
			kept = append(kept, r)
		}
	}
	return kept
}

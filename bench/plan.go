package main

import (
	"regexp"
	"slices"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// row is a line of the result: a stream, and the raw limits whose times add up
// to the least it could take.
type row struct {
	name   string
	stream job
	wall   []job // what the wall time is compared with; none where a link is the limit
	cpu    []job // what the CPU time is compared with
}

// settings choose the matrix.
type settings struct {
	size        int64
	parts       []int64
	concurrency []int
	memory      []int64 // the first is also that of the other groups
	latencies   []time.Duration
	bandwidth   int64
	linkTime    time.Duration // about how long a stream over a simulated link lasts
	lengths     []int64
	simulated   []int64 // lengths that tiny pages stand for
	writers     []int
	lines       []lab.Link // that uploads adapt to
	lineParts   int        // of a stream over them
}

func defaults() settings {
	return settings{
		size:        2 << 30,
		parts:       []int64{5 << 20, 16 << 20},
		concurrency: []int{1, 4, 16, 0},
		memory:      []int64{128 << 20, 64 << 20, 512 << 20},
		latencies:   []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond},
		bandwidth:   50e6,
		linkTime:    3 * time.Second,
		lengths:     []int64{4 << 10, 1 << 20, 16 << 20, 256 << 20, 4 << 30, 64 << 30},
		simulated:   []int64{1 << 20, 1e9, 100e9, 1e12, 10e12},
		writers:     []int{1, 8, 64},
		lines:       lines(),
		lineParts:   2000,
	}
}

// quick takes seconds and shows that everything works; its figures mean little.
func quick() settings {
	s := defaults()
	s.size = 64 << 20
	s.concurrency = []int{4, 0}
	s.memory = s.memory[:1]
	s.latencies = []time.Duration{10 * time.Millisecond}
	s.linkTime = 300 * time.Millisecond
	s.lengths = []int64{4 << 10, 1 << 20, 64 << 20, 512 << 20}
	s.simulated = s.simulated[:3]
	s.lines = []lab.Link{s.lines[1], s.lines[len(s.lines)-1]}
	s.lineParts = 40
	return s
}

// newRow adds the raw limits: what no program can do without that has these
// bytes from that source and sends them there. They are taken once, hashed once and
// sent once. On this machine's own loopback client and server share the cores,
// so the times add up; behind a slow link taking and hashing cost processor
// time but no wall time.
func (s settings) newRow(name string, j job) row {
	j.Work = workStream
	r := row{name: name, stream: j, cpu: []job{s.take(j.From)}}
	if j.To == toB2 {
		r.cpu = append(r.cpu, s.sole(workSHA1), posting(j))
	} else {
		r.cpu = append(r.cpu, s.sole(workSHA256))
	}
	r.wall = r.cpu
	if j.Link.Bandwidth > 0 || j.Link.Latency > 0 {
		r.wall = []job{posting(j)}
	}
	return r
}

// take is the limit of having the bytes: a copy, which a Read or a Write cannot
// do without, or a read from a pipe.
func (s settings) take(from string) job {
	if from == fromPipe {
		j := s.sole(workRead)
		j.From = fromPipe
		return j
	}
	return s.sole(workCopy)
}

// sole is the limit of one kind of work. All rows share one, whatever the length of their streams.
func (s settings) sole(work string) job { return job{Work: work, Size: min(s.size, 1<<30)} }

// posting is the limit of sending what j sends: the same parts, each posted by
// whichever upload is free.
func posting(j job) job {
	parts := (j.Size + j.PartSize - 1) / j.PartSize
	uploads := min(int64(resolved(j.Concurrency, j.PartSize, j.Memory)), max(1, parts))
	return job{
		Work: workPost, Size: j.Size, PartSize: j.PartSize, PageSize: j.PageSize, Memory: j.Memory, Concurrency: int(uploads), Link: j.Link,
	}
}

// resolved is how many uploads there are at most if n are asked for: as many as
// fit in memory beside the part that is filled.
func resolved(n int, part, memory int64) int {
	fit := max(1, int(memory/part)-1)
	if n == 0 {
		return fit
	}
	return min(n, fit)
}

// jobs are those of the rows, with their limits, each once: what a round runs.
func jobs(rows []row) []job {
	var all []job
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

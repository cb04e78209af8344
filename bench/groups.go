package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// group is rows of one kind, which are shown in one table.
type group struct {
	name   string
	rows   func(settings) []row
	tables func(result, []outcome) []lab.Table
}

// groups are all there are. The last one is measured only if it is asked for.
var groups = []group{
	{"paths", settings.paths, withLimits},    // every way through the program, with one setting
	{"settings", settings.grid, withLimits},  // part size, uploads and memory, to B2
	{"latency", settings.far, withLimits},    // B2 behind simulated links
	{"growth", settings.growth, growthTable}, // how cost grows with the stream
	{"fair", settings.fair, fairTable},       // many writers on one Pool
	// uploads that adapt to the network, alongside fixed numbers
	{"links", settings.followed, followedTable},
}

func names() []string {
	var all []string
	for _, g := range groups {
		all = append(all, g.name)
	}
	return all
}

// byDefault are the groups of a run that names none.
func byDefault() []string {
	all := names()
	return all[:len(all)-1]
}

// of are the outcomes of the group.
func (g group) of(r result) []outcome {
	var mine []outcome
	for _, o := range r.Rows {
		if strings.HasPrefix(o.Name, g.name+"/") {
			mine = append(mine, o)
		}
	}
	return mine
}

// What the paths are measured with: peers are, too. A smaller memory limit has smaller parts.
const (
	pathPart    = 16 << 20
	pathUploads = 4
	leastPart   = 5 << 20 // B2's smallest is a little less
)

// path is a stream as most groups have it.
func (s settings) path(to, from string, length int64) job {
	memory := s.memory[0]
	return job{
		To: to, From: from, Size: length, Concurrency: pathUploads, Memory: memory,
		PartSize: max(leastPart, min(pathPart, memory/8)),
	}
}

// keptAtMost bounds what the memory backend keeps.
const keptAtMost = 1 << 30

func (s settings) paths() []row {
	var rows []row
	for _, from := range []string{fromReader, fromWrites, fromPipe} {
		secured := s.path(toB2, from, s.size)
		secured.Link.TLS = true
		rows = append(rows,
			s.newRow("paths/drop/"+from, s.path(toDrop, from, s.size)),
			s.newRow("paths/memory/"+from, s.path(toMemory, from, min(s.size, keptAtMost))),
			s.newRow("paths/b2/"+from, s.path(toB2, from, s.size)),
			s.newRow("paths/b2-tls/"+from, secured))
	}
	return rows
}

func (s settings) grid() []row {
	var rows []row
	for _, memory := range s.memory {
		for _, part := range s.parts {
			for _, n := range s.concurrency {
				j := job{To: toB2, From: fromReader, Size: s.size, PartSize: part, Concurrency: n, Memory: memory}
				name := fmt.Sprintf("settings/%s x %s in %s", size.Format(part), uploadsText(n), size.Format(memory))
				rows = append(rows, s.newRow(name, j))
			}
		}
	}
	return rows
}

// far are streams over slow links: small parts, so that many uploads fit the memory.
func (s settings) far() []row {
	var rows []row
	part, memory := s.parts[0], s.memory[0]
	for _, latency := range s.latencies {
		for _, n := range s.concurrency {
			link := lab.Link{Latency: latency, Bandwidth: s.bandwidth}
			uploads := resolved(n, part, memory)
			j := job{
				To: toB2, From: fromReader, PartSize: part, Concurrency: n, Memory: memory, Link: link,
				Size: max(1, int64(ideal(link, part, uploads)*s.linkTime.Seconds())),
			}
			rows = append(rows, s.newRow(fmt.Sprintf("latency/%v/x %s", latency, uploadsText(n)), j))
		}
	}
	return rows
}

// ideal is the bytes per second of so many uploads at once, in parts of that
// size, if nothing but the link took time.
func ideal(l lab.Link, part int64, uploads int) float64 {
	if l.Most > 0 {
		uploads = min(uploads, l.Most)
	}
	each := float64(cmp.Or(l.Bandwidth, 1<<40))
	rate := float64(uploads) * float64(part) / (l.Latency.Seconds() + float64(part)/each)
	if l.Lanes > 0 {
		rate = min(rate, each*float64(l.Lanes))
	}
	return rate
}

// The simulated streams have everything but the number of parts made smaller by
// scale: pages of 64 bytes stand for pages of 1 MiB. The largest file of B2
// takes 10,000 parts of 1 GB, and so twice that in memory.
const (
	scale        = 1 << 14
	scaledPage   = (1 << 20) / scale
	scaledMemory = 2560 << 20 / scale
)

func (s settings) growth() []row {
	var rows []row
	for _, length := range s.lengths {
		rows = append(rows, s.newRow("growth/drop/"+size.Format(length), s.path(toDrop, fromReader, length)))
		if length <= 2*s.size {
			rows = append(rows, s.newRow("growth/b2/"+size.Format(length), s.path(toB2, fromReader, length)))
		}
	}
	for _, length := range s.simulated {
		j := job{
			Work: workStream, To: toDrop, From: fromReader, Size: length / scale,
			PageSize: scaledPage, Memory: scaledMemory, Concurrency: pathUploads,
		}
		rows = append(rows, row{name: "growth/simulated/" + size.Format(length), stream: j})
	}
	return rows
}

// fair are many writers on one Pool, of as many bytes together as one. Over a
// link each upload takes its time.
func (s settings) fair() []row {
	var rows []row
	for _, n := range s.writers {
		for _, to := range []struct {
			name string
			job  job
		}{
			{"drop", s.path(toDrop, fromReader, 2*s.size)},
			{"b2", s.path(toB2, fromReader, 2*s.size)},
			{"b2, 50 MB/s", s.path(toB2, fromReader, s.size)},
		} {
			j := to.job
			j.Writers, j.PartSize = n, s.parts[0]
			// so that they are under way together for most of the time
			j.Size = max(j.Size, 2*j.Memory*int64(n))
			if strings.HasSuffix(to.name, "/s") {
				j.Link = lab.Link{Latency: 10 * time.Millisecond, Bandwidth: 50e6}
			}
			j.Work = workStream
			rows = append(rows, row{name: fmt.Sprintf("fair/%s/%d", to.name, n), stream: j})
		}
	}
	return rows
}

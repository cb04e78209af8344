package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// The parts of streams over the lines, and their memory: 31 uploads. They are
// small, so that thousands take seconds.
const (
	linePart   = 64 << 10
	lineMemory = 32 * linePart
	linePage   = 16 << 10
)

// refusalFactor has larger parts where the server refuses: a refused upload
// waits up to a second, which must be to a part what it is in earnest.
const refusalFactor = 16

// lines are links from 10 to 200 ms away, of 5 to 100 MB/s a connection, that
// carry 1 to 24 connections: every pair of these values comes once. The last
// one has room for all, and refuses uploads beyond six.
func lines() []lab.Link {
	at := func(milliseconds, megabytes, lanes int) lab.Link {
		return lab.Link{
			Latency: time.Duration(milliseconds) * time.Millisecond, Bandwidth: int64(megabytes) * 1e6, Lanes: lanes, MinPart: 1,
		}
	}
	refusing := at(10, 5, 100)
	refusing.Most = 6
	return []lab.Link{
		at(10, 5, 1), at(10, 25, 4), at(10, 100, 24),
		at(50, 5, 4), at(50, 25, 24), at(50, 100, 1),
		at(200, 5, 24), at(200, 25, 1), at(200, 100, 4),
		refusing,
	}
}

// fixedUploads are the numbers that the writer's own choice is compared with.
var fixedUploads = []int{1, 2, 4, 6, 8, 16, 24, 31}

// hopeless is how far below the best a fixed number must be, by the link's
// arithmetic, to be left out. So are those that a server refuses all the time.
const hopeless = 0.6

// followed are streams of many parts over each line: as the writer chooses, and
// with fixed numbers of uploads.
func (s settings) followed() []row {
	var rows []row
	for _, line := range s.lines {
		j := job{
			Work: workStream, To: toB2, From: fromReader, Link: line,
			PartSize: linePart, PageSize: linePage, Memory: lineMemory, Size: int64(s.lineParts) * linePart,
		}
		if line.Most > 0 {
			j.PartSize, j.PageSize, j.Memory, j.Size = refusalFactor*j.PartSize, refusalFactor*j.PageSize, refusalFactor*j.Memory, refusalFactor*j.Size
		}
		most := ideal(line, j.PartSize, fixedUploads[len(fixedUploads)-1])
		for _, n := range append([]int{0}, fixedUploads...) {
			if n > 0 && ideal(line, j.PartSize, n) < hopeless*most || line.Most > 0 && n > line.Most {
				continue
			}
			j.Concurrency = n
			rows = append(rows, row{name: fmt.Sprintf("links/%s/x %s", lineName(line), uploadsText(n)), stream: j})
		}
	}
	return rows
}

func lineName(l lab.Link) string {
	if l.Most > 0 {
		return fmt.Sprintf("%v, %d MB/s, 503 beyond %d", l.Latency, l.Bandwidth/1e6, l.Most)
	}
	return fmt.Sprintf("%v, %d MB/s x %d", l.Latency, l.Bandwidth/1e6, l.Lanes)
}

// ofBest is the least share of the best fixed number that the writer's own choice is to reach.
const ofBest = 0.95

// followedTable has a row for each line.
func followedTable(_ result, all []outcome) []lab.Table {
	t := lab.Table{Head: []string{"link", "its ideal MB/s", "best fixed", "MB/s", "auto, MB/s", "of the best", "refused", fmt.Sprintf("at least %.2f", ofBest)}}
	for _, own := range all {
		if own.Job.Concurrency != 0 {
			continue
		}
		line, _ := strings.CutSuffix(own.Name, "/x auto")
		best := fastest(all, line)
		if best == nil {
			continue
		}
		share := own.of(sample.rate).Over(best.of(sample.rate))
		verdict := lab.Verdict(share.Median() >= ofBest)
		t.Add(strings.TrimPrefix(line, "links/"), fmt.Sprintf("%.1f", ideal(own.Job.Link, own.Job.PartSize, fixedUploads[len(fixedUploads)-1])/1e6),
			fmt.Sprint(best.Job.Concurrency), fmt.Sprintf("%.1f", best.of(sample.rate).Median()/1e6),
			fmt.Sprintf("%.1f", own.of(sample.rate).Median()/1e6), share.Spread(2),
			fmt.Sprintf("%.0f", own.of(retries).Median()), verdict)
	}
	return []lab.Table{t}
}

// fastest is the fixed number that carries most over a line, nil if none was measured.
func fastest(all []outcome, line string) *outcome {
	var best *outcome
	for i := range all {
		o := &all[i]
		if o.Job.Concurrency > 0 && strings.HasPrefix(o.Name, line+"/") &&
			(best == nil || cmp.Less(best.of(sample.rate).Median(), o.of(sample.rate).Median())) {
			best = o
		}
	}
	return best
}

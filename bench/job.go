package main

import (
	"fmt"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

// What a job can be: a stream through the writer, or one of the raw limits that
// it is compared with.
const (
	workStream = "stream"
	workSHA1   = "sha1"   // hash alone, on all cores
	workSHA256 = "sha256" // likewise
	workCopy   = "copy"   // copy alone, on all cores
	workRead   = "read"   // read alone: stdin, written by another process
	workPost   = "post"   // send alone: the same bytes posted, nothing hashed, no writer around
)

// Where a stream goes.
const (
	toDrop   = "drop"   // a backend that forgets every part
	toMemory = "memory" // memorybackend, which keeps them, and computes their digests once more
	// memorybackend with Discard, which believes the digests and forgets the
	// bytes
	toDiscard = "discard"
	toB2      = "b2" // b2backend, to a server in a process of its own
)

// Where it comes from.
const (
	fromReader = "reader" // ReadFrom an io.Reader in the same process
	fromWrites = "writes" // Write in pieces of 32 KiB
	fromPipe   = "pipe"   // ReadFrom stdin, written by another process
)

// job is one measurement: what one process does. It is comparable, so that rows
// can share their raw limits.
type job struct {
	Work        string
	To, From    string `json:",omitempty"`
	Size        int64  // bytes
	PartSize    int64  `json:",omitempty"`
	Concurrency int    `json:",omitempty"` // of a stream 0: as the writer chooses
	Memory      int64  `json:",omitempty"` // limit, bytes
	PageSize    int    `json:",omitempty"` // bytes; 0 for the usual
	// streams at once on one Pool, which share Size; 0 for one
	Writers int   `json:",omitempty"`
	Rate    int64 `json:",omitempty"` // of the source, bytes per second, 0 for any
	Link    lab.Link
}

// writers are how many streams the job is.
func (j job) writers() int { return max(1, j.Writers) }

// String says what the job is, in a line.
func (j job) String() string {
	switch j.Work {
	case workSHA1, workSHA256, workCopy, workRead:
		return fmt.Sprintf("%s alone, %s", j.Work, size.Format(j.Size))
	case workPost:
		return fmt.Sprintf("post alone, %s, %s x %d in %s%s",
			size.Format(j.Size), size.Format(j.PartSize), j.Concurrency, size.Format(j.Memory), linkText(j.Link))
	default:
		text := fmt.Sprintf("%s to %s from %s, %s x %s in %s%s", size.Format(j.Size), j.To, j.From,
			size.Format(j.PartSize), uploadsText(j.Concurrency), size.Format(j.Memory), linkText(j.Link))
		if j.Writers > 1 {
			text += fmt.Sprintf(", %d writers", j.Writers)
		}
		return text
	}
}

func uploadsText(n int) string {
	if n == 0 {
		return "auto"
	}
	return fmt.Sprint(n)
}

func linkText(l lab.Link) string {
	text := ""
	if l.TLS {
		text = ", TLS"
	}
	if l.Latency > 0 {
		text += fmt.Sprintf(", %v", l.Latency)
	}
	if l.Bandwidth > 0 {
		text += fmt.Sprintf(", %s/s", size.Decimal(l.Bandwidth))
	}
	if l.Lanes > 0 {
		text += fmt.Sprintf(" x %d", l.Lanes)
	}
	if l.Most > 0 {
		text += fmt.Sprintf(", refuses beyond %d", l.Most)
	}
	return text
}
